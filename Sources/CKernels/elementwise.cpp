// Channel scaling (bitstream-spec 6.5), saturating addition, activations and the last rounding to bytes; scalar twins
// and vector code side by side.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "elementwise.cpp"
#include "targets.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cmath>

#include "internal.h"
#include "tiles_math-inl.h"

#ifndef NC_ELEMENTWISE_SCALAR
#define NC_ELEMENTWISE_SCALAR
namespace nc {
namespace scalar {

inline int16_t Scale(int16_t x, int16_t m, int32_t shift) {
  return Sat16((int32_t{x} * m + (int32_t{1} << (shift - 1))) >> shift);
}

inline uint8_t ToU8(int16_t x, int32_t shift) {
  const int32_t v = (int32_t{x} + (shift > 0 ? 1 << (shift - 1) : 0)) >> shift;
  return static_cast<uint8_t>(v < 0 ? 0 : v > 255 ? 255 : v);
}

inline void ScaleI16(const int16_t* x, const int16_t* m, int32_t shift, int16_t* y, size_t positions, size_t channels) {
  for (size_t p = 0; p < positions; p++)
    for (size_t c = 0; c < channels; c++) y[p * channels + c] = Scale(x[p * channels + c], m[c], shift);
}

inline void AddI16(const int16_t* a, const int16_t* b, int16_t* y, size_t count) {
  for (size_t i = 0; i < count; i++) y[i] = Sat16(int32_t{a[i]} + b[i]);
}

inline void LeakyI16(const int16_t* x, int16_t* y, size_t count) {
  for (size_t i = 0; i < count; i++) y[i] = Leaky(x[i]);
}

inline void LeakyF32(const float* x, float* y, size_t count) {
  for (size_t i = 0; i < count; i++) y[i] = Leaky(x[i]);
}

inline void GeluF32(const float* x, float* y, size_t count) {
  for (size_t i = 0; i < count; i++) {
    // tanh's form: 0.5 x (1 + tanh(u)) = x / (1 + exp(-2 u)).
    const float u = 1.59576912f * (x[i] + 0.044715f * x[i] * x[i] * x[i]);
    y[i] = x[i] / (1.0f + std::exp(std::fmin(-u, 87.0f)));
  }
}

inline void ExpF32(const float* x, float highest, float* y, size_t count) {
  for (size_t i = 0; i < count; i++) y[i] = std::exp(std::fmin(x[i], highest));
}

inline void ToU8Cells(const int16_t* x, size_t stride, size_t cells, size_t run, int32_t shift, uint8_t* out) {
  for (size_t i = 0; i < cells; i++)
    for (size_t j = 0; j < run; j++) out[i * run + j] = ToU8(x[i * stride + j], shift);
}

}  // namespace scalar
}  // namespace nc
#endif

HWY_BEFORE_NAMESPACE();
namespace nc {
namespace HWY_NAMESPACE {
#if HWY_TARGET != HWY_EMU128 && HWY_TARGET != HWY_SCALAR
namespace {
namespace hn = hwy::HWY_NAMESPACE;

void ScaleI16(const int16_t* x, const int16_t* m, int32_t shift, int16_t* y, size_t positions, size_t channels) {
  const hn::ScalableTag<int32_t> d;
  const hn::Rebind<int16_t, decltype(d)> dh;
  constexpr size_t n = hn::MaxLanes(decltype(d)());
  const auto round = hn::Set(d, int32_t{1} << (shift - 1));
  for (size_t p = 0; p < positions; p++, x += channels, y += channels) {
    size_t c = 0;
    for (; c + n <= channels; c += n) {
      const auto product = hn::PromoteTo(d, hn::LoadU(dh, x + c)) * hn::PromoteTo(d, hn::LoadU(dh, m + c));
      hn::StoreU(hn::DemoteTo(dh, hn::ShiftRightSame(product + round, shift)), dh, y + c);
    }
    scalar::ScaleI16(x + c, m + c, shift, y + c, 1, channels - c);
  }
}

void AddI16(const int16_t* a, const int16_t* b, int16_t* y, size_t count) {
  const hn::ScalableTag<int16_t> d;
  constexpr size_t n = hn::MaxLanes(decltype(d)());
  size_t i = 0;
  for (; i + n <= count; i += n) hn::StoreU(hn::SaturatedAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, y + i);
  scalar::AddI16(a + i, b + i, y + i, count - i);
}

void LeakyI16(const int16_t* x, int16_t* y, size_t count) {
  const hn::ScalableTag<int16_t> d;
  constexpr size_t n = hn::MaxLanes(decltype(d)());
  size_t i = 0;
  for (; i + n <= count; i += n) {
    const auto v = hn::LoadU(d, x + i);
    hn::StoreU(hn::Max(v, hn::ShiftRight<2>(v)), d, y + i);
  }
  scalar::LeakyI16(x + i, y + i, count - i);
}

void LeakyF32(const float* x, float* y, size_t count) {
  const hn::ScalableTag<float> d;
  constexpr size_t n = hn::MaxLanes(decltype(d)());
  size_t i = 0;
  for (; i + n <= count; i += n) {
    const auto v = hn::LoadU(d, x + i);
    hn::StoreU(hn::Max(v, v * hn::Set(d, 0.25f)), d, y + i);
  }
  scalar::LeakyF32(x + i, y + i, count - i);
}

void GeluF32(const float* x, float* y, size_t count) {
  const hn::ScalableTag<float> d;
  constexpr size_t n = hn::MaxLanes(decltype(d)());
  const auto one = hn::Set(d, 1.0f), slope = hn::Set(d, -1.59576912f), cubic = hn::Set(d, 0.044715f);
  size_t i = 0;
  for (; i + n <= count; i += n) {
    const auto v = hn::LoadU(d, x + i);
    const auto u = hn::MulAdd(cubic * v * v, v, v);
    hn::StoreU(v / (one + Exp(d, slope * u)), d, y + i);
  }
  scalar::GeluF32(x + i, y + i, count - i);
}

void ExpF32(const float* x, float highest, float* y, size_t count) {
  const hn::ScalableTag<float> d;
  constexpr size_t n = hn::MaxLanes(decltype(d)());
  const auto most = hn::Set(d, highest);
  size_t i = 0;
  for (; i + n <= count; i += n) hn::StoreU(Exp(d, hn::Min(hn::LoadU(d, x + i), most)), d, y + i);
  scalar::ExpF32(x + i, highest, y + i, count - i);
}

void ToU8Cells(const int16_t* x, size_t stride, size_t cells, size_t run, int32_t shift, uint8_t* out) {
  const hn::CappedTag<int16_t, 8> d;  // runs are multiples of 8 values, most of them 24
  const hn::Rebind<uint8_t, decltype(d)> d8;
  const auto one = hn::Set(d, int16_t{shift > 0});
  for (size_t i = 0; i < cells; i++, x += stride, out += run) {
    size_t j = 0;
    for (; j + 8 <= run; j += 8) {
      auto v = hn::LoadU(d, x + j);
      // (v + 2^(s-1)) >> s == ((v >> (s-1)) + 1) >> 1, which cannot leave int16 but at s = 1, where 255 is the answer
      // either way.
      if (shift > 0) v = hn::ShiftRight<1>(hn::SaturatedAdd(hn::ShiftRightSame(v, shift - 1), one));
      hn::StoreU(hn::DemoteTo(d8, v), d8, out + j);
    }
    scalar::ToU8Cells(x + j, stride, 1, run - j, shift, out + j);
  }
}

void Install(nc_kernels* table) {
  table->scale_i16 = ScaleI16;
  table->add_i16 = AddI16;
  table->leaky_i16 = LeakyI16;
  table->leaky_f32 = LeakyF32;
  table->gelu_f32 = GeluF32;
  table->exp_f32 = ExpF32;
  table->to_u8 = ToU8Cells;
}
}  // namespace
#endif
}  // namespace HWY_NAMESPACE
}  // namespace nc
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nc {

void InstallElementwiseScalar(nc_kernels* table) {
  table->scale_i16 = scalar::ScaleI16;
  table->add_i16 = scalar::AddI16;
  table->leaky_i16 = scalar::LeakyI16;
  table->leaky_f32 = scalar::LeakyF32;
  table->gelu_f32 = scalar::GeluF32;
  table->exp_f32 = scalar::ExpF32;
  table->to_u8 = scalar::ToU8Cells;
}

void InstallElementwise(int64_t target, nc_kernels* table) { NC_INSTALL(Install, target, table) }

}  // namespace nc
#endif
