// 12-bit static-table rANS, up to 32 interleaved lanes of 32-bit states and 16-bit words.
// bitstream-spec 5.7
#ifndef NCCODEC_RANS_H
#define NCCODEC_RANS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// SIMD levels, as NCCODEC_SIMD names them. On other machines than x86, every level above scalar means the native one.
enum { rans_scalar = 0, rans_sse4 = 1, rans_avx2 = 2, rans_avx512 = 3 };

// The best level that this machine has and NCCODEC_SIMD allows.
int rans_level(void);

// Decodes up to `count` symbols and returns how many it decoded; it stops early only where the next step could read
// the last word, whose rule the caller knows.
//
// table: 4096 entries, one per quantile: symbol (bits 0-7), width - 1 (8-19), quantile - start (20-31).
// lanes: `lane_count` states (a power of two, at most 32); symbol i of this call uses lane i % lane_count.
// words: little-endian 16-bit words, not necessarily aligned; word_count of them are readable; *used is set to how
//   many were taken.
// Any states and words are safe.
size_t rans_decode_scalar(
    const uint32_t *table, uint32_t *lanes, size_t lane_count, const uint8_t *words, size_t word_count, size_t *used,
    uint8_t *symbols, size_t count);

// As rans_decode_scalar with 32 lanes, at `level` or the nearest one below that this machine has; stops early also
// where fewer than 32 symbols or 33 words are left.
size_t rans_decode_32(
    int level, const uint32_t *table, uint32_t *lanes, const uint8_t *words, size_t word_count, size_t *used,
    uint8_t *symbols, size_t count);

// Encodes symbols[count - 1], ..., symbols[0]; symbol i uses lane i % lane_count. Returns how many words it wrote.
//
// table: 256 entries, one per symbol: start (bits 0-15), width (16-31), 1...4096 for every symbol that occurs.
// lanes: `lane_count` states (a power of two, at most 32), each in 2^16...2^32 - 1, as after the first word.
// words: room for `count` + 8; in the order of writing, which the stream has reversed.
size_t rans_encode_scalar(
    const uint32_t *table, uint32_t *lanes, size_t lane_count, const uint8_t *symbols, size_t count, uint16_t *words);

// As rans_encode_scalar with 32 lanes and `count` a multiple of 32, at `level` or the nearest one below.
size_t rans_encode_32(
    int level, const uint32_t *table, uint32_t *lanes, const uint8_t *symbols, size_t count, uint16_t *words);

#ifdef __cplusplus
}
#endif

#endif
