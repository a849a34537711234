// The tables of tiles.h.
#include "internal.h"
#include "tiles_internal.h"

namespace nc {
namespace {

struct Tables {
  nc_tiles at[NC_LEVELS];

  Tables() {
    for (int32_t level = 0; level < NC_LEVELS; level++) {
      const int64_t target = TargetOf(level);
      InstallContext(target, &at[level]);
      InstallPerceptron(target, &at[level]);
    }
  }
};

}  // namespace
}  // namespace nc

const nc_tiles* nc_tiles_at(int32_t level) {
  static const nc::Tables tables;
  return nc_kernels_at(level) ? &tables.at[level] : nullptr;
}
