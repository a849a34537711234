// Vector exp and log2 and the layers of a tile. Included once per target, inside it.
#if defined(NC_TILES_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NC_TILES_MATH_INL_H_
#undef NC_TILES_MATH_INL_H_
#else
#define NC_TILES_MATH_INL_H_
#endif

#include <hwy/highway.h>

#include "tiles.h"

HWY_BEFORE_NAMESPACE();
namespace nc {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// e^x, x in -87...87 (clamped); relative error below 3e-7.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Exp(D d, V x) {
  const hn::RebindToSigned<D> di;
  x = hn::Min(hn::Max(x, hn::Set(d, -87.0f)), hn::Set(d, 87.0f));
  const V n = hn::Round(hn::Mul(x, hn::Set(d, 1.44269504f)));
  V r = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), x);
  r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), r);
  V p = hn::Set(d, 1.0f / 720);
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 120));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 24));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 6));
  p = hn::MulAdd(p, r, hn::Set(d, 0.5f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f));
  const auto scale = hn::ShiftLeft<23>(hn::Add(hn::ConvertTo(di, n), hn::Set(di, 127)));
  return hn::Mul(p, hn::BitCast(d, scale));
}

// log2(x), x normal and positive; absolute error below 1e-6.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Log2(D d, V x) {
  const hn::RebindToSigned<D> di;
  // Mantissa in [sqrt(1/2), sqrt(2)).
  const auto bits = hn::BitCast(di, x);
  const auto shifted = hn::Sub(bits, hn::Set(di, 0x3F3504F3));
  const V e = hn::ConvertTo(d, hn::ShiftRight<23>(shifted));
  const V m = hn::BitCast(d, hn::Add(hn::And(shifted, hn::Set(di, 0x007FFFFF)), hn::Set(di, 0x3F3504F3)));
  // log2(m) = 2 / ln 2 * atanh(z), z = (m - 1) / (m + 1), |z| < 0.1716.
  const V z = hn::Div(hn::Sub(m, hn::Set(d, 1.0f)), hn::Add(m, hn::Set(d, 1.0f)));
  const V q = hn::Mul(z, z);
  V p = hn::Set(d, 2.8853901f / 7);
  p = hn::MulAdd(p, q, hn::Set(d, 2.8853901f / 5));
  p = hn::MulAdd(p, q, hn::Set(d, 2.8853901f / 3));
  p = hn::MulAdd(p, q, hn::Set(d, 2.8853901f));
  return hn::MulAdd(p, z, e);
}

enum Tail { kPlain, kRelu, kResidualRelu };

// A layer's outputs are computed kBlock rows by kSpan vectors at a time: as many sums as hide the latency of a
// multiply-add, in few enough registers that none of them goes through memory in the inner loop.
template <class D>
struct Blocking {
  static constexpr size_t kVectors = NC_TILE / hn::MaxLanes(D());
  static constexpr size_t kSpan = kVectors < 6 ? kVectors : 6;
  static constexpr size_t kBlock = kSpan == 6 ? 2 : 4;
  static_assert(kVectors % kSpan == 0, "a tile is whole spans");
};

// out[o] = tail(bias[o] + sum over i of w[o][i] in[i]) for kR rows; rows are NC_TILE long. The residual is in[o].
template <size_t kR, class D>
HWY_INLINE void LinearRows(D d, const float* HWY_RESTRICT w, size_t ld, const float* bias, const float* HWY_RESTRICT in,
                           size_t inputs, const float* residual, float* HWY_RESTRICT out, Tail tail) {
  constexpr size_t kN = hn::MaxLanes(D()), kV = Blocking<D>::kSpan;
  for (size_t t = 0; t < NC_TILE; t += kV * kN) {
    hn::Vec<D> acc[kR][kV];
    HWY_UNROLL(4)
    for (size_t r = 0; r < kR; r++) {
      HWY_UNROLL(6)
      for (size_t v = 0; v < kV; v++) acc[r][v] = hn::Set(d, bias ? bias[r] : 0.0f);
    }
    for (size_t i = 0; i < inputs; i++) {
      const float* x = in + i * NC_TILE + t;
      hn::Vec<D> k[kR];
      HWY_UNROLL(4)
      for (size_t r = 0; r < kR; r++) k[r] = hn::Set(d, w[r * ld + i]);
      HWY_UNROLL(6)
      for (size_t v = 0; v < kV; v++) {
        const auto xv = hn::Load(d, x + v * kN);
        HWY_UNROLL(4)
        for (size_t r = 0; r < kR; r++) acc[r][v] = hn::MulAdd(k[r], xv, acc[r][v]);
      }
    }
    HWY_UNROLL(4)
    for (size_t r = 0; r < kR; r++) {
      HWY_UNROLL(6)
      for (size_t v = 0; v < kV; v++) {
        auto y = acc[r][v];
        if (tail == kResidualRelu) y = hn::Add(y, hn::Load(d, residual + r * NC_TILE + t + v * kN));
        if (tail != kPlain) y = hn::Max(y, hn::Zero(d));
        hn::Store(y, d, out + r * NC_TILE + t + v * kN);
      }
    }
  }
}

template <class D>
HWY_NOINLINE void Linear(D d, const float* w, const float* bias, const float* in, size_t inputs, float* out,
                         size_t outputs, Tail tail) {
  constexpr size_t kB = Blocking<D>::kBlock;
  const auto row = [&](size_t o) { return in + o * NC_TILE; };
  size_t o = 0;
  for (; o + kB <= outputs; o += kB)
    LinearRows<kB>(d, w + o * inputs, inputs, bias ? bias + o : nullptr, in, inputs, row(o), out + o * NC_TILE, tail);
  for (; o < outputs; o++)
    LinearRows<1>(d, w + o * inputs, inputs, bias ? bias + o : nullptr, in, inputs, row(o), out + o * NC_TILE, tail);
}

// gin[i] = start[i] + sum over o of w[o][i] gout[o] where passed[i] > 0, else 0, for kR consecutive i. Without `start` from
// 0, without `passed` everywhere; `start` may be gin.
template <size_t kR, class D>
HWY_INLINE void TransposedRows(D d, const float* HWY_RESTRICT w, size_t ld, const float* HWY_RESTRICT gout,
                               size_t outputs, const float* start, const float* passed, float* gin) {
  constexpr size_t kN = hn::MaxLanes(D()), kV = Blocking<D>::kSpan;
  for (size_t t = 0; t < NC_TILE; t += kV * kN) {
    hn::Vec<D> acc[kR][kV];
    HWY_UNROLL(4)
    for (size_t r = 0; r < kR; r++) {
      HWY_UNROLL(6)
      for (size_t v = 0; v < kV; v++)
        acc[r][v] = start ? hn::Load(d, start + r * NC_TILE + t + v * kN) : hn::Zero(d);
    }
    for (size_t o = 0; o < outputs; o++) {
      const float* g = gout + o * NC_TILE + t;
      hn::Vec<D> k[kR];
      HWY_UNROLL(4)
      for (size_t r = 0; r < kR; r++) k[r] = hn::Set(d, w[o * ld + r]);
      HWY_UNROLL(6)
      for (size_t v = 0; v < kV; v++) {
        const auto gv = hn::Load(d, g + v * kN);
        HWY_UNROLL(4)
        for (size_t r = 0; r < kR; r++) acc[r][v] = hn::MulAdd(k[r], gv, acc[r][v]);
      }
    }
    HWY_UNROLL(4)
    for (size_t r = 0; r < kR; r++) {
      HWY_UNROLL(6)
      for (size_t v = 0; v < kV; v++) {
        const size_t at = r * NC_TILE + t + v * kN;
        auto g = acc[r][v];
        if (passed) g = hn::IfThenElseZero(hn::Gt(hn::Load(d, passed + at), hn::Zero(d)), g);
        hn::Store(g, d, gin + at);
      }
    }
  }
}

template <class D>
HWY_NOINLINE void Transposed(D d, const float* w, const float* gout, size_t outputs, const float* start,
                             const float* passed, float* gin, size_t inputs) {
  constexpr size_t kB = Blocking<D>::kBlock;
  const auto row = [](const float* plane, size_t i) { return plane ? plane + i * NC_TILE : nullptr; };
  size_t i = 0;
  for (; i + kB <= inputs; i += kB)
    TransposedRows<kB>(d, w + i, inputs, gout, outputs, row(start, i), row(passed, i), gin + i * NC_TILE);
  for (; i < inputs; i++)
    TransposedRows<1>(d, w + i, inputs, gout, outputs, row(start, i), row(passed, i), gin + i * NC_TILE);
}

// acc[o][i] (a vector each) += sum over the tile of gout[o] in[i], lane by lane.
template <size_t kR, size_t kC, class D>
HWY_INLINE void OuterBlock(D d, const float* HWY_RESTRICT gout, const float* HWY_RESTRICT in, float* HWY_RESTRICT acc,
                           size_t ld) {
  constexpr size_t kN = hn::MaxLanes(D());
  hn::Vec<D> sum[kR][kC];
  HWY_UNROLL(4)
  for (size_t r = 0; r < kR; r++) {
    HWY_UNROLL(3)
    for (size_t c = 0; c < kC; c++) sum[r][c] = hn::Load(d, acc + (r * ld + c) * kN);
  }
  HWY_UNROLL(6)
  for (size_t t = 0; t < NC_TILE; t += kN) {
    // Else the compiler loads all of gout before the loop over inputs and spills it, and sums with it.
    HWY_FENCE;
    hn::Vec<D> x[kC];
    HWY_UNROLL(3)
    for (size_t c = 0; c < kC; c++) x[c] = hn::Load(d, in + c * NC_TILE + t);
    HWY_UNROLL(4)
    for (size_t r = 0; r < kR; r++) {
      const auto g = hn::Load(d, gout + r * NC_TILE + t);
      HWY_UNROLL(3)
      for (size_t c = 0; c < kC; c++) sum[r][c] = hn::MulAdd(g, x[c], sum[r][c]);
    }
  }
  HWY_UNROLL(4)
  for (size_t r = 0; r < kR; r++) {
    HWY_UNROLL(3)
    for (size_t c = 0; c < kC; c++) hn::Store(sum[r][c], d, acc + (r * ld + c) * kN);
  }
}

template <size_t kR, class D>
HWY_INLINE void OuterRows(D d, const float* gout, const float* in, size_t inputs, float* acc) {
  constexpr size_t kN = hn::MaxLanes(D());
  size_t i = 0;
  for (; i + 3 <= inputs; i += 3) OuterBlock<kR, 3>(d, gout, in + i * NC_TILE, acc + i * kN, inputs);
  if (inputs - i == 2) OuterBlock<kR, 2>(d, gout, in + i * NC_TILE, acc + i * kN, inputs);
  if (inputs - i == 1) OuterBlock<kR, 1>(d, gout, in + i * NC_TILE, acc + i * kN, inputs);
}

template <class D>
HWY_NOINLINE void Outer(D d, const float* gout, size_t outputs, const float* in, size_t inputs, float* acc) {
  constexpr size_t kN = hn::MaxLanes(D());
  size_t o = 0;
  for (; o + 4 <= outputs; o += 4) OuterRows<4>(d, gout + o * NC_TILE, in, inputs, acc + o * inputs * kN);
  const float* g = gout + o * NC_TILE;
  float* a = acc + o * inputs * kN;
  switch (outputs - o) {
    case 3: OuterRows<3>(d, g, in, inputs, a); break;
    case 2: OuterRows<2>(d, g, in, inputs, a); break;
    case 1: OuterRows<1>(d, g, in, inputs, a); break;
    default: break;
  }
}

// acc[o] (a vector each) += the tile's sum of gout[o], lane by lane.
template <class D>
HWY_INLINE void BiasSum(D d, const float* gout, size_t outputs, float* acc) {
  constexpr size_t kN = hn::MaxLanes(D());
  for (size_t o = 0; o < outputs; o++) {
    auto sum = hn::Load(d, acc + o * kN);
    for (size_t t = 0; t < NC_TILE; t += kN) sum = hn::Add(sum, hn::Load(d, gout + o * NC_TILE + t));
    hn::Store(sum, d, acc + o * kN);
  }
}

// Lanes to sums.
template <class D>
HWY_INLINE void SumLanes(D d, const float* acc, size_t count, float* out) {
  constexpr size_t kN = hn::MaxLanes(D());
  for (size_t i = 0; i < count; i++) {
    float sum = 0;
    for (size_t l = 0; l < kN; l++) sum += acc[i * kN + l];
    out[i] = sum;
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace nc
HWY_AFTER_NAMESPACE();
#endif
