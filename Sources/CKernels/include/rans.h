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
// table: as rans_encode_table makes it; of every symbol that occurs the width is at least 1.
// lanes: `lane_count` states (a power of two, at most 32), each in 2^16...2^32 - 1, as after the first word.
// end: the words' end, in front of which there is room for `count` + 8; they are written downwards, as the stream has them.
size_t rans_encode_scalar(
    const uint32_t *table, uint32_t *lanes, size_t lane_count, const uint8_t *symbols, size_t count, uint16_t *end);

// As rans_encode_scalar with 32 lanes and `count` a multiple of 32, at `level` or the nearest one below.
size_t rans_encode_32(
    int level, const uint32_t *table, uint32_t *lanes, const uint8_t *symbols, size_t count, uint16_t *end);

// The table for decoding, 4096 entries, of symbols with these widths: at most 256, whose sum is 4096.
void rans_decode_table(const uint32_t *widths, size_t count, uint32_t *table);

// The same for encoding. table: 512 entries. Of symbol s, the first 256 hold the start (bits 0-11), the shift (12-15), the width (16-28) and an addend (31), the others a factor: of states x that s takes,
// x / width = ((x + addend) * factor >> 32) >> shift.
void rans_encode_table(const uint32_t *widths, size_t count, uint32_t *table);

#ifdef __cplusplus
}
#endif

#endif
