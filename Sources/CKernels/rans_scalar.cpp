// The scalar twin: this is the definition that the SIMD kernel is held against.
#include <cstring>

#include "rans.h"

size_t rans_decode_scalar(
    const uint32_t *table, uint32_t *lanes, size_t lane_count, const uint8_t *words, size_t word_count, size_t *used,
    uint8_t *symbols, size_t count) {
  size_t taken = 0;
  size_t n = 0;
  // One word at most per symbol, and the last one is not for us.
  for (; n < count && taken + 1 < word_count; n++) {
    uint32_t x = lanes[n & (lane_count - 1)];
    const uint32_t entry = table[x & 4095];
    symbols[n] = static_cast<uint8_t>(entry);
    const uint32_t high = x >> 12;
    x = ((entry >> 8) & 4095) * high + high + (entry >> 20);
    if (x < 65536) {
      x = x << 16 | static_cast<uint32_t>(words[2 * taken]) | static_cast<uint32_t>(words[2 * taken + 1]) << 8;
      taken++;
    }
    lanes[n & (lane_count - 1)] = x;
  }
  *used = taken;
  return n;
}

size_t rans_encode_scalar(
    const uint32_t *table, uint32_t *lanes, size_t lane_count, const uint8_t *symbols, size_t count, uint16_t *end) {
  uint16_t *next = end;
  for (size_t n = count; n-- > 0;) {
    uint32_t x = lanes[n & (lane_count - 1)];
    const uint32_t entry = table[symbols[n]];
    const uint32_t width = entry >> 16 & 8191;
    if (x >> 20 >= width) {
      *--next = static_cast<uint16_t>(x);
      x >>= 16;
    }
    lanes[n & (lane_count - 1)] = ((x / width) << 12) + x % width + (entry & 4095);
  }
  return static_cast<size_t>(end - next);
}

void rans_decode_table(const uint32_t *widths, size_t count, uint32_t *table) {
  for (size_t s = 0; s < count; s++) {
    const uint32_t width = widths[s], common = static_cast<uint32_t>(s) | (width - 1) << 8;
    for (uint32_t i = 0; i < width; i++) table[i] = common | i << 20;
    table += width;
  }
}

void rans_encode_table(const uint32_t *widths, size_t count, uint32_t *table) {
  std::memset(table, 0, 512 * sizeof *table);
  uint32_t start = 0;
  for (size_t s = 0; s < count; s++) {
    const uint32_t width = widths[s];
    if (width == 0) continue;
    uint32_t shift = 0;
    while (width >> (shift + 1) > 0) shift++;
    // States x are below 2^20 widths. With r = 2^(32 + shift) / width rounded up by e / width, floor(x r / 2^(32 + shift)) is
    // the quotient if x e < 2^(32 + shift), so always for shifts up to 10, and for 11 if e <= 2^11; with r rounded down by
    // e / width and x + 1 for x, if (x + 1) e <= 2^(32 + shift), so always for 11 if e <= 2^11. Of the two e, which add up to the
    // width, one is. Of powers of two, 2^32 - 1 is the second kind with e below 1.
    uint32_t factor = 0xFFFFFFFFu, more = 1;
    if ((width & (width - 1)) != 0) {
      const uint64_t power = uint64_t{1} << (32 + shift);
      const uint64_t down = power / width, above = width - power % width;
      more = shift == 11 && above > 2048;
      factor = static_cast<uint32_t>(more ? down : down + 1);
    }
    table[s] = start | shift << 12 | width << 16 | more << 31;
    table[256 + s] = factor;
    start += width;
  }
}
