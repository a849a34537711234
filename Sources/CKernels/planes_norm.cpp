// Normalisation over the channels of each pixel, and sums with a factor for each channel; forward and backward.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "planes_norm.cpp"
#include "planes.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace nc {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

template <class D>
struct Norm {
  using V = hn::Vec<D>;
  static constexpr size_t n = hn::MaxLanes(D());
  static constexpr float kEps = 1e-6f;

  // Mean and 1 / deviation of the channels at n pixels.
  static HWY_INLINE void Moments(const float* x, size_t plane, size_t channels, V* mean, V* inverse) {
    const D d;
    const V share = hn::Set(d, 1.0f / static_cast<float>(channels));
    V sum = hn::Zero(d);
    for (size_t c = 0; c < channels; c++) sum = hn::Add(sum, hn::Load(d, x + c * plane));
    *mean = hn::Mul(sum, share);
    V squares = hn::Zero(d);
    for (size_t c = 0; c < channels; c++) {
      const V e = hn::Sub(hn::Load(d, x + c * plane), *mean);
      squares = hn::MulAdd(e, e, squares);
    }
    *inverse = hn::Div(hn::Set(d, 1.0f), hn::Sqrt(hn::MulAdd(squares, share, hn::Set(d, kEps))));
  }

  static void Forward(const float* gain, const float* bias, const float* x, float* y, size_t plane, size_t pitch,
                      size_t channels, size_t width, size_t row_begin, size_t row_end) {
    const D d;
    for (size_t row = row_begin; row < row_end; row++)
      for (size_t at = 0; at < width; at += n) {
        const size_t offset = row * pitch + at;
        V mean, inverse;
        Moments(x + offset, plane, channels, &mean, &inverse);
        for (size_t c = 0; c < channels; c++) {
          const V unit = hn::Mul(hn::Sub(hn::Load(d, x + offset + c * plane), mean), inverse);
          V v = hn::MulAdd(unit, hn::Set(d, gain[c]), hn::Set(d, bias[c]));
          if (at + n > width) v = hn::IfThenElseZero(hn::FirstN(d, width - at), v);
          hn::Store(v, d, y + offset + c * plane);
        }
      }
  }

  static void Backward(const float* gain, const float* x, float* gx, const float* gy, size_t plane, size_t pitch,
                       size_t channels, size_t width, size_t row_begin, size_t row_end, double* g_gain, double* g_bias,
                       bool accumulate) {
    const D d;
    const V share = hn::Set(d, 1.0f / static_cast<float>(channels));
    float* sums = PlaneScratch(2 * channels * n);
    for (size_t i = 0; i < 2 * channels; i++) hn::Store(hn::Zero(d), d, sums + i * n);
    for (size_t row = row_begin; row < row_end; row++)
      for (size_t at = 0; at < width; at += n) {
        const size_t offset = row * pitch + at;
        const auto inside = hn::FirstN(d, width - at < n ? width - at : n);
        V mean, inverse;
        Moments(x + offset, plane, channels, &mean, &inverse);
        V first = hn::Zero(d), second = hn::Zero(d);
        for (size_t c = 0; c < channels; c++) {
          const V g = hn::IfThenElseZero(inside, hn::Load(d, gy + offset + c * plane));
          const V unit = hn::Mul(hn::Sub(hn::Load(d, x + offset + c * plane), mean), inverse);
          const V product = hn::Mul(g, unit);
          float *to_gain = sums + 2 * c * n, *to_bias = to_gain + n;
          hn::Store(hn::Add(hn::Load(d, to_gain), product), d, to_gain);
          hn::Store(hn::Add(hn::Load(d, to_bias), g), d, to_bias);
          const V factor = hn::Set(d, gain[c]);
          first = hn::MulAdd(factor, g, first);
          second = hn::MulAdd(factor, product, second);
        }
        if (!gx) continue;
        first = hn::Mul(first, share);
        second = hn::Mul(second, share);
        for (size_t c = 0; c < channels; c++) {
          const V g = hn::IfThenElseZero(inside, hn::Load(d, gy + offset + c * plane));
          const V unit = hn::Mul(hn::Sub(hn::Load(d, x + offset + c * plane), mean), inverse);
          V v = hn::Mul(inverse, hn::NegMulAdd(unit, second, hn::MulSub(hn::Set(d, gain[c]), g, first)));
          float* to = gx + offset + c * plane;
          if (accumulate) v = hn::Add(v, hn::Load(d, to));
          hn::Store(v, d, to);
        }
      }
    for (size_t c = 0; c < channels; c++) {
      g_gain[c] += hn::GetLane(hn::SumOfLanes(d, hn::Load(d, sums + 2 * c * n)));
      g_bias[c] += hn::GetLane(hn::SumOfLanes(d, hn::Load(d, sums + (2 * c + 1) * n)));
    }
  }

  static void ScaledSum(float factor, const float* a, const float* b, float* y, size_t pitch, size_t width, size_t rows) {
    const D d;
    const V f = hn::Set(d, factor);
    for (size_t row = 0; row < rows; row++)
      for (size_t at = row * pitch; at < row * pitch + width; at += n)
        hn::Store(hn::MulAdd(f, hn::Load(d, b + at), hn::Load(d, a + at)), d, y + at);
  }

  static double ScaledSumBack(float factor, const float* b, const float* gy, float* gb, size_t pitch, size_t width,
                              size_t rows, bool accumulate) {
    const D d;
    const V f = hn::Set(d, factor);
    double total = 0;
    for (size_t row = 0; row < rows; row++) {
      V sum = hn::Zero(d);
      for (size_t c = 0; c < width; c += n) {
        const size_t at = row * pitch + c;
        const V g = hn::IfThenElseZero(hn::FirstN(d, width - c < n ? width - c : n), hn::Load(d, gy + at));
        sum = hn::MulAdd(g, hn::Load(d, b + at), sum);
        V v = hn::Mul(f, g);
        if (accumulate) v = hn::Add(v, hn::Load(d, gb + at));
        hn::Store(v, d, gb + at);
      }
      total += hn::GetLane(hn::SumOfLanes(d, sum));
    }
    return total;
  }
};

template <class D>
void Fill(nc_planes* table) {
  table->channel_norm = Norm<D>::Forward;
  table->channel_norm_back = Norm<D>::Backward;
  table->scaled_sum = Norm<D>::ScaledSum;
  table->scaled_sum_back = Norm<D>::ScaledSumBack;
}
HWY_MAYBE_UNUSED void Install(nc_planes* table) { Fill<hn::ScalableTag<float>>(table); }
HWY_MAYBE_UNUSED void InstallScalar(nc_planes* table) { Fill<hn::CappedTag<float, 1>>(table); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace nc
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nc {
void InstallPlanesNormScalar(nc_planes* table) { HWY_STATIC_DISPATCH(InstallScalar)(table); }
void InstallPlanesNorm(int64_t target, nc_planes* table) { NC_INSTALL(Install, target, table) }
}  // namespace nc
#endif
