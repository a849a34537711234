// 3x3 convolution of few channels with replicate padding, and its gradients.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "planes_conv3.cpp"
#include "planes.h"

#include <cstring>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace nc {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

constexpr size_t kRim = 16;  // floats before and after a scratch row

// Three rows of every channel: row y - 1 + k of channel c is at[k] + c * stride, readable from -1 to width.
struct Window {
  const float* at[3];
  size_t stride;
};

template <class D>
struct Conv3 {
  using V = hn::Vec<D>;
  static constexpr size_t n = hn::MaxLanes(D());

  struct Target {
    float* at;  // channel 0 of the row
    size_t plane, width;
    bool residual, relu, accumulate, mask;
  };

  // O output channels from `first` of the columns [c, c + B n): w is [out][channels][9].
  template <size_t O, size_t B>
  static HWY_INLINE void Tile(const float* w, const float* bias, const Window& x, size_t channels, const Target& to,
                              size_t first, size_t c) {
    const D d;
    V sum[O][B];
    HWY_UNROLL(4)
    for (size_t o = 0; o < O; o++) {
      HWY_UNROLL(4)
      for (size_t b = 0; b < B; b++) sum[o][b] = bias ? hn::Set(d, bias[first + o]) : hn::Zero(d);
    }
    const float* weights = w + first * channels * 9;
    for (size_t i = 0; i < channels; i++) {
      HWY_UNROLL(3)
      for (size_t dy = 0; dy < 3; dy++) {
        const float* from = x.at[dy] + i * x.stride + c - 1;
        HWY_UNROLL(3)
        for (size_t dx = 0; dx < 3; dx++) {
          V v[B];
          HWY_UNROLL(4)
          for (size_t b = 0; b < B; b++) v[b] = hn::LoadU(d, from + dx + b * n);
          HWY_UNROLL(4)
          for (size_t o = 0; o < O; o++) {
            const V k = hn::Set(d, weights[(o * channels + i) * 9 + dy * 3 + dx]);
            HWY_UNROLL(4)
            for (size_t b = 0; b < B; b++) sum[o][b] = hn::MulAdd(k, v[b], sum[o][b]);
          }
        }
      }
    }
    HWY_UNROLL(4)
    for (size_t o = 0; o < O; o++) {
      HWY_UNROLL(4)
      for (size_t b = 0; b < B; b++) {
        const size_t at = c + b * n;
        float* out = to.at + (first + o) * to.plane + at;
        V v = sum[o][b];
        if (to.residual) v = hn::Add(v, hn::Load(d, x.at[1] + (first + o) * x.stride + at));
        if (to.relu) v = hn::Max(v, hn::Zero(d));
        if (to.mask && at + n > to.width) v = hn::IfThenElseZero(hn::FirstN(d, to.width - at), v);
        if (to.accumulate) v = hn::Add(v, hn::Load(d, out));
        hn::Store(v, d, out);
      }
    }
  }

  template <size_t O, size_t B>
  static void Block(const float* w, const float* bias, const Window& x, size_t channels, const Target& to,
                    size_t first) {
    size_t c = 0;
    for (; c + B * n <= to.width; c += B * n) Tile<O, B>(w, bias, x, channels, to, first, c);
    for (; c < to.width; c += n) Tile<O, 1>(w, bias, x, channels, to, first, c);
  }

  static void Row(const float* w, const float* bias, const Window& x, size_t channels, const Target& to) {
    size_t first = 0;
    for (; channels - first >= 5 || channels - first == 4; first += 4) Block<4, 2>(w, bias, x, channels, to, first);
    switch (channels - first) {
      case 3: Block<3, 3>(w, bias, x, channels, to, first); break;
      case 2: Block<2, 4>(w, bias, x, channels, to, first); break;
      case 1: Block<1, 4>(w, bias, x, channels, to, first); break;
      default: break;
    }
  }

  // Three rows of every channel in scratch memory, by row modulo 3.
  struct Ring {
    float* base;
    size_t stride, channels;
    float* Slot(size_t row) const { return base + row % 3 * channels * stride; }
  };

  // Row `row` of x with its edges replicated.
  static void FetchValue(const Ring& ring, const float* x, size_t plane, size_t width, size_t pitch, size_t row) {
    const D d;
    for (size_t i = 0; i < ring.channels; i++) {
      const float* from = x + i * plane + row * pitch;
      float* to = ring.Slot(row) + i * ring.stride;
      for (size_t c = 0; c < width; c += n) hn::Store(hn::Load(d, from + c), d, to + c);
      to[-1] = from[0];
      to[width] = from[width - 1];
    }
  }

  // Row `row` of gy where y > 0 (or everywhere), zeros around; sums (where not NULL) gets its sums.
  static void FetchGradient(const Ring& ring, const float* y, const float* gy, size_t plane, size_t width, size_t pitch,
                            size_t row, bool relu, double* sums) {
    const D d;
    for (size_t o = 0; o < ring.channels; o++) {
      const size_t offset = o * plane + row * pitch;
      float* to = ring.Slot(row) + o * ring.stride;
      V sum = hn::Zero(d);
      for (size_t c = 0; c < width; c += n) {
        V g = hn::Load(d, gy + offset + c);
        if (relu) g = hn::IfThenElseZero(hn::Gt(hn::Load(d, y + offset + c), hn::Zero(d)), g);
        if (c + n > width) g = hn::IfThenElseZero(hn::FirstN(d, width - c), g);
        hn::Store(g, d, to + c);
        sum = hn::Add(sum, g);
      }
      to[width] = 0;
      if (sums) sums[o] += hn::GetLane(hn::SumOfLanes(d, sum));
    }
  }

  static void Forward(const float* w, const float* bias, size_t channels, const float* x, size_t x_plane, float* y,
                      size_t y_plane, size_t height, size_t width, size_t pitch, size_t row_begin, size_t row_end,
                      bool residual, bool relu) {
    const size_t stride = RoundUp16(width) + 2 * kRim;
    Ring ring{nullptr, stride, channels};
    ring.base = PlaneScratch(3 * channels * stride) + kRim;
    size_t next = row_begin == 0 ? 0 : row_begin - 1;
    for (size_t row = row_begin; row < row_end; row++) {
      for (; next < height && next <= row + 1; next++) FetchValue(ring, x, x_plane, width, pitch, next);
      Row(w, bias, Around(ring, row, height), channels,
          Target{y + row * pitch, y_plane, width, residual, relu, false, true});
    }
  }

  // The rows around one, the first and last row standing for those beyond.
  static Window Around(const Ring& ring, size_t row, size_t height) {
    return {{ring.Slot(row == 0 ? 0 : row - 1), ring.Slot(row), ring.Slot(row + 1 < height ? row + 1 : row)},
            ring.stride};
  }

  // The adjoint's kernel [in][out][9] for an input row: flipped, with what the first and last rows stand for.
  static void Flip(const float* w, size_t channels, bool first, bool last, float* flipped) {
    for (size_t i = 0; i < channels; i++) {
      for (size_t o = 0; o < channels; o++) {
        const float* from = w + (o * channels + i) * 9;
        float* to = flipped + (i * channels + o) * 9;
        for (size_t t = 0; t < 9; t++) to[8 - t] = from[t];
        for (size_t dx = 0; dx < 3; dx++) {
          if (first) to[3 + 2 - dx] += from[dx];
          if (last) to[3 + 2 - dx] += from[6 + dx];
        }
      }
    }
  }

  // sums [out][in][9] of vectors += the products of gradient row g (channel stride as x) with the window.
  template <size_t O>
  static HWY_INLINE void Products(const float* g, const Window& x, size_t channels, size_t width, size_t first,
                                  float* sums) {
    const D d;
    for (size_t i = 0; i < channels; i++) {
      for (size_t dy = 0; dy < 3; dy++) {
        const float* from = x.at[dy] + i * x.stride - 1;
        V sum[O][3];
        HWY_UNROLL(4)
        for (size_t o = 0; o < O; o++) {
          HWY_UNROLL(3)
          for (size_t dx = 0; dx < 3; dx++)
            sum[o][dx] = hn::Load(d, sums + (((first + o) * channels + i) * 9 + dy * 3 + dx) * n);
        }
        for (size_t c = 0; c < width; c += n) {
          V v[3];
          HWY_UNROLL(3)
          for (size_t dx = 0; dx < 3; dx++) v[dx] = hn::LoadU(d, from + dx + c);
          HWY_UNROLL(4)
          for (size_t o = 0; o < O; o++) {
            const V a = hn::Load(d, g + (first + o) * x.stride + c);
            HWY_UNROLL(3)
            for (size_t dx = 0; dx < 3; dx++) sum[o][dx] = hn::MulAdd(a, v[dx], sum[o][dx]);
          }
        }
        HWY_UNROLL(4)
        for (size_t o = 0; o < O; o++) {
          HWY_UNROLL(3)
          for (size_t dx = 0; dx < 3; dx++)
            hn::Store(sum[o][dx], d, sums + (((first + o) * channels + i) * 9 + dy * 3 + dx) * n);
        }
      }
    }
  }

  static void Backward(const float* w, size_t channels, const float* x, float* gx, size_t x_plane, const float* y,
                       const float* gy, size_t y_plane, size_t height, size_t width, size_t pitch, size_t row_begin,
                       size_t row_end, bool residual, bool relu, double* gw, double* gb, bool accumulate) {
    const D d;
    const size_t stride = RoundUp16(width) + 2 * kRim, weights = channels * channels * 9;
    const size_t ring_floats = 3 * channels * stride;
    float* base = PlaneScratch(2 * ring_floats + channels * stride + weights * n + RoundUp16(weights));
    std::memset(base, 0, (2 * ring_floats + channels * stride + weights * n) * sizeof(float));
    Ring values{base + kRim, stride, channels}, gradients{base + ring_floats + kRim, stride, channels};
    const float* zeros = base + 2 * ring_floats + kRim;
    float* sums = base + 2 * ring_floats + channels * stride;
    float* flipped = sums + weights * n;
    bool edges = true;  // whether `flipped` is not the inner rows' kernel
    size_t next = row_begin == 0 ? 0 : row_begin - 1;
    for (size_t row = row_begin; row < row_end; row++) {
      for (; next < height && next <= row + 1; next++) {
        const bool own = next >= row_begin && next < row_end;
        FetchValue(values, x, x_plane, width, pitch, next);
        FetchGradient(gradients, y, gy, y_plane, width, pitch, next, relu, own ? gb : nullptr);
      }
      const Window around = Around(values, row, height);
      const float* g = gradients.Slot(row);
      size_t first = 0;
      for (; channels - first >= 3; first += 3) Products<3>(g, around, channels, width, first, sums);
      if (channels - first == 2) Products<2>(g, around, channels, width, first, sums);
      if (channels - first == 1) Products<1>(g, around, channels, width, first, sums);
      if (!gx) continue;
      const bool top = row == 0, bottom = row + 1 == height;
      if (edges || top || bottom) {
        Flip(w, channels, top, bottom, flipped);
        edges = top || bottom;
      }
      const Window from = {{top ? zeros : gradients.Slot(row - 1), g, bottom ? zeros : gradients.Slot(row + 1)},
                           stride};
      float* to = gx + row * pitch;
      Row(flipped, nullptr, from, channels, Target{to, x_plane, width, residual, false, accumulate, false});
      // The first and last columns also stand for those beyond.
      for (size_t i = 0; i < channels; i++) {
        float left = 0, right = 0;
        for (size_t o = 0; o < channels; o++) {
          for (size_t k = 0; k < 3; k++) {
            const float* kernel = flipped + (i * channels + o) * 9 + k * 3;
            left += kernel[2] * from.at[k][o * stride];
            right += kernel[0] * from.at[k][o * stride + width - 1];
          }
        }
        to[i * x_plane] += left;
        to[i * x_plane + width - 1] += right;
      }
    }
    for (size_t k = 0; k < weights; k++) gw[k] += hn::GetLane(hn::SumOfLanes(d, hn::Load(d, sums + k * n)));
  }
};

HWY_MAYBE_UNUSED void Install(nc_planes* table) {
  table->conv3 = Conv3<hn::ScalableTag<float>>::Forward;
  table->conv3_back = Conv3<hn::ScalableTag<float>>::Backward;
}
HWY_MAYBE_UNUSED void InstallScalar(nc_planes* table) {
  table->conv3 = Conv3<hn::CappedTag<float, 1>>::Forward;
  table->conv3_back = Conv3<hn::CappedTag<float, 1>>::Backward;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace nc
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nc {
void InstallPlanesConv3Scalar(nc_planes* table) { HWY_STATIC_DISPATCH(InstallScalar)(table); }
void InstallPlanesConv3(int64_t target, nc_planes* table) { NC_INSTALL(Install, target, table) }
}  // namespace nc
#endif
