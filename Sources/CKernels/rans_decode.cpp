// 32 lanes of rANS at a time, in vectors of at most 8. rans_scalar.cpp is the definition.
#include <cstdlib>
#include <cstring>

#include "cpu.h"
#include "rans.h"

#undef HWY_TARGET_INCLUDE
// Relative to include/, the one folder that is on the search path.
#define HWY_TARGET_INCLUDE "../rans_decode.cpp"
#include <hwy/foreach_target.h>

#include <hwy/highway.h>

// For each set of lanes that want a word, which of the next words each takes: entry `mask`, lane i: the number of
// wanting lanes below i. Lanes that want none get some word that is then not used.
#ifndef NCCODEC_RANS_ORDER
#define NCCODEC_RANS_ORDER
namespace {
struct WordOrder {
  alignas(64) int32_t indices[256][8];
  constexpr WordOrder() : indices() {
    for (int mask = 0; mask < 256; mask++) {
      int next = 0;
      for (int lane = 0; lane < 8; lane++) {
        indices[mask][lane] = next & 7;
        if (mask >> lane & 1) next++;
      }
    }
  }
};
constexpr WordOrder word_order;
}  // namespace
#endif

HWY_BEFORE_NAMESPACE();
namespace nccodec {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

size_t DecodeRans32(
    const uint32_t *HWY_RESTRICT table, uint32_t *HWY_RESTRICT lanes, const uint8_t *HWY_RESTRICT words,
    size_t word_count, size_t *used, uint8_t *HWY_RESTRICT symbols, size_t count) {
  // Words are little-endian in the stream and loaded as they are, like every machine that Swift runs on.
  const hn::CappedTag<uint32_t, 8> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::Rebind<uint16_t, decltype(d)> d16;
  const hn::Rebind<uint8_t, decltype(d)> d8;
  using V = hn::Vec<decltype(d)>;
  constexpr size_t N = hn::MaxLanes(hn::CappedTag<uint32_t, 8>());
  constexpr size_t kVectors = 32 / N;
  const V low12 = hn::Set(d, 4095);
  const V bound = hn::Set(d, 65536);
  const int32_t *entries = reinterpret_cast<const int32_t *>(table);

  V x[kVectors];
  for (size_t v = 0; v < kVectors; v++) x[v] = hn::LoadU(d, lanes + v * N);
  size_t taken = 0;
  size_t n = 0;
  // 32 steps take at most 32 words and may look at 8 from the last one taken: never the last word, never past it.
  while (n + 32 <= count && taken + 40 <= word_count) {
    const uint16_t *next = reinterpret_cast<const uint16_t *>(words + 2 * taken);
    const uint16_t *const first = next;
    HWY_UNROLL(8)
    for (size_t v = 0; v < kVectors; v++) {
      const V entry = hn::BitCast(d, hn::GatherIndex(di, entries, hn::BitCast(di, hn::And(x[v], low12))));
      const V high = hn::ShiftRight<12>(x[v]);
      const V narrower = hn::And(hn::ShiftRight<8>(entry), low12);
      const V y = hn::Add(hn::Add(hn::Mul(narrower, high), high), hn::ShiftRight<20>(entry));
      hn::StoreU(hn::U8FromU32(hn::And(entry, hn::Set(d, 255))), d8, symbols + n + v * N);
      const auto wants = hn::Lt(y, bound);
      uint8_t bits[8] = {0};
      hn::StoreMaskBits(d, wants, bits);
      const V loaded = hn::PromoteTo(d, hn::LoadU(d16, next));
      const V ordered = hn::TableLookupLanes(loaded, hn::SetTableIndices(d, word_order.indices[bits[0]]));
      x[v] = hn::IfThenElse(wants, hn::Or(hn::ShiftLeft<16>(y), ordered), y);
      next += hwy::PopCount(static_cast<uint64_t>(bits[0]));
    }
    taken += static_cast<size_t>(next - first);
    n += 32;
  }
  for (size_t v = 0; v < kVectors; v++) hn::StoreU(x[v], d, lanes + v * N);
  *used = taken;
  return n;
}

}  // namespace HWY_NAMESPACE
}  // namespace nccodec
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace {

using Decode = size_t (*)(
    const uint32_t *, uint32_t *, const uint8_t *, size_t, size_t *, uint8_t *, size_t);

size_t DecodeScalar32(
    const uint32_t *table, uint32_t *lanes, const uint8_t *words, size_t word_count, size_t *used, uint8_t *symbols,
    size_t count) {
  return rans_decode_scalar(table, lanes, 32, words, word_count, used, symbols, count & ~size_t{31});
}

// The kernel for `level`, and which level it really is.
Decode Pick(int level, int *picked) {
  const auto supported = nc::SupportedTargets();
  (void)supported;
#if HWY_TARGETS & HWY_AVX3
  if (level >= rans_avx512 && (supported & HWY_AVX3)) return *picked = rans_avx512, nccodec::N_AVX3::DecodeRans32;
#endif
#if HWY_TARGETS & HWY_AVX2
  if (level >= rans_avx2 && (supported & HWY_AVX2)) return *picked = rans_avx2, nccodec::N_AVX2::DecodeRans32;
#endif
#if HWY_TARGETS & HWY_SSE4
  if (level >= rans_sse4 && (supported & HWY_SSE4)) return *picked = rans_sse4, nccodec::N_SSE4::DecodeRans32;
#endif
#if HWY_TARGETS & HWY_NEON
  if (level >= rans_sse4 && (supported & HWY_NEON)) return *picked = level, nccodec::N_NEON::DecodeRans32;
#endif
  return *picked = rans_scalar, DecodeScalar32;
}

int AllowedLevel() {
  const char *name = std::getenv("NCCODEC_SIMD");
  if (name == nullptr) return rans_avx512;
  if (std::strcmp(name, "scalar") == 0) return rans_scalar;
  if (std::strcmp(name, "sse4") == 0) return rans_sse4;
  if (std::strcmp(name, "avx2") == 0) return rans_avx2;
  return rans_avx512;
}

}  // namespace

int rans_level(void) {
  static const int level = [] {
    int picked;
    Pick(AllowedLevel(), &picked);
    return picked;
  }();
  return level;
}

size_t rans_decode_32(
    int level, const uint32_t *table, uint32_t *lanes, const uint8_t *words, size_t word_count, size_t *used,
    uint8_t *symbols, size_t count) {
  int picked;
  return Pick(level, &picked)(table, lanes, words, word_count, used, symbols, count);
}

#endif  // HWY_ONCE
