// Pixel shuffle fused with an activation, and the way back; pixel unshuffle.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "planes_shuffle.cpp"
#include "planes.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "tiles_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nc {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// The normal distribution's integral up to x, to about 1e-7 (Abramowitz and Stegun 7.1.26), and its density at x.
template <class D, class V = hn::Vec<D>>
HWY_INLINE void Normal(D d, V x, V* integral, V* density) {
  const V a = hn::Mul(hn::Abs(x), hn::Set(d, 0.70710678f));
  const V t = hn::Div(hn::Set(d, 1.0f), hn::MulAdd(a, hn::Set(d, 0.3275911f), hn::Set(d, 1.0f)));
  const V e = Exp(d, hn::Neg(hn::Mul(a, a)));
  V p = hn::Set(d, 1.061405429f);
  p = hn::MulAdd(p, t, hn::Set(d, -1.453152027f));
  p = hn::MulAdd(p, t, hn::Set(d, 1.421413741f));
  p = hn::MulAdd(p, t, hn::Set(d, -0.284496736f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.254829592f));
  const V tail = hn::Mul(hn::Mul(hn::Mul(p, t), e), hn::Set(d, 0.5f));
  *integral = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), tail, hn::Sub(hn::Set(d, 1.0f), tail));
  *density = hn::Mul(e, hn::Set(d, 0.39894228f));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V Sigmoid(D d, V x) {
  return hn::Div(hn::Set(d, 1.0f), hn::Add(hn::Set(d, 1.0f), Exp(d, hn::Neg(x))));
}

// The activation of x, or its slope there. GELU and swish take what is above NC_ACTIVATION_LIMIT as that, as networks in integers do.
template <bool kSlope, class D, class V = hn::Vec<D>>
HWY_INLINE V Activation(D d, int32_t which, V x) {
  const V one = hn::Set(d, 1.0f);
  if (which == NC_ACTIVATION_GELU || which == NC_ACTIVATION_SWISH) x = hn::Min(x, hn::Set(d, NC_ACTIVATION_LIMIT));
  switch (which) {
    case NC_ACTIVATION_GELU: {
      V integral, density;
      Normal(d, x, &integral, &density);
      return kSlope ? hn::MulAdd(x, density, integral) : hn::Mul(x, integral);
    }
    case NC_ACTIVATION_SWISH: {
      const V s = Sigmoid(d, x);
      return kSlope ? hn::MulAdd(hn::Mul(x, s), hn::Sub(one, s), s) : hn::Mul(x, s);
    }
    case NC_ACTIVATION_UNIT: {
      const V s = Sigmoid(d, hn::Add(x, x));
      return kSlope ? hn::Mul(hn::Add(s, s), hn::Sub(one, s)) : s;
    }
    default: return kSlope ? one : x;
  }
}

template <class D>
struct Shuffle {
  using V = hn::Vec<D>;
  static constexpr size_t n = hn::MaxLanes(D());

  // y[c s] ... gets the s vectors of `from` in turn, lane by lane.
  static HWY_INLINE void Interleave(const V* v, size_t s, size_t lanes, float* y) {
    const D d;
    if (lanes == n && n > 1) {
      switch (s) {
        case 1: hn::StoreU(v[0], d, y); return;
        case 2: hn::StoreInterleaved2(v[0], v[1], d, y); return;
        case 3: hn::StoreInterleaved3(v[0], v[1], v[2], d, y); return;
        case 4: hn::StoreInterleaved4(v[0], v[1], v[2], v[3], d, y); return;
        default: break;
      }
    }
    HWY_ALIGN float buffer[n];
    for (size_t b = 0; b < s; b++) {
      hn::Store(v[b], d, buffer);
      for (size_t l = 0; l < lanes; l++) y[l * s + b] = buffer[l];
    }
  }

  // The inverse; lanes from `lanes` on are zero.
  static HWY_INLINE void Part(const float* y, size_t s, size_t lanes, V* v) {
    const D d;
    if (lanes == n && n > 1) {
      switch (s) {
        case 1: v[0] = hn::LoadU(d, y); return;
        case 2: hn::LoadInterleaved2(d, y, v[0], v[1]); return;
        case 3: hn::LoadInterleaved3(d, y, v[0], v[1], v[2]); return;
        case 4: hn::LoadInterleaved4(d, y, v[0], v[1], v[2], v[3]); return;
        default: break;
      }
    }
    HWY_ALIGN float buffer[n];
    for (size_t b = 0; b < s; b++) {
      for (size_t l = 0; l < n; l++) buffer[l] = l < lanes ? y[l * s + b] : 0.0f;
      v[b] = hn::Load(d, buffer);
    }
  }

  // `body(planes' offset in u, offset in y, lanes)` for every vector of columns.
  template <class Body>
  static HWY_INLINE void Each(size_t s, size_t u_plane, size_t u_pitch, size_t y_plane, size_t y_pitch, size_t channels,
                              size_t width, size_t row_begin, size_t row_end, const Body& body) {
    for (size_t c = 0; c < channels; c++)
      for (size_t row = row_begin; row < row_end; row++)
        for (size_t a = 0; a < s; a++)
          for (size_t x = 0; x < width; x += n)
            body((c * s + a) * s * u_plane + row * u_pitch + x, c * y_plane + (row * s + a) * y_pitch + x * s,
                 width - x < n ? width - x : n);
  }

  static void Forward(size_t s, int32_t activation, const float* u, size_t u_plane, size_t u_pitch, float* y,
                      size_t y_plane, size_t y_pitch, size_t channels, size_t width, size_t row_begin, size_t row_end) {
    const D d;
    Each(s, u_plane, u_pitch, y_plane, y_pitch, channels, width, row_begin, row_end,
         [&](size_t from, size_t to, size_t lanes) HWY_ATTR {
           V v[NC_MAX_SHUFFLE];
           for (size_t b = 0; b < s; b++) v[b] = Activation<false>(d, activation, hn::Load(d, u + from + b * u_plane));
           Interleave(v, s, lanes, y + to);
         });
  }

  static void Backward(size_t s, int32_t activation, float* u, size_t u_plane, size_t u_pitch, const float* gy,
                       size_t y_plane, size_t y_pitch, size_t channels, size_t width, size_t row_begin,
                       size_t row_end) {
    const D d;
    const bool limited = activation == NC_ACTIVATION_GELU || activation == NC_ACTIVATION_SWISH;
    Each(s, u_plane, u_pitch, y_plane, y_pitch, channels, width, row_begin, row_end,
         [&](size_t at, size_t from, size_t lanes) HWY_ATTR {
           V v[NC_MAX_SHUFFLE];
           Part(gy + from, s, lanes, v);
           for (size_t b = 0; b < s; b++) {
             float* to = u + at + b * u_plane;
             const V x = hn::Load(d, to);
             V g = hn::Mul(v[b], Activation<true>(d, activation, x));
             // Above the limit, more makes no difference.
             if (limited) g = hn::IfThenElse(hn::Gt(x, hn::Set(d, NC_ACTIVATION_LIMIT)), hn::Max(g, hn::Zero(d)), g);
             if (lanes < n) g = hn::IfThenElseZero(hn::FirstN(d, lanes), g);
             hn::Store(g, d, to);
           }
         });
  }

  static void Unshuffle(size_t s, const float* y, size_t y_plane, size_t y_pitch, float* u, size_t u_plane,
                        size_t u_pitch, size_t channels, size_t width, size_t row_begin, size_t row_end,
                        bool accumulate) {
    const D d;
    Each(s, u_plane, u_pitch, y_plane, y_pitch, channels, width, row_begin, row_end,
         [&](size_t at, size_t from, size_t lanes) HWY_ATTR {
           V v[NC_MAX_SHUFFLE];
           Part(y + from, s, lanes, v);
           for (size_t b = 0; b < s; b++) {
             float* to = u + at + b * u_plane;
             V w = v[b];
             if (accumulate) w = hn::Add(w, hn::Load(d, to));
             if (lanes < n) w = hn::IfThenElseZero(hn::FirstN(d, lanes), w);
             hn::Store(w, d, to);
           }
         });
  }
};

template <class D>
void Fill(nc_planes* table) {
  table->shuffle = Shuffle<D>::Forward;
  table->shuffle_back = Shuffle<D>::Backward;
  table->unshuffle = Shuffle<D>::Unshuffle;
}
HWY_MAYBE_UNUSED void Install(nc_planes* table) { Fill<hn::ScalableTag<float>>(table); }
HWY_MAYBE_UNUSED void InstallScalar(nc_planes* table) { Fill<hn::CappedTag<float, 1>>(table); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace nc
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nc {
void InstallPlanesShuffleScalar(nc_planes* table) { HWY_STATIC_DISPATCH(InstallScalar)(table); }
void InstallPlanesShuffle(int64_t target, nc_planes* table) { NC_INSTALL(Install, target, table) }
}  // namespace nc
#endif
