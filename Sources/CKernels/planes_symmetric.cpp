// A separable symmetric filter of 2 q - 1 taps with zero padding, plus its input, and its gradients.
//
// w[q - 1] is the middle tap, w[q - 1 - r] that at distance r. The filter is its own adjoint.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "planes_symmetric.cpp"
#include "planes.h"

#include <cstring>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace nc {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

constexpr size_t kSide = 16;  // zeros before and after a scratch row
static_assert(kSide >= NC_MAX_SYMMETRIC, "taps reach less far than the side");

template <class D, size_t Q>
struct Symmetric {
  using V = hn::Vec<D>;
  static constexpr size_t n = hn::MaxLanes(D());

  // The pass along a row: to = (add +) sum over taps of from. `from` has Q - 1 zeros on both sides.
  static HWY_INLINE V Along(D d, const V* taps, const float* from) {
    V sum = hn::Mul(taps[0], hn::LoadU(d, from));
    HWY_UNROLL(5)
    for (size_t r = 1; r < Q; r++)
      sum = hn::MulAdd(taps[r], hn::Add(hn::LoadU(d, from - r), hn::LoadU(d, from + r)), sum);
    return sum;
  }

  // t = the pass across the rows around `row`; x has 4 rows of zeros above and below.
  static HWY_INLINE void Across(const V* taps, const float* x, size_t width, size_t pitch, size_t row, float* t) {
    const D d;
    const float* at = x + row * pitch;
    for (size_t c = 0; c < width; c += n) {
      V sum = hn::Mul(taps[0], hn::Load(d, at + c));
      HWY_UNROLL(5)
      for (size_t r = 1; r < Q; r++)
        sum = hn::MulAdd(taps[r], hn::Add(hn::Load(d, at + c - r * pitch), hn::Load(d, at + c + r * pitch)), sum);
      hn::Store(sum, d, t + c);  // zeros behind the row's end, as in x
    }
  }

  static void Forward(const float* w, const float* x, float* y, size_t width, size_t pitch, size_t row_begin,
                      size_t row_end) {
    const D d;
    V taps[Q];
    for (size_t r = 0; r < Q; r++) taps[r] = hn::Set(d, w[Q - 1 - r]);
    const size_t floats = RoundUp16(width) + 2 * kSide;
    float* t = PlaneScratch(floats) + kSide;
    std::memset(t - kSide, 0, floats * sizeof(float));
    for (size_t row = row_begin; row < row_end; row++) {
      Across(taps, x, width, pitch, row, t);
      const float* from = x + row * pitch;
      float* to = y + row * pitch;
      for (size_t c = 0; c < width; c += n) {
        V v = hn::Add(Along(d, taps, t + c), hn::Load(d, from + c));
        if (c + n > width) v = hn::IfThenElseZero(hn::FirstN(d, width - c), v);
        hn::Store(v, d, to + c);
      }
    }
  }

  // Along the whole row g into h, zeros behind. With t, the products of each tap, which are those of t with what the
  // tap adds up of g just as those of g with what it adds up of t.
  template <bool with_sums>
  static HWY_INLINE void Adjoint(const V* taps, const float* g, const float* t, size_t width, float* h, double* sums) {
    const D d;
    V products[Q];
    for (size_t r = 0; r < Q; r++) products[r] = hn::Zero(d);
    for (size_t c = 0; c < width; c += n) {
      const V value = with_sums ? hn::Load(d, t + c) : hn::Zero(d);  // zeros behind the row
      const V middle = hn::Load(d, g + c);
      V sum = hn::Mul(taps[0], middle);
      if (with_sums) products[0] = hn::MulAdd(value, middle, products[0]);
      HWY_UNROLL(5)
      for (size_t r = 1; r < Q; r++) {
        const V both = hn::Add(hn::LoadU(d, g + c - r), hn::LoadU(d, g + c + r));
        sum = hn::MulAdd(taps[r], both, sum);
        if (with_sums) products[r] = hn::MulAdd(value, both, products[r]);
      }
      if (c + n > width) sum = hn::IfThenElseZero(hn::FirstN(d, width - c), sum);
      hn::Store(sum, d, h + c);
    }
    if (with_sums)
      for (size_t r = 0; r < Q; r++) sums[r] += hn::GetLane(hn::SumOfLanes(d, products[r]));
  }

  static void Backward(const float* w, const float* x, float* gx, const float* gy, size_t height, size_t width,
                       size_t pitch, size_t row_begin, size_t row_end, double* gw, bool accumulate) {
    const D d;
    constexpr size_t ring = 2 * Q - 1;
    V taps[Q];
    for (size_t r = 0; r < Q; r++) taps[r] = hn::Set(d, w[Q - 1 - r]);
    double sums[Q] = {};
    const size_t stride = RoundUp16(width) + 2 * kSide;
    float* base = PlaneScratch((3 + ring) * stride);
    std::memset(base, 0, (3 + ring) * stride * sizeof(float));
    float *t = base + kSide, *g = t + stride, *zeros = g + stride, *h = zeros + stride;
    size_t next = row_begin < Q - 1 ? 0 : row_begin - (Q - 1);
    for (size_t row = row_begin; row < row_end; row++) {
      for (; next < height && next <= row + Q - 1; next++) {
        const float* from = gy + next * pitch;
        float* to = h + next % ring * stride;
        for (size_t c = 0; c < width; c += n) {
          V v = hn::Load(d, from + c);
          if (c + n > width) v = hn::IfThenElseZero(hn::FirstN(d, width - c), v);
          hn::Store(v, d, g + c);
        }
        if (next >= row_begin && next < row_end) {
          Across(taps, x, width, pitch, next, t);
          Adjoint<true>(taps, g, t, width, to, sums);
        } else {  // another band's
          Adjoint<false>(taps, g, nullptr, width, to, nullptr);
        }
      }
      // Across the rows, with the products of x and what each tap adds up.
      const float *above[Q], *below[Q];
      V products[Q];
      for (size_t r = 0; r < Q; r++) {
        above[r] = row >= r ? h + (row - r) % ring * stride : zeros;
        below[r] = row + r < height ? h + (row + r) % ring * stride : zeros;
        products[r] = hn::Zero(d);
      }
      const float *identity = gy + row * pitch, *values = x + row * pitch;
      float* to = gx ? gx + row * pitch : nullptr;
      for (size_t c = 0; c < width; c += n) {
        const V value = hn::Load(d, values + c), middle = hn::Load(d, above[0] + c);
        V sum = hn::MulAdd(taps[0], middle, hn::Load(d, identity + c));
        products[0] = hn::MulAdd(value, middle, products[0]);
        HWY_UNROLL(5)
        for (size_t r = 1; r < Q; r++) {
          const V both = hn::Add(hn::Load(d, above[r] + c), hn::Load(d, below[r] + c));
          sum = hn::MulAdd(taps[r], both, sum);
          products[r] = hn::MulAdd(value, both, products[r]);
        }
        if (!to) continue;
        if (accumulate) sum = hn::Add(sum, hn::Load(d, to + c));
        hn::Store(sum, d, to + c);
      }
      for (size_t r = 0; r < Q; r++) sums[r] += hn::GetLane(hn::SumOfLanes(d, products[r]));
    }
    for (size_t r = 0; r < Q; r++) gw[Q - 1 - r] += sums[r];
  }
};

#define NC_FOR_Q(CALL)       \
  switch (q) {               \
    case 1: CALL(1); break;  \
    case 2: CALL(2); break;  \
    case 3: CALL(3); break;  \
    case 4: CALL(4); break;  \
    default: CALL(5); break; \
  }

template <class D>
void Filter(const float* w, size_t q, const float* x, float* y, size_t height, size_t width, size_t pitch,
            size_t row_begin, size_t row_end) {
  (void)height;
#define NC_CALL(Q) Symmetric<D, Q>::Forward(w, x, y, width, pitch, row_begin, row_end)
  NC_FOR_Q(NC_CALL)
#undef NC_CALL
}

template <class D>
void FilterBack(const float* w, size_t q, const float* x, float* gx, const float* gy, size_t height, size_t width,
                size_t pitch, size_t row_begin, size_t row_end, double* gw, bool accumulate) {
#define NC_CALL(Q) \
  Symmetric<D, Q>::Backward(w, x, gx, gy, height, width, pitch, row_begin, row_end, gw, accumulate)
  NC_FOR_Q(NC_CALL)
#undef NC_CALL
}

template <class D>
void Fill(nc_planes* table) {
  table->symmetric = Filter<D>;
  table->symmetric_back = FilterBack<D>;
}

HWY_MAYBE_UNUSED void Install(nc_planes* table) { Fill<hn::ScalableTag<float>>(table); }
HWY_MAYBE_UNUSED void InstallScalar(nc_planes* table) { Fill<hn::CappedTag<float, 1>>(table); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace nc
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nc {
void InstallPlanesSymmetricScalar(nc_planes* table) { HWY_STATIC_DISPATCH(InstallScalar)(table); }
void InstallPlanesSymmetric(int64_t target, nc_planes* table) { NC_INSTALL(Install, target, table) }
}  // namespace nc
#endif
