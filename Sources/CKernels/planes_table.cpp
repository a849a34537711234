// The tables of planes.h, and the scratch memory.
#include "planes.h"

#include <cstdlib>
#include <new>

#include "internal.h"

namespace nc {
namespace {

struct Scratch {
  float* at = nullptr;
  size_t floats = 0;
  ~Scratch() { std::free(at); }
};

struct Tables {
  nc_planes at[NC_LEVELS];

  Tables() {
    for (int32_t level = 0; level < NC_LEVELS; level++) {
      nc_planes* table = &at[level];
      *table = nc_planes();
      InstallPlanesBasicScalar(table);
      InstallPlanesRoundScalar(table);
      InstallPlanesUpsampleScalar(table);
      InstallPlanesSymmetricScalar(table);
      InstallPlanesConv3Scalar(table);
      InstallPlanesDenseScalar(table);
      InstallPlanesShuffleScalar(table);
      InstallPlanesNormScalar(table);
      InstallPlanesConvolveScalar(table);
      table->level = level;
      if (level == NC_LEVEL_SCALAR) continue;
      const int64_t target = TargetOf(level);
      InstallPlanesBasic(target, table);
      InstallPlanesRound(target, table);
      InstallPlanesUpsample(target, table);
      InstallPlanesSymmetric(target, table);
      InstallPlanesConv3(target, table);
      InstallPlanesDense(target, table);
      InstallPlanesShuffle(target, table);
      InstallPlanesNorm(target, table);
      InstallPlanesConvolve(target, table);
    }
  }
};

}  // namespace

float* PlaneScratch(size_t floats) {
  static thread_local Scratch scratch;
  if (floats > scratch.floats) {
    std::free(scratch.at);
    const size_t rounded = RoundUp16(floats + floats / 2);
    scratch.at = static_cast<float*>(std::aligned_alloc(64, rounded * sizeof(float)));
    if (!scratch.at) std::abort();  // a few rows of a picture; nothing could go on without them
    scratch.floats = rounded;
  }
  return scratch.at;
}

}  // namespace nc

const nc_planes* nc_planes_at(int32_t level) {
  static const nc::Tables tables;
  // Presence is the same question for every table of kernels.
  return nc_kernels_at(level) ? &tables.at[level] : nullptr;
}
