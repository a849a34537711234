// Products and orthonormal bases of small matrices, for optimisers.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "planes_dense.cpp"
#include "planes.h"

#include <cmath>
#include <cstring>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace nc {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// R rows from `a` on, of one or two vectors of columns.
template <class D, size_t R, size_t B>
HWY_INLINE void MatMulTile(const float* a, size_t row_step, size_t inner_step, const float* b, size_t b_pitch, float* c,
                           size_t c_pitch, size_t inner, float alpha, float beta) {
  const D d;
  constexpr size_t n = hn::MaxLanes(D());
  hn::Vec<D> sum[R][B];
  HWY_UNROLL(4)
  for (size_t r = 0; r < R; r++) {
    HWY_UNROLL(2)
    for (size_t j = 0; j < B; j++) sum[r][j] = hn::Zero(d);
  }
  for (size_t k = 0; k < inner; k++, a += inner_step, b += b_pitch) {
    hn::Vec<D> v[B];
    HWY_UNROLL(2)
    for (size_t j = 0; j < B; j++) v[j] = hn::Load(d, b + j * n);
    HWY_UNROLL(4)
    for (size_t r = 0; r < R; r++) {
      const auto s = hn::Set(d, a[r * row_step]);
      HWY_UNROLL(2)
      for (size_t j = 0; j < B; j++) sum[r][j] = hn::MulAdd(s, v[j], sum[r][j]);
    }
  }
  const auto scale = hn::Set(d, beta), keep = hn::Set(d, alpha);
  HWY_UNROLL(4)
  for (size_t r = 0; r < R; r++) {
    HWY_UNROLL(2)
    for (size_t j = 0; j < B; j++) {
      float* to = c + r * c_pitch + j * n;
      auto v = hn::Mul(scale, sum[r][j]);
      if (alpha != 0) v = hn::MulAdd(keep, hn::Load(d, to), v);
      hn::Store(v, d, to);
    }
  }
}

template <class D, size_t R>
HWY_INLINE void MatMulRows(const float* a, size_t row_step, size_t inner_step, const float* b, size_t b_pitch, float* c,
                           size_t c_pitch, size_t inner, size_t columns, float alpha, float beta) {
  constexpr size_t n = hn::MaxLanes(D());
  size_t j = 0;
  for (; j + n < columns; j += 2 * n)
    MatMulTile<D, R, 2>(a, row_step, inner_step, b + j, b_pitch, c + j, c_pitch, inner, alpha, beta);
  if (j < columns) MatMulTile<D, R, 1>(a, row_step, inner_step, b + j, b_pitch, c + j, c_pitch, inner, alpha, beta);
}

template <class D>
void MatMul(const float* a, size_t a_pitch, bool transposed_a, const float* b, size_t b_pitch, float* c, size_t c_pitch,
            size_t rows, size_t inner, size_t columns, float alpha, float beta) {
  const size_t row_step = transposed_a ? 1 : a_pitch, inner_step = transposed_a ? a_pitch : 1;
  size_t r = 0;
  for (; r + 4 <= rows; r += 4)
    MatMulRows<D, 4>(a + r * row_step, row_step, inner_step, b, b_pitch, c + r * c_pitch, c_pitch, inner, columns, alpha,
                     beta);
  for (; r < rows; r++)
    MatMulRows<D, 1>(a + r * row_step, row_step, inner_step, b, b_pitch, c + r * c_pitch, c_pitch, inner, columns, alpha,
                     beta);
}

template <class D>
HWY_INLINE float Dot(D d, const float* a, const float* b, size_t count) {
  auto sum = hn::Zero(d);
  for (size_t i = 0; i < count; i += hn::MaxLanes(D())) sum = hn::MulAdd(hn::Load(d, a + i), hn::Load(d, b + i), sum);
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

template <class D>
HWY_INLINE void Scale(D d, float* a, float factor, size_t count) {
  const auto f = hn::Set(d, factor);
  for (size_t i = 0; i < count; i += hn::MaxLanes(D())) hn::Store(hn::Mul(f, hn::Load(d, a + i)), d, a + i);
}

// Takes from v its parts along the rows [0, rows) of q, which are orthonormal.
template <class D>
HWY_INLINE void Reject(D d, const float* q, size_t pitch, size_t rows, float* v, size_t columns) {
  for (size_t j = 0; j < rows; j++) {
    const float* u = q + j * pitch;
    const auto f = hn::Set(d, Dot(d, u, v, columns));
    for (size_t i = 0; i < columns; i += hn::MaxLanes(D()))
      hn::Store(hn::NegMulAdd(f, hn::Load(d, u + i), hn::Load(d, v + i)), d, v + i);
  }
}

template <class D>
void Orthonormalize(float* q, size_t pitch, size_t rows, size_t columns) {
  const D d;
  for (size_t r = 0; r < rows; r++) {
    float* v = q + r * pitch;
    float largest = 0;
    for (size_t i = 0; i < columns; i++) largest = std::fmax(largest, std::fabs(v[i]));
    float norm = 0;
    if (largest > 1e-30f && largest < 1e30f) {
      Scale(d, v, 1 / largest, columns);
      const float before = Dot(d, v, v, columns);
      Reject(d, q, pitch, r, v, columns);
      norm = Dot(d, v, v, columns);
      if (norm < 1e-8f * before) norm = 0;  // nothing but rounding errors is left
    }
    // A row that lies among the others gives way to a unit vector that does not; one of them keeps 1 / columns.
    for (size_t k = 0; norm == 0 && k < columns; k++) {
      std::memset(v, 0, columns * sizeof(float));
      v[k] = 1;
      Reject(d, q, pitch, r, v, columns);
      norm = Dot(d, v, v, columns);
      if (norm < 0.5f / static_cast<float>(columns)) norm = 0;
    }
    Scale(d, v, 1 / std::sqrt(norm), columns);
    Reject(d, q, pitch, r, v, columns);
    Scale(d, v, 1 / std::sqrt(Dot(d, v, v, columns)), columns);
  }
}

template <class D>
void Fill(nc_planes* table) {
  table->matmul = MatMul<D>;
  table->orthonormalize = Orthonormalize<D>;
}

HWY_MAYBE_UNUSED void Install(nc_planes* table) { Fill<hn::ScalableTag<float>>(table); }
HWY_MAYBE_UNUSED void InstallScalar(nc_planes* table) { Fill<hn::CappedTag<float, 1>>(table); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace nc
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nc {
void InstallPlanesDenseScalar(nc_planes* table) { HWY_STATIC_DISPATCH(InstallScalar)(table); }
void InstallPlanesDense(int64_t target, nc_planes* table) { NC_INSTALL(Install, target, table) }
}  // namespace nc
#endif
