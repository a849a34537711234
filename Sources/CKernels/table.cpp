// The kernel tables: scalar first, upgraded by CPU feature.
#include <cstdlib>
#include <cstring>

#include "cpu.h"
#include "internal.h"
#include <hwy/highway.h>

namespace nc {

int64_t TargetOf(int32_t level) {
  switch (level) {
#if HWY_ARCH_ARM
    case NC_LEVEL_128: return HWY_NEON;
#else
    case NC_LEVEL_128: return HWY_SSE4;
    case NC_LEVEL_AVX2: return HWY_AVX2;
    case NC_LEVEL_AVX512: return HWY_AVX3;
#endif
    default: return 0;
  }
}

namespace {

struct Tables {
  nc_kernels at[NC_LEVELS];
  bool present[NC_LEVELS];
  const nc_kernels* current;

  Tables() {
    const int64_t supported = SupportedTargets();
    for (int32_t level = 0; level < NC_LEVELS; level++) {
      const int64_t target = TargetOf(level);
      present[level] = level == NC_LEVEL_SCALAR || (supported & target) != 0;
      at[level] = nc_kernels();
      InstallScalar(&at[level]);
      InstallElementwiseScalar(&at[level]);
      at[level].level = level;
      if (!present[level] || level == NC_LEVEL_SCALAR) continue;
      InstallConv(target, &at[level]);
      InstallDepthwise(target, &at[level]);
      InstallElementwise(target, &at[level]);
    }
    int32_t cap = NC_LEVELS - 1;
    if (const char* wish = std::getenv("NCCODEC_SIMD")) {
      for (int32_t level = 0; level < NC_LEVELS; level++)
        if (std::strcmp(wish, nc_level_name(level)) == 0) cap = level;
    }
    while (cap > 0 && !present[cap]) cap--;
    current = &at[cap];
  }
};

const Tables& AllTables() {
  static const Tables tables;
  return tables;
}

}  // namespace
}  // namespace nc

const nc_kernels* nc_kernels_at(int32_t level) {
  if (level < 0 || level >= NC_LEVELS) return nullptr;
  const nc::Tables& tables = nc::AllTables();
  return tables.present[level] ? &tables.at[level] : nullptr;
}

const nc_kernels* nc_kernels_current(void) { return nc::AllTables().current; }

const char* nc_level_name(int32_t level) {
  switch (level) {
    case NC_LEVEL_SCALAR: return "scalar";
#if HWY_ARCH_ARM
    case NC_LEVEL_128: return "neon";
#else
    case NC_LEVEL_128: return "sse4";
#endif
    case NC_LEVEL_AVX2: return "avx2";
    case NC_LEVEL_AVX512: return "avx512";
    default: return "?";
  }
}
