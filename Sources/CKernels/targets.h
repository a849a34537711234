// Which Highway targets are built, and how a source that is compiled once per target hands its functions over.
// Include before hwy/foreach_target.h. SSSE3 is left out: every CPU that has it and matters has SSE4 too.
#pragma once
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
// Without its assertions, nothing here needs Highway's library (cpu.h says why that matters), in debug builds too.
#define HWY_IS_DEBUG_BUILD 0
#include <hwy/detect_targets.h>

#if HWY_TARGETS & HWY_SSE4
#define NC_CASE_SSE4(F, table) case HWY_SSE4: N_SSE4::F(table); break;
#else
#define NC_CASE_SSE4(F, table)
#endif
#if HWY_TARGETS & HWY_AVX2
#define NC_CASE_AVX2(F, table) case HWY_AVX2: N_AVX2::F(table); break;
#else
#define NC_CASE_AVX2(F, table)
#endif
#if HWY_TARGETS & HWY_AVX3
#define NC_CASE_AVX3(F, table) case HWY_AVX3: N_AVX3::F(table); break;
#else
#define NC_CASE_AVX3(F, table)
#endif
#if HWY_TARGETS & HWY_NEON
#define NC_CASE_NEON(F, table) case HWY_NEON: N_NEON::F(table); break;
#else
#define NC_CASE_NEON(F, table)
#endif

#define NC_INSTALL(F, target, table)                                                              \
  switch (target) {                                                                               \
    NC_CASE_SSE4(F, table) NC_CASE_AVX2(F, table) NC_CASE_AVX3(F, table) NC_CASE_NEON(F, table)   \
    default: break;                                                                               \
  }
