// The tables of kv.h.
#include "internal.h"
#include "kv_internal.h"

namespace nc {
namespace {

struct Tables {
  nc_kv at[NC_LEVELS];

  Tables() {
    for (int32_t level = 0; level < NC_LEVELS; level++) {
      nc_kv* table = &at[level];
      *table = nc_kv();
      InstallKVBlocksScalar(table);
      table->level = level;
      if (level != NC_LEVEL_SCALAR) InstallKVBlocks(TargetOf(level), table);
    }
  }
};

}  // namespace
}  // namespace nc

const nc_kv* nc_kv_at(int32_t level) {
  static const nc::Tables tables;
  return nc_kernels_at(level) ? &tables.at[level] : nullptr;
}
