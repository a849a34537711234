// Soft rounding with noise, and its slope.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "planes_round.cpp"
#include "planes.h"

#include <cmath>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace nc {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// 2^x for |x| <= 120, relative error below 3e-7.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Exp2(D d, V x) {
  const hn::RebindToSigned<D> di;
  const V n = hn::Round(x);
  const V f = hn::Sub(x, n);
  // Taylor: the next term, (f ln 2)^7 / 5040 with |f| <= 1/2, is below 1.2e-7. Added up in pairs, as the chain of
  // operations is what takes the time here.
  const V f2 = hn::Mul(f, f);
  const V p01 = hn::MulAdd(f, hn::Set(d, 0.693147181f), hn::Set(d, 1.0f));
  const V p23 = hn::MulAdd(f, hn::Set(d, 0.0555041087f), hn::Set(d, 0.240226507f));
  const V p45 = hn::MulAdd(f, hn::Set(d, 1.33335581e-3f), hn::Set(d, 9.61812911e-3f));
  const V p456 = hn::MulAdd(f2, hn::Set(d, 1.54035304e-4f), p45);
  const V p = hn::MulAdd(hn::Mul(f2, f2), p456, hn::MulAdd(f2, p23, p01));
  const auto power = hn::ShiftLeft<23>(hn::Add(hn::ConvertTo(di, n), hn::Set(di, 127)));
  return hn::Mul(p, hn::BitCast(d, power));
}

// softround(v) = floor(v) + 1/2 + tanh((v - floor(v) - 1/2) / T) / (2 tanh(1 / (2 T))) and its derivative.
template <class D>
struct Soft {
  using V = hn::Vec<D>;
  V scale, height, steepness;  // scale: 2 log2(e) / T

  HWY_INLINE Soft(D d, float t) {
    t = t < NC_MIN_TEMPERATURE ? NC_MIN_TEMPERATURE : t;
    const double edge = std::tanh(0.5 / t);
    scale = hn::Set(d, static_cast<float>(2.8853900817779268 / t));
    height = hn::Set(d, static_cast<float>(0.5 / edge));
    steepness = hn::Set(d, static_cast<float>(2 / (t * edge)));
  }

  HWY_INLINE V operator()(D d, V v, V* slope) const {
    const V half = hn::Set(d, 0.5f), one = hn::Set(d, 1.0f);
    const V base = hn::Floor(v);
    // With e = e^2a: tanh a = 1 - 2 / (1 + e), and its derivative is 4 e / (1 + e)^2.
    const V e = Exp2(d, hn::Mul(hn::Sub(hn::Sub(v, base), half), scale));
    const V r = hn::Div(one, hn::Add(one, e));
    *slope = hn::Mul(hn::Mul(steepness, r), hn::Mul(e, r));
    return hn::MulAdd(height, hn::NegMulAdd(hn::Set(d, 2.0f), r, one), hn::Add(base, half));
  }
};

HWY_INLINE uint64_t Mix64(uint64_t z) {
  z += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

template <class DU, class V = hn::Vec<DU>>
HWY_INLINE V Mix32(DU du, V v) {
  v = hn::Xor(v, hn::ShiftRight<16>(v));
  v = hn::Mul(v, hn::Set(du, 0x7FEB352Du));
  v = hn::Xor(v, hn::ShiftRight<15>(v));
  v = hn::Mul(v, hn::Set(du, 0x846CA68Bu));
  return hn::Xor(v, hn::ShiftRight<16>(v));
}

// A row's noise: lane i of element x has the sum of four uniform 16-bit numbers, whose mean is 131070 and whose variance
// is (2^32 - 1) / 3; exact integers, so the same at every SIMD level.
template <class D>
struct Noise {
  hn::Vec<hn::RebindToUnsigned<D>> key, second;
  HWY_INLINE Noise(D d, uint64_t row_key) {
    const hn::RebindToUnsigned<D> du;
    key = hn::Set(du, static_cast<uint32_t>(row_key));
    second = hn::Set(du, static_cast<uint32_t>(row_key >> 32));
    (void)d;
  }
  HWY_INLINE hn::Vec<D> operator()(D d, size_t x, hn::Vec<D> sigma) const {
    const hn::RebindToUnsigned<D> du;
    const hn::RebindToSigned<D> di;
    const auto index = hn::Iota(du, static_cast<uint32_t>(x));
    const auto a = Mix32(du, hn::Add(hn::Mul(index, hn::Set(du, 0x9E3779B9u)), key));
    const auto b = Mix32(du, hn::Add(a, second));
    const auto low = hn::Set(du, 0xFFFFu);
    const auto sum = hn::Add(hn::Add(hn::And(a, low), hn::ShiftRight<16>(a)),
                             hn::Add(hn::And(b, low), hn::ShiftRight<16>(b)));
    const auto centred = hn::Sub(hn::BitCast(di, sum), hn::Set(di, 131070));
    return hn::Mul(hn::ConvertTo(d, centred), sigma);
  }
};

template <class D, int mode, bool wants_slope>
void RoundRows(const nc_soft_round* o, const float* x, float* y, float* slope, size_t pitch, size_t width, size_t rows,
               uint64_t first) {
  const D d;
  constexpr size_t n = hn::MaxLanes(D());
  const auto gain = hn::Set(d, o->gain);
  const auto sigma = hn::Set(d, static_cast<float>(o->sigma / std::sqrt(4294967295.0 / 3)));
  const Soft<D> soft(d, o->temperature);
  const uint64_t run_key = Mix64(o->seed + Mix64(o->iteration));
  for (size_t r = 0; r < rows; r++) {
    const Noise<D> noise(d, Mix64(run_key + first + r * width));
    const float* from = x + r * pitch;
    float* to = y + r * pitch;
    for (size_t i = 0; i < width; i += n) {
      const auto v = hn::Mul(hn::Load(d, from + i), gain);
      hn::Vec<D> out, s1 = gain, s2;
      if (mode == NC_ROUND_SOFT) {
        out = soft(d, hn::Add(soft(d, v, &s1), noise(d, i, sigma)), &s2);
        s1 = hn::Mul(s1, s2);
      } else {
        out = hn::Round(v);
        if (wants_slope) soft(d, v, &s1);
      }
      if (i + n > width) out = hn::IfThenElseZero(hn::FirstN(d, width - i), out);
      hn::Store(out, d, to + i);
      if (wants_slope) hn::Store(hn::Mul(s1, gain), d, slope + r * pitch + i);
    }
  }
}

template <class D>
void SoftRound(const nc_soft_round* o, const float* x, float* y, float* slope, size_t pitch, size_t width, size_t rows,
               uint64_t first) {
  if (o->mode == NC_ROUND_SOFT) {
    if (slope)
      RoundRows<D, NC_ROUND_SOFT, true>(o, x, y, slope, pitch, width, rows, first);
    else
      RoundRows<D, NC_ROUND_SOFT, false>(o, x, y, slope, pitch, width, rows, first);
  } else if (o->mode == NC_ROUND_HARD && slope) {
    RoundRows<D, NC_ROUND_HARD, true>(o, x, y, slope, pitch, width, rows, first);
  } else {
    RoundRows<D, NC_ROUND_PLAIN, false>(o, x, y, slope, pitch, width, rows, first);
  }
}

HWY_MAYBE_UNUSED void Install(nc_planes* table) { table->soft_round = SoftRound<hn::ScalableTag<float>>; }
HWY_MAYBE_UNUSED void InstallScalar(nc_planes* table) { table->soft_round = SoftRound<hn::CappedTag<float, 1>>; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace nc
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nc {
void InstallPlanesRoundScalar(nc_planes* table) { HWY_STATIC_DISPATCH(InstallScalar)(table); }
void InstallPlanesRound(int64_t target, nc_planes* table) { NC_INSTALL(Install, target, table) }
}  // namespace nc
#endif
