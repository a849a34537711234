// 32 lanes of rANS at a time, in vectors of at most 8, backwards. rans_scalar.cpp is the definition.
#include "cpu.h"
#include "rans.h"

#undef HWY_TARGET_INCLUDE
// Relative to include/, the one folder that is on the search path.
#define HWY_TARGET_INCLUDE "../rans_encode.cpp"
#include <hwy/foreach_target.h>

#include <hwy/highway.h>

// For each set of lanes that give a word: those lanes, the highest first.
#ifndef NCCODEC_RANS_GIVING
#define NCCODEC_RANS_GIVING
namespace {
struct GivingLanes {
  alignas(64) int32_t indices[256][8];
  constexpr GivingLanes() : indices() {
    for (int mask = 0; mask < 256; mask++) {
      int next = 0;
      for (int lane = 7; lane >= 0; lane--) {
        if (mask >> lane & 1) indices[mask][next++] = lane;
      }
    }
  }
};
constexpr GivingLanes giving_lanes;
}  // namespace
#endif

HWY_BEFORE_NAMESPACE();
namespace nccodec {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// floor(x / w) for x < w * 2^20: exact, as the quotient of doubles is off by far less than the 1/4096 by which x / w
// may fall short of a whole number.
template <class D, class V>
HWY_INLINE V Quotient(D d, V x, V w) {
  const hn::RebindToSigned<D> di;
  const hn::Half<decltype(di)> dh;
  const hn::Rebind<double, decltype(dh)> df;
  const auto middle = hn::Set(df, 2147483648.0);
  // Doubles come from signed numbers.
  const auto xi = hn::BitCast(di, hn::Xor(x, hn::Set(d, 0x80000000u)));
  const auto wi = hn::BitCast(di, w);
  const auto low = hn::Div(hn::Add(hn::PromoteTo(df, hn::LowerHalf(dh, xi)), middle), hn::PromoteTo(df, hn::LowerHalf(dh, wi)));
  const auto high = hn::Div(hn::Add(hn::PromoteTo(df, hn::UpperHalf(dh, xi)), middle), hn::PromoteTo(df, hn::UpperHalf(dh, wi)));
  return hn::BitCast(d, hn::Combine(di, hn::DemoteTo(dh, high), hn::DemoteTo(dh, low)));
}

size_t EncodeRans32(
    const uint32_t *HWY_RESTRICT table, uint32_t *HWY_RESTRICT lanes, const uint8_t *HWY_RESTRICT symbols, size_t count,
    uint16_t *HWY_RESTRICT words) {
  const hn::CappedTag<uint32_t, 8> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::Rebind<uint16_t, decltype(d)> d16;
  const hn::Rebind<int32_t, decltype(d)> ds;
  const hn::Rebind<uint8_t, decltype(d)> d8;
  using V = hn::Vec<decltype(d)>;
  constexpr size_t N = hn::MaxLanes(hn::CappedTag<uint32_t, 8>());
  constexpr size_t kVectors = 32 / N;
  const V low16 = hn::Set(d, 65535);
  const int32_t *entries = reinterpret_cast<const int32_t *>(table);

  V x[kVectors];
  for (size_t v = 0; v < kVectors; v++) x[v] = hn::LoadU(d, lanes + v * N);
  uint16_t *next = words;
  for (size_t n = count; n > 0; n -= 32) {
    const uint8_t *group = symbols + n - 32;
    HWY_UNROLL(8)
    for (size_t i = 0; i < kVectors; i++) {
      const size_t v = kVectors - 1 - i;
      const auto symbol = hn::PromoteTo(ds, hn::LoadU(d8, group + v * N));
      const V entry = hn::BitCast(d, hn::GatherIndex(di, entries, symbol));
      const V width = hn::ShiftRight<16>(entry);
      const auto gives = hn::Not(hn::Lt(hn::ShiftRight<20>(x[v]), width));
      uint8_t bits[8] = {0};
      hn::StoreMaskBits(d, gives, bits);
      const V given = hn::TableLookupLanes(hn::And(x[v], low16), hn::SetTableIndices(d, giving_lanes.indices[bits[0]]));
      hn::StoreU(hn::DemoteTo(d16, hn::BitCast(ds, given)), d16, next);
      next += hwy::PopCount(static_cast<uint64_t>(bits[0]));
      const V y = hn::IfThenElse(gives, hn::ShiftRight<16>(x[v]), x[v]);
      const V q = Quotient(d, y, width);
      const V rest = hn::Sub(y, hn::Mul(q, width));
      x[v] = hn::Add(hn::Add(hn::ShiftLeft<12>(q), rest), hn::And(entry, low16));
    }
  }
  for (size_t v = 0; v < kVectors; v++) hn::StoreU(x[v], d, lanes + v * N);
  return static_cast<size_t>(next - words);
}

}  // namespace HWY_NAMESPACE
}  // namespace nccodec
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

size_t rans_encode_32(
    int level, const uint32_t *table, uint32_t *lanes, const uint8_t *symbols, size_t count, uint16_t *words) {
  const auto supported = nc::SupportedTargets();
  (void)supported;
#if HWY_TARGETS & HWY_AVX3
  if (level >= rans_avx512 && (supported & HWY_AVX3))
    return nccodec::N_AVX3::EncodeRans32(table, lanes, symbols, count, words);
#endif
#if HWY_TARGETS & HWY_AVX2
  if (level >= rans_avx2 && (supported & HWY_AVX2))
    return nccodec::N_AVX2::EncodeRans32(table, lanes, symbols, count, words);
#endif
#if HWY_TARGETS & HWY_SSE4
  if (level >= rans_sse4 && (supported & HWY_SSE4))
    return nccodec::N_SSE4::EncodeRans32(table, lanes, symbols, count, words);
#endif
#if HWY_TARGETS & HWY_NEON
  if (level >= rans_sse4 && (supported & HWY_NEON))
    return nccodec::N_NEON::EncodeRans32(table, lanes, symbols, count, words);
#endif
  return rans_encode_scalar(table, lanes, 32, symbols, count, words);
}

#endif  // HWY_ONCE
