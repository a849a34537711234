// A linear layer over planes of int16, positions in the lanes: pairs of input rows are interleaved once per group of
// positions, then every output is a chain of pairwise multiply-adds with a broadcast pair of weights.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "overfit_linear.cpp"
#include "targets.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "cpu.h"
#include "internal.h"
#include "overfit.h"

HWY_BEFORE_NAMESPACE();
namespace nc {
namespace HWY_NAMESPACE {
#if HWY_TARGET != HWY_EMU128 && HWY_TARGET != HWY_SCALAR
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D16 = hn::CappedTag<int16_t, NC_OVERFIT_GROUP>;
using D32 = hn::Repartition<int32_t, D16>;
using V16 = hn::Vec<D16>;
using V32 = hn::Vec<D32>;
constexpr size_t kLanes = hn::MaxLanes(D16());

// Outputs o...o + kO - 1 of one group of positions whose interleaved input pairs are at `x`.
template <size_t kO>
HWY_INLINE void Outputs(const nc_overfit_layer* layer, size_t o, size_t pairs, const int16_t* HWY_RESTRICT x,
                        int16_t* const* out, size_t at, bool relu) {
  const D16 d;
  const D32 d32;
  V32 low[kO], high[kO], low1[kO], high1[kO];  // the second sums are for targets that keep two; dead elsewhere
  const int16_t* w[kO];
  HWY_UNROLL(4)
  for (size_t i = 0; i < kO; i++) {
    low[i] = high[i] = low1[i] = high1[i] = hn::Zero(d32);
    w[i] = layer->weights + (o + i) * pairs * 2;
  }
  for (size_t p = 0; p < pairs; p++) {
    const auto a = hn::Load(d, x + 2 * p * kLanes), b = hn::Load(d, x + (2 * p + 1) * kLanes);
    HWY_UNROLL(4)
    for (size_t i = 0; i < kO; i++) {
      int32_t pair;
      std::memcpy(&pair, w[i] + 2 * p, sizeof(pair));
      const auto weight = hn::BitCast(d, hn::Set(d32, pair));
      low[i] = hn::ReorderWidenMulAccumulate(d32, a, weight, low[i], low1[i]);
      high[i] = hn::ReorderWidenMulAccumulate(d32, b, weight, high[i], high1[i]);
    }
  }
  HWY_UNROLL(4)
  for (size_t i = 0; i < kO; i++) {
    const int shift = layer->shift[o + i];
    const auto bias = hn::Set(d32, layer->bias[o + i]);
    const auto l = hn::ShiftRightSame(hn::Add(hn::RearrangeToOddPlusEven(low[i], low1[i]), bias), shift);
    const auto h = hn::ShiftRightSame(hn::Add(hn::RearrangeToOddPlusEven(high[i], high1[i]), bias), shift);
    // Interleaving and packing both go by blocks of 128 bits, so positions are in order again.
    auto y = hn::ReorderDemote2To(d, l, h);
    if (relu) y = hn::Max(y, hn::Zero(d));
    hn::StoreU(y, d, out[o + i] + at);
  }
}

// As Linear for up to eight inputs, which then stay in registers.
template <size_t kPairs>
HWY_NOINLINE void Few(const nc_overfit_layer* layer, const int16_t* const* rows, int16_t* const* out, size_t count,
                      bool relu) {
  const D16 d;
  const D32 d32;
  const size_t outputs = layer->outputs;
  const bool odd = layer->inputs % 2 != 0;
  for (size_t at = 0; at < count; at += kLanes) {
    V16 a[kPairs], b[kPairs];
    HWY_UNROLL(4)
    for (size_t p = 0; p < kPairs; p++) {
      const auto x = hn::LoadU(d, rows[2 * p] + at);
      const auto y = p + 1 == kPairs && odd ? hn::Zero(d) : hn::LoadU(d, rows[2 * p + 1] + at);
      a[p] = hn::InterleaveLower(d, x, y);
      b[p] = hn::InterleaveUpper(d, x, y);
    }
    for (size_t o = 0; o < outputs; o++) {
      V32 low = hn::Zero(d32), high = hn::Zero(d32), low1 = hn::Zero(d32), high1 = hn::Zero(d32);
      HWY_UNROLL(4)
      for (size_t p = 0; p < kPairs; p++) {
        int32_t pair;
        std::memcpy(&pair, layer->weights + (o * kPairs + p) * 2, sizeof(pair));
        const auto weight = hn::BitCast(d, hn::Set(d32, pair));
        low = hn::ReorderWidenMulAccumulate(d32, a[p], weight, low, low1);
        high = hn::ReorderWidenMulAccumulate(d32, b[p], weight, high, high1);
      }
      const int shift = layer->shift[o];
      const auto bias = hn::Set(d32, layer->bias[o]);
      const auto l = hn::ShiftRightSame(hn::Add(hn::RearrangeToOddPlusEven(low, low1), bias), shift);
      const auto h = hn::ShiftRightSame(hn::Add(hn::RearrangeToOddPlusEven(high, high1), bias), shift);
      auto y = hn::ReorderDemote2To(d, l, h);
      if (relu) y = hn::Max(y, hn::Zero(d));
      hn::StoreU(y, d, out[o] + at);
    }
  }
}

void Linear(const nc_overfit_layer* layer, const int16_t* const* rows, int16_t* const* out, size_t count,
            int32_t relu) {
  const D16 d;
  const size_t inputs = layer->inputs, outputs = layer->outputs, pairs = (inputs + 1) / 2;
  if (pairs == 4) return Few<4>(layer, rows, out, count, relu != 0);
  if (pairs == 3) return Few<3>(layer, rows, out, count, relu != 0);
  if (pairs == 2) return Few<2>(layer, rows, out, count, relu != 0);
  HWY_ALIGN int16_t x[(NC_OVERFIT_MAX_INPUTS + 1) * kLanes];
  for (size_t at = 0; at < count; at += kLanes) {
    for (size_t p = 0; p < inputs / 2; p++) {
      const auto a = hn::LoadU(d, rows[2 * p] + at), b = hn::LoadU(d, rows[2 * p + 1] + at);
      hn::Store(hn::InterleaveLower(d, a, b), d, x + 2 * p * kLanes);
      hn::Store(hn::InterleaveUpper(d, a, b), d, x + (2 * p + 1) * kLanes);
    }
    if (inputs % 2 != 0) {
      const auto a = hn::LoadU(d, rows[inputs - 1] + at);
      hn::Store(hn::InterleaveLower(d, a, hn::Zero(d)), d, x + (inputs - 1) * kLanes);
      hn::Store(hn::InterleaveUpper(d, a, hn::Zero(d)), d, x + inputs * kLanes);
    }
    size_t o = 0;
    for (; o + 4 <= outputs; o += 4) Outputs<4>(layer, o, pairs, x, out, at, relu != 0);
    if (outputs - o == 3) {
      Outputs<3>(layer, o, pairs, x, out, at, relu != 0);
    } else if (outputs - o == 2) {
      Outputs<2>(layer, o, pairs, x, out, at, relu != 0);
    } else if (outputs - o == 1) {
      Outputs<1>(layer, o, pairs, x, out, at, relu != 0);
    }
  }
}

void Install(nc_overfit_linear* linear) { *linear = Linear; }
}  // namespace
#endif
}  // namespace HWY_NAMESPACE
}  // namespace nc
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nc {
namespace {

// The definition. bitstream-spec 9.4
void LinearScalar(const nc_overfit_layer* layer, const int16_t* const* rows, int16_t* const* out, size_t count,
                  int32_t relu) {
  const size_t inputs = layer->inputs, outputs = layer->outputs, pairs = (inputs + 1) / 2;
  int16_t x[NC_OVERFIT_MAX_INPUTS];
  for (size_t p = 0; p < count; p++) {
    for (size_t i = 0; i < inputs; i++) x[i] = rows[i][p];
    for (size_t o = 0; o < outputs; o++) {
      const int16_t* w = layer->weights + o * pairs * 2;
      int32_t sum = layer->bias[o];
      for (size_t i = 0; i < inputs; i++) sum += int32_t{w[i]} * x[i];
      const int16_t y = Sat16(sum >> layer->shift[o]);
      out[o][p] = relu != 0 && y < 0 ? 0 : y;
    }
  }
}

}  // namespace
}  // namespace nc

nc_overfit_linear nc_overfit_linear_at(int32_t level) {
  using namespace nc;
  if (nc_kernels_at(level) == nullptr) return nullptr;
  nc_overfit_linear linear = LinearScalar;
  switch (level) {
#if HWY_ARCH_ARM
    case NC_LEVEL_128: { NC_INSTALL(Install, HWY_NEON, &linear) } break;
#else
    case NC_LEVEL_128: { NC_INSTALL(Install, HWY_SSE4, &linear) } break;
    case NC_LEVEL_AVX2: { NC_INSTALL(Install, HWY_AVX2, &linear) } break;
    case NC_LEVEL_AVX512: { NC_INSTALL(Install, HWY_AVX3, &linear) } break;
#endif
    default: break;
  }
  return linear;
}
#endif
