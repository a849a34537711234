// Which of the Highway targets built here this CPU runs. Highway's own answer lives in a library whose start-up measures
// the timer for milliseconds in every process that links it; this asks the compiler's runtime for the same features.
#pragma once
#include <cstdint>

#include "targets.h"

namespace nc {

inline int64_t SupportedTargets() {
#if HWY_ARCH_X86
  int64_t targets = 0;
  __builtin_cpu_init();
#define NC_HAS(feature) __builtin_cpu_supports(feature)
  if (NC_HAS("sse4.2") && NC_HAS("pclmul") && NC_HAS("aes")) targets |= HWY_SSE4;
  if (targets && NC_HAS("avx2") && NC_HAS("fma") && NC_HAS("bmi") && NC_HAS("bmi2") && NC_HAS("f16c") && NC_HAS("lzcnt"))
    targets |= HWY_AVX2;
  if ((targets & HWY_AVX2) && NC_HAS("avx512f") && NC_HAS("avx512bw") && NC_HAS("avx512cd") && NC_HAS("avx512dq") &&
      NC_HAS("avx512vl"))
    targets |= HWY_AVX3;
#undef NC_HAS
  return targets & HWY_TARGETS;
#else
  return HWY_TARGETS;
#endif
}

}  // namespace nc
