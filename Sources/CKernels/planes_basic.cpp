// Elementwise operators, nearest doubling, the squared error and Adam.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "planes_basic.cpp"
#include "planes.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace nc {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// v with zeros from lane `left` on.
template <class D>
HWY_INLINE hn::Vec<D> Head(D d, hn::Vec<D> v, size_t left) {
  return left >= hn::MaxLanes(D()) ? v : hn::IfThenElseZero(hn::FirstN(d, left), v);
}

template <class D>
void Multiply(const float* a, const float* b, float* y, size_t pitch, size_t width, size_t rows, bool accumulate) {
  const D d;
  constexpr size_t n = hn::MaxLanes(D());
  for (size_t r = 0; r < rows; r++, a += pitch, b += pitch, y += pitch) {
    if (accumulate)
      for (size_t x = 0; x < width; x += n)
        hn::Store(hn::MulAdd(hn::Load(d, a + x), hn::Load(d, b + x), hn::Load(d, y + x)), d, y + x);
    else
      for (size_t x = 0; x < width; x += n) hn::Store(hn::Mul(hn::Load(d, a + x), hn::Load(d, b + x)), d, y + x);
  }
}

template <class D>
void AddRows(const float* a, const float* b, float* y, size_t pitch, size_t width, size_t rows) {
  const D d;
  constexpr size_t n = hn::MaxLanes(D());
  for (size_t r = 0; r < rows; r++, a += pitch, b += pitch, y += pitch)
    for (size_t x = 0; x < width; x += n) hn::Store(hn::Add(hn::Load(d, a + x), hn::Load(d, b + x)), d, y + x);
}

template <class D>
void PassOn(const float* a, float* y, size_t pitch, size_t width, size_t rows, bool accumulate) {
  const D d;
  constexpr size_t n = hn::MaxLanes(D());
  for (size_t r = 0; r < rows; r++, a += pitch, y += pitch) {
    if (accumulate)
      for (size_t x = 0; x < width; x += n) hn::Store(hn::Add(hn::Load(d, a + x), hn::Load(d, y + x)), d, y + x);
    else
      for (size_t x = 0; x < width; x += n) hn::Store(hn::Load(d, a + x), d, y + x);
  }
}

template <class D>
double SquaredError(const float* x, const float* other, const float* t, float low, float high, float* g, float* g_other,
                    float scale, size_t pitch, size_t width, size_t rows, bool accumulate, bool accumulate_other) {
  const D d;
  constexpr size_t n = hn::MaxLanes(D());
  const auto factor = hn::Set(d, scale), least = hn::Set(d, low), most = hn::Set(d, high);
  double total = 0;
  for (size_t r = 0; r < rows; r++) {
    auto sum = hn::Zero(d);
    for (size_t i = r * pitch; i < r * pitch + width; i += n) {
      // All have zeros after the row's end.
      auto p = hn::Load(d, x + i);
      if (other) p = hn::Add(p, hn::Load(d, other + i));
      const auto e = hn::Sub(hn::Min(hn::Max(p, least), most), hn::Load(d, t + i));
      sum = hn::MulAdd(e, e, sum);
      const auto slope = hn::Mul(e, factor);
      if (g) hn::Store(accumulate ? hn::Add(slope, hn::Load(d, g + i)) : slope, d, g + i);
      if (g_other) hn::Store(accumulate_other ? hn::Add(slope, hn::Load(d, g_other + i)) : slope, d, g_other + i);
    }
    total += hn::GetLane(hn::SumOfLanes(d, sum));
  }
  return total;
}

template <class D>
void Nearest(const float* x, size_t x_pitch, float* y, size_t y_pitch, size_t width, size_t row_begin,
             size_t row_end) {
  const D d;
  constexpr size_t n = hn::MaxLanes(D());
  const size_t half = (width + 1) / 2;
  for (size_t r = row_begin; r < row_end; r++) {
    const float* from = x + r / 2 * x_pitch;
    float* to = y + r * y_pitch;
    for (size_t i = 0; i < half; i += n) {
      const auto v = hn::Load(d, from + i);
      hn::StoreInterleaved2(v, v, d, to + 2 * i);
    }
    to[width] = 0;  // an odd width's last column has one child
  }
}

template <class D>
void NearestBack(const float* gy, size_t y_pitch, size_t height, size_t width, float* gx, size_t x_pitch,
                 size_t row_begin, size_t row_end, bool accumulate) {
  const D d;
  constexpr size_t n = hn::MaxLanes(D());
  const size_t half = width / 2;  // columns with two children
  for (size_t r = row_begin; r < row_end; r++) {
    const float* top = gy + 2 * r * y_pitch;
    const bool two = 2 * r + 1 < height;
    const float* bottom = top + (two ? y_pitch : 0);
    float* to = gx + r * x_pitch;
    const size_t last = half;
    float odd = accumulate ? to[last] : 0;
    for (size_t i = 0; i < half; i += n) {
      hn::Vec<D> a, b;
      hn::LoadInterleaved2(d, top + 2 * i, a, b);
      auto sum = hn::Add(a, b);
      if (two) {
        hn::LoadInterleaved2(d, bottom + 2 * i, a, b);
        sum = hn::Add(sum, hn::Add(a, b));
      }
      if (accumulate) sum = hn::Add(sum, hn::Load(d, to + i));
      hn::Store(sum, d, to + i);
    }
    if (width % 2 == 1) to[last] = odd + top[width - 1] + (two ? bottom[width - 1] : 0);
  }
}

template <class D>
void Adam(float* value, const float* g, float* m, float* v, size_t pitch, size_t width, size_t rows, float beta1,
          float beta2, float rate, float correction, float eps, float decay) {
  const D d;
  constexpr size_t n = hn::MaxLanes(D());
  const auto b1 = hn::Set(d, beta1), b2 = hn::Set(d, beta2), c1 = hn::Set(d, 1 - beta1), c2 = hn::Set(d, 1 - beta2);
  const auto step = hn::Set(d, rate), scale = hn::Set(d, correction), e = hn::Set(d, eps), keep = hn::Set(d, decay);
  for (size_t r = 0; r < rows; r++, value += pitch, g += pitch, m += pitch, v += pitch) {
    for (size_t x = 0; x < width; x += n) {
      const auto grad = Head(d, hn::Load(d, g + x), width - x);
      const auto m1 = hn::MulAdd(b1, hn::Load(d, m + x), hn::Mul(c1, grad));
      const auto v1 = hn::MulAdd(b2, hn::Load(d, v + x), hn::Mul(c2, hn::Mul(grad, grad)));
      hn::Store(m1, d, m + x);
      hn::Store(v1, d, v + x);
      const auto change = hn::Div(hn::Mul(step, m1), hn::Add(hn::Sqrt(hn::Mul(v1, scale)), e));
      hn::Store(hn::Sub(hn::Mul(hn::Load(d, value + x), keep), change), d, value + x);
    }
  }
}

template <class D>
void Fill(nc_planes* table) {
  table->multiply = Multiply<D>;
  table->add = AddRows<D>;
  table->pass_on = PassOn<D>;
  table->squared_error = SquaredError<D>;
  table->nearest = Nearest<D>;
  table->nearest_back = NearestBack<D>;
  table->adam = Adam<D>;
}

HWY_MAYBE_UNUSED void Install(nc_planes* table) { Fill<hn::ScalableTag<float>>(table); }
HWY_MAYBE_UNUSED void InstallScalar(nc_planes* table) { Fill<hn::CappedTag<float, 1>>(table); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace nc
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nc {
void InstallPlanesBasicScalar(nc_planes* table) { HWY_STATIC_DISPATCH(InstallScalar)(table); }
void InstallPlanesBasic(int64_t target, nc_planes* table) { NC_INSTALL(Install, target, table) }
}  // namespace nc
#endif
