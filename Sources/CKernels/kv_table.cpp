// The tables of kv.h, and what is the same at every level.
#include <cstring>
#include <initializer_list>

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

namespace {

// Swaps the bytes of a and b that `mask` selects after moving a's up by `shift` bits.
inline void Swap(uint64_t* a, uint64_t* b, int shift, uint64_t mask) {
  const uint64_t t = ((*a >> shift) ^ *b) & mask;
  *b ^= t;
  *a ^= t << shift;
}

// An 8x8 block, in three rounds of exchanges between rows 4, 2 and 1 apart.
inline void Transpose8(const uint8_t* from, size_t from_stride, uint8_t* to, size_t to_stride) {
  uint64_t rows[8];
  for (int i = 0; i < 8; i++) std::memcpy(&rows[i], from + i * from_stride, 8);
  for (int i = 0; i < 4; i++) Swap(&rows[i], &rows[i + 4], 32, 0x00000000FFFFFFFFu);
  for (int i : {0, 1, 4, 5}) Swap(&rows[i], &rows[i + 2], 16, 0x0000FFFF0000FFFFu);
  for (int i : {0, 2, 4, 6}) Swap(&rows[i], &rows[i + 1], 8, 0x00FF00FF00FF00FFu);
  for (int i = 0; i < 8; i++) std::memcpy(to + i * to_stride, &rows[i], 8);
}

}  // namespace

void nc_kv_transpose(const uint8_t* from, size_t rows, size_t columns, uint8_t* to) {
  const size_t whole = rows & ~size_t{7};
  for (size_t c = 0; c < columns; c += 8) {
    if (c + 8 <= columns) {
      for (size_t r = 0; r < whole; r += 8) Transpose8(from + r * columns + c, columns, to + c * rows + r, rows);
    }
    const size_t end = c + 8 <= columns ? c + 8 : columns;
    for (size_t r = c + 8 <= columns ? whole : 0; r < rows; r++)
      for (size_t i = c; i < end; i++) to[i * rows + r] = from[r * columns + i];
  }
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
