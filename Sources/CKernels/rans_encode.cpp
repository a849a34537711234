// 32 lanes of rANS at a time, in vectors of at most 8, backwards. rans_scalar.cpp is the definition.
#include "cpu.h"
#include "rans.h"

#undef HWY_TARGET_INCLUDE
// Relative to include/, the one folder that is on the search path.
#define HWY_TARGET_INCLUDE "../rans_encode.cpp"
#include <hwy/foreach_target.h>

#include <hwy/highway.h>

// For each set of lanes that give a word: those lanes, the highest last and in the last place.
#ifndef NCCODEC_RANS_GIVING
#define NCCODEC_RANS_GIVING
namespace {
template <int N>
struct GivingLanes {
  alignas(64) int32_t indices[1 << N][N];
  constexpr GivingLanes() : indices() {
    for (int mask = 0; mask < 1 << N; mask++) {
      int next = N;
      for (int lane = N - 1; lane >= 0; lane--) {
        if (mask >> lane & 1) indices[mask][--next] = lane;
      }
    }
  }
};
template <int N>
constexpr GivingLanes<N> giving_lanes{};
}  // namespace
#endif

HWY_BEFORE_NAMESPACE();
namespace nccodec {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The high halves of products.
template <class D, class V>
HWY_INLINE V HighProduct(D d, V a, V b) {
  const hn::RepartitionToWide<D> dw;
  const V even = hn::BitCast(d, hn::ShiftRight<32>(hn::MulEven(a, b)));
  const V a_odd = hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(dw, a)));
  const V b_odd = hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(dw, b)));
  return hn::OddEven(hn::BitCast(d, hn::MulEven(a_odd, b_odd)), even);
}

size_t EncodeRans32(
    const uint32_t *HWY_RESTRICT table, uint32_t *HWY_RESTRICT lanes, const uint8_t *HWY_RESTRICT symbols, size_t count,
    uint16_t *HWY_RESTRICT end) {
  const hn::CappedTag<uint32_t, 8> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::Rebind<uint16_t, decltype(d)> d16;
  const hn::Rebind<int32_t, decltype(d)> ds;
  const hn::Rebind<uint8_t, decltype(d)> d8;
  using V = hn::Vec<decltype(d)>;
  constexpr size_t N = hn::MaxLanes(hn::CappedTag<uint32_t, 8>());
  constexpr size_t kVectors = 32 / N;
  const V low16 = hn::Set(d, 65535), low12 = hn::Set(d, 4095);
  const int32_t *entries = reinterpret_cast<const int32_t *>(table);

  V x[kVectors];
  for (size_t v = 0; v < kVectors; v++) x[v] = hn::LoadU(d, lanes + v * N);
  uint16_t *next = end;
  for (size_t n = count; n > 0; n -= 32) {
    const uint8_t *group = symbols + n - 32;
    HWY_UNROLL(8)
    for (size_t i = 0; i < kVectors; i++) {
      const size_t v = kVectors - 1 - i;
      const auto symbol = hn::PromoteTo(ds, hn::LoadU(d8, group + v * N));
      const V entry = hn::BitCast(d, hn::GatherIndex(di, entries, symbol));
      const V factor = hn::BitCast(d, hn::GatherIndex(di, entries + 256, symbol));
      const V width = hn::And(hn::ShiftRight<16>(entry), hn::Set(d, 8191));
      const auto gives = hn::Not(hn::Lt(hn::ShiftRight<20>(x[v]), width));
      uint8_t bits[8] = {0};
      hn::StoreMaskBits(d, gives, bits);
      const V given = hn::TableLookupLanes(hn::And(x[v], low16), hn::SetTableIndices(d, giving_lanes<N>.indices[bits[0]]));
      // What is below the words will be overwritten.
      hn::StoreU(hn::DemoteTo(d16, hn::BitCast(ds, given)), d16, next - N);
      next -= hwy::PopCount(static_cast<uint64_t>(bits[0]));
      const V y = hn::IfThenElse(gives, hn::ShiftRight<16>(x[v]), x[v]);
      const V product = HighProduct(d, hn::Add(y, hn::ShiftRight<31>(entry)), factor);
      const V q = hn::Shr(product, hn::And(hn::ShiftRight<12>(entry), hn::Set(d, 15)));
      // 4096 q + (y - q width) + start
      x[v] = hn::Add(hn::Add(y, hn::And(entry, low12)), hn::Mul(q, hn::Sub(hn::Set(d, 4096), width)));
    }
  }
  for (size_t v = 0; v < kVectors; v++) hn::StoreU(x[v], d, lanes + v * N);
  return static_cast<size_t>(end - next);
}

}  // namespace HWY_NAMESPACE
}  // namespace nccodec
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

size_t rans_encode_32(
    int level, const uint32_t *table, uint32_t *lanes, const uint8_t *symbols, size_t count, uint16_t *end) {
  const auto supported = nc::SupportedTargets();
  (void)supported;
#if HWY_TARGETS & HWY_AVX3
  if (level >= rans_avx512 && (supported & HWY_AVX3))
    return nccodec::N_AVX3::EncodeRans32(table, lanes, symbols, count, end);
#endif
#if HWY_TARGETS & HWY_AVX2
  if (level >= rans_avx2 && (supported & HWY_AVX2))
    return nccodec::N_AVX2::EncodeRans32(table, lanes, symbols, count, end);
#endif
#if HWY_TARGETS & HWY_SSE4
  if (level >= rans_sse4 && (supported & HWY_SSE4))
    return nccodec::N_SSE4::EncodeRans32(table, lanes, symbols, count, end);
#endif
#if HWY_TARGETS & HWY_NEON
  if (level >= rans_sse4 && (supported & HWY_NEON))
    return nccodec::N_NEON::EncodeRans32(table, lanes, symbols, count, end);
#endif
  return rans_encode_scalar(table, lanes, 32, symbols, count, end);
}

#endif  // HWY_ONCE
