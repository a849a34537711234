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
    const uint32_t *table, uint32_t *lanes, size_t lane_count, const uint8_t *symbols, size_t count, uint16_t *words) {
  size_t written = 0;
  for (size_t n = count; n-- > 0;) {
    uint32_t x = lanes[n & (lane_count - 1)];
    const uint32_t entry = table[symbols[n]];
    const uint32_t width = entry >> 16;
    if (x >> 20 >= width) {
      words[written++] = static_cast<uint16_t>(x);
      x >>= 16;
    }
    lanes[n & (lane_count - 1)] = ((x / width) << 12) + x % width + (entry & 65535);
  }
  return written;
}
