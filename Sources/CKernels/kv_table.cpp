// The tables of kv.h, and what is the same at every level.
#include <cstring>

#include "internal.h"
#include "kv_internal.h"

#pragma clang fp contract(off)

namespace nc {
namespace {

struct Tables {
  nc_kv at[NC_LEVELS];

  Tables() {
    for (int32_t level = 0; level < NC_LEVELS; level++) {
      nc_kv* table = &at[level];
      *table = nc_kv();
      InstallKVBlocksScalar(table);
      InstallKVLinearScalar(table);
      InstallKVSymbolsScalar(table);
      table->level = level;
      if (level == NC_LEVEL_SCALAR) continue;
      InstallKVBlocks(TargetOf(level), table);
      InstallKVLinear(TargetOf(level), table);
      InstallKVSymbols(TargetOf(level), table);
    }
  }
};

}  // namespace
}  // namespace nc

const nc_kv* nc_kv_at(int32_t level) {
  static const nc::Tables tables;
  return nc_kernels_at(level) ? &tables.at[level] : nullptr;
}

void nc_kv_count(const uint8_t* bytes, size_t count, uint32_t* counts) {
  // Several histograms, so that runs of a symbol do not wait for themselves.
  uint32_t parts[4][256] = {};
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    uint64_t eight;
    std::memcpy(&eight, bytes + i, 8);
    for (int k = 0; k < 8; k++) parts[k & 3][static_cast<uint8_t>(eight >> 8 * k)]++;
  }
  for (; i < count; i++) parts[0][bytes[i]]++;
  for (int s = 0; s < 256; s++) counts[s] = parts[0][s] + parts[1][s] + parts[2][s] + parts[3][s];
}

void nc_kv_scale(const float* from, const float* scales, size_t count, float* to) {
  for (size_t i = 0; i < count; i++) {
    const float v = from[i] * scales[i];
    to[i] = v == v ? v : 0;
  }
}

void nc_kv_turn(float* channels, size_t pairs, int32_t halves, const float* cosines, const float* sines) {
  const size_t step = halves ? 1 : 2, apart = halves ? pairs : 1;
  for (size_t i = 0; i < pairs; i++) {
    float *x = channels + i * step, *y = x + apart;
    const float a = *x * cosines[i], b = *y * sines[i], c = *x * sines[i], d = *y * cosines[i];
    *x = a - b;
    *y = c + d;
  }
}
