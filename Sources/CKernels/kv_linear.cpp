// Products of small matrices whose result is the same bits everywhere: each sum is added up in one order, and each term is
// multiplied and added with one rounding.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kv_linear.cpp"
#include <cmath>
#include <cstring>

#include "kv_internal.h"
#include "targets.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#pragma clang fp contract(off)

HWY_BEFORE_NAMESPACE();
namespace nc {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using DI = hn::RebindToSigned<D>;
using D16 = hn::Repartition<int16_t, D>;
constexpr size_t kLanes = hn::MaxLanes(D());
// Rows of a tile: two vectors of sums each, as many as there are registers for.
constexpr size_t kRows = HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON ? 8 : 4;

#if HWY_TARGET == HWY_SSE4
// fl(c + a b) without the instruction: the product is exact in binary64, and the sum, rounded to odd there, rounds once more as
// the exact one would (Boldo and Melquiond, "When double rounding is odd", 2005).
template <class DD>
HWY_INLINE hn::Vec<DD> SumToOdd(DD dd, hn::Vec<DD> p, hn::Vec<DD> c) {
  const hn::RebindToSigned<DD> di;
  const auto sum = hn::Add(p, c), part = hn::Sub(sum, p);
  const auto rest = hn::Add(hn::Sub(p, hn::Sub(sum, part)), hn::Sub(c, part));
  const auto bits = hn::BitCast(di, sum), one = hn::Set(di, 1);
  // An even last bit that was rounded to: one up in magnitude where the rest has the sum's sign, one down otherwise.
  const auto sign = hn::BroadcastSignBit(hn::Xor(bits, hn::BitCast(di, rest)));
  const auto step = hn::Or(sign, one);
  const auto inexact = hn::RebindMask(di, hn::Ne(rest, hn::Zero(dd)));
  const auto even = hn::Eq(hn::And(bits, one), hn::Zero(di));
  return hn::BitCast(dd, hn::Add(bits, hn::IfThenElseZero(hn::And(inexact, even), step)));
}

HWY_INLINE hn::Vec<D> Fused(hn::Vec<D> a, hn::Vec<D> b, hn::Vec<D> c) {
  const D d;
  const hn::Repartition<double, D> dd;
  const hn::Half<D> half;
  const auto low = [&](hn::Vec<D> v) { return hn::PromoteTo(dd, hn::LowerHalf(half, v)); };
  const auto high = [&](hn::Vec<D> v) { return hn::PromoteTo(dd, hn::UpperHalf(half, v)); };
  const auto x = SumToOdd(dd, hn::Mul(low(a), low(b)), low(c)), y = SumToOdd(dd, hn::Mul(high(a), high(b)), high(c));
  return hn::Combine(d, hn::DemoteTo(half, y), hn::DemoteTo(half, x));
}
#else
HWY_INLINE hn::Vec<D> Fused(hn::Vec<D> a, hn::Vec<D> b, hn::Vec<D> c) { return hn::MulAdd(a, b, c); }
#endif

// R rows of V vectors of columns.
template <size_t R, size_t V, bool subtract>
HWY_INLINE void ProductTile(const nc_kv_product* p, const float* a, const float* b, float* c) {
  const D d;
  hn::Vec<D> sum[R][V];
  HWY_UNROLL(8)
  for (size_t r = 0; r < R; r++) {
    HWY_UNROLL(2)
    for (size_t v = 0; v < V; v++) sum[r][v] = hn::Load(d, c + r * p->c_pitch + v * kLanes);
  }
  for (size_t k = 0; k < p->inner; k++, a += p->a_inner, b += p->b_pitch) {
    hn::Vec<D> x[V];
    HWY_UNROLL(2)
    for (size_t v = 0; v < V; v++) x[v] = hn::Load(d, b + v * kLanes);
    HWY_UNROLL(8)
    for (size_t r = 0; r < R; r++) {
      const float factor = a[static_cast<ptrdiff_t>(r) * p->a_row];
      const auto s = hn::Set(d, subtract ? -factor : factor);
      HWY_UNROLL(2)
      for (size_t v = 0; v < V; v++) sum[r][v] = Fused(s, x[v], sum[r][v]);
    }
  }
  HWY_UNROLL(8)
  for (size_t r = 0; r < R; r++) {
    HWY_UNROLL(2)
    for (size_t v = 0; v < V; v++) hn::Store(sum[r][v], d, c + r * p->c_pitch + v * kLanes);
  }
}

template <size_t V, bool subtract>
HWY_INLINE void ProductColumns(const nc_kv_product* p, const float* b, float* c) {
  ptrdiff_t r = 0;
  const ptrdiff_t rows = static_cast<ptrdiff_t>(p->rows);
  for (; r + ptrdiff_t{kRows} <= rows; r += kRows)
    ProductTile<kRows, V, subtract>(p, p->a + r * p->a_row, b, c + r * p->c_pitch);
  for (; r + 2 <= rows; r += 2) ProductTile<2, V, subtract>(p, p->a + r * p->a_row, b, c + r * p->c_pitch);
  for (; r < rows; r++) ProductTile<1, V, subtract>(p, p->a + r * p->a_row, b, c + r * p->c_pitch);
}

template <bool subtract>
HWY_INLINE void AnyProduct(const nc_kv_product* p) {
  size_t j = 0;
  for (; j + kLanes < p->columns; j += 2 * kLanes) ProductColumns<2, subtract>(p, p->b + j, p->c + j);
  if (j < p->columns) ProductColumns<1, subtract>(p, p->b + j, p->c + j);
}

void Product(const nc_kv_product* p) { p->subtract ? AnyProduct<true>(p) : AnyProduct<false>(p); }

// One row of V vectors: the sum of the rows of b that `list` names, each times its factor.
template <size_t V>
HWY_INLINE void SparseTile(const uint16_t* list, const float* factors, size_t count, const float* b, size_t pitch, float* c) {
  const D d;
  hn::Vec<D> sum[V];
  HWY_UNROLL(8)
  for (size_t v = 0; v < V; v++) sum[v] = hn::Load(d, c + v * kLanes);
  for (size_t i = 0; i < count; i++) {
    const float* row = b + list[i] * pitch;
    const auto s = hn::Set(d, factors[i]);
    HWY_UNROLL(8)
    for (size_t v = 0; v < V; v++) sum[v] = Fused(s, hn::Load(d, row + v * kLanes), sum[v]);
  }
  HWY_UNROLL(8)
  for (size_t v = 0; v < V; v++) hn::Store(sum[v], d, c + v * kLanes);
}

void SparseRow(
    const uint16_t* list, const float* factors, size_t count, const float* b, size_t pitch, size_t columns, float* c) {
  size_t j = 0;
  for (; j + 7 * kLanes < columns; j += 8 * kLanes) SparseTile<8>(list, factors, count, b + j, pitch, c + j);
  for (; j + kLanes < columns; j += 2 * kLanes) SparseTile<2>(list, factors, count, b + j, pitch, c + j);
  if (j < columns) SparseTile<1>(list, factors, count, b + j, pitch, c + j);
}

// R rows of one or two vectors; x, y: [pair of tokens][columns], both tokens' numbers side by side.
template <size_t R, size_t V>
HWY_INLINE void OuterTile(
    const int32_t* x, size_t x_pitch, const int32_t* y, size_t y_pitch, size_t pairs, float* c, size_t c_pitch) {
  const D d;
  const DI di;
  const D16 d16;
  hn::Vec<DI> sum[R][V], other[R][V];
  HWY_UNROLL(4)
  for (size_t r = 0; r < R; r++) {
    HWY_UNROLL(2)
    for (size_t v = 0; v < V; v++) sum[r][v] = other[r][v] = hn::Zero(di);
  }
  for (size_t t = 0; t < pairs; t++, x += x_pitch, y += y_pitch) {
    hn::Vec<D16> w[V];
    HWY_UNROLL(2)
    for (size_t v = 0; v < V; v++) w[v] = hn::BitCast(d16, hn::Load(di, y + v * kLanes));
    HWY_UNROLL(4)
    for (size_t r = 0; r < R; r++) {
      const auto s = hn::BitCast(d16, hn::Set(di, x[r]));
      HWY_UNROLL(2)
      for (size_t v = 0; v < V; v++) sum[r][v] = hn::ReorderWidenMulAccumulate(di, s, w[v], sum[r][v], other[r][v]);
    }
  }
  HWY_UNROLL(4)
  for (size_t r = 0; r < R; r++) {
    HWY_UNROLL(2)
    for (size_t v = 0; v < V; v++) {
      float* to = c + r * c_pitch + v * kLanes;
      const auto whole = hn::ConvertTo(d, hn::RearrangeToOddPlusEven(sum[r][v], other[r][v]));
      hn::Store(hn::Add(hn::Load(d, to), whole), d, to);
    }
  }
}

template <size_t R>
HWY_INLINE void OuterRows(
    const int32_t* x, size_t x_pitch, const int32_t* y, size_t y_pitch, size_t pairs, size_t from, size_t columns, float* c,
    size_t c_pitch) {
  size_t j = from / kLanes * kLanes;
  for (; j + kLanes < columns; j += 2 * kLanes) OuterTile<R, 2>(x, x_pitch, y + j, y_pitch, pairs, c + j, c_pitch);
  if (j < columns) OuterTile<R, 1>(x, x_pitch, y + j, y_pitch, pairs, c + j, c_pitch);
}

void Outer(
    const int32_t* x, size_t x_columns, size_t x_pitch, const int32_t* y, size_t y_columns, size_t y_pitch, size_t pairs,
    int32_t upper, float* c, size_t c_pitch) {
  size_t i = 0;
  for (; i + 4 <= x_columns; i += 4)
    OuterRows<4>(x + i, x_pitch, y, y_pitch, pairs, upper ? i : 0, y_columns, c + i * c_pitch, c_pitch);
  for (; i < x_columns; i++)
    OuterRows<1>(x + i, x_pitch, y, y_pitch, pairs, upper ? i : 0, y_columns, c + i * c_pitch, c_pitch);
}

// v * scale to the nearest whole number, even where two are as near, within +-limit; NaN becomes 0.
HWY_INLINE hn::Vec<DI> Whole(hn::Vec<D> v, float scale, float limit) {
  const D d;
  v = hn::Mul(v, hn::Set(d, scale));
  v = hn::IfThenElseZero(hn::Eq(v, v), v);
  v = hn::Min(hn::Max(v, hn::Set(d, -limit)), hn::Set(d, limit));
  return hn::ConvertTo(DI(), hn::Round(v));
}

void Wholes(const float* from, size_t count, float scale, int32_t limit, int32_t* to) {
  for (size_t i = 0; i < count; i += kLanes)
    hn::Store(Whole(hn::Load(D(), from + i), scale, static_cast<float>(limit)), DI(), to + i);
}

}  // namespace

void InstallKVLinear(nc_kv* table) {
  table->product = Product;
  table->sparse_row = SparseRow;
  table->outer = Outer;
  table->wholes = Wholes;
}

}  // namespace HWY_NAMESPACE
}  // namespace nc
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nc {
namespace {

void Product(const nc_kv_product* p) {
  for (ptrdiff_t r = 0; r < static_cast<ptrdiff_t>(p->rows); r++)
    for (ptrdiff_t k = 0; k < static_cast<ptrdiff_t>(p->inner); k++) {
      const float factor = p->a[r * p->a_row + k * p->a_inner];
      for (ptrdiff_t j = 0; j < static_cast<ptrdiff_t>(p->columns); j++) {
        float* to = p->c + r * p->c_pitch + j;
        *to = std::fmaf(p->subtract ? -factor : factor, p->b[k * p->b_pitch + j], *to);
      }
    }
}

void SparseRow(
    const uint16_t* list, const float* factors, size_t count, const float* b, size_t pitch, size_t columns, float* c) {
  for (size_t i = 0; i < count; i++)
    for (size_t j = 0; j < columns; j++) c[j] = std::fmaf(factors[i], b[list[i] * pitch + j], c[j]);
}

void Outer(
    const int32_t* x, size_t x_columns, size_t x_pitch, const int32_t* y, size_t y_columns, size_t y_pitch, size_t pairs,
    int32_t upper, float* c, size_t c_pitch) {
  for (size_t i = 0; i < x_columns; i++)
    for (size_t j = upper ? i : 0; j < y_columns; j++) {
      int32_t sum = 0;
      for (size_t t = 0; t < pairs; t++) {
        int16_t a[2], b[2];
        std::memcpy(a, x + t * x_pitch + i, 4);
        std::memcpy(b, y + t * y_pitch + j, 4);
        sum += a[0] * b[0] + a[1] * b[1];
      }
      c[i * c_pitch + j] = c[i * c_pitch + j] + static_cast<float>(sum);
    }
}

void Wholes(const float* from, size_t count, float scale, int32_t limit, int32_t* to) {
  for (size_t i = 0; i < count; i++) {
    float v = from[i] * scale;
    v = v == v ? v : 0;
    v = v < -limit ? -limit : v > limit ? limit : v;
    to[i] = static_cast<int32_t>(std::nearbyint(v));
  }
}

}  // namespace

void InstallKVLinearScalar(nc_kv* table) {
  table->product = Product;
  table->sparse_row = SparseRow;
  table->outer = Outer;
  table->wholes = Wholes;
}

void InstallKVLinear(int64_t target, nc_kv* table) { NC_INSTALL(InstallKVLinear, target, table) }

}  // namespace nc
#endif
