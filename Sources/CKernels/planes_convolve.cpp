// Convolution of few channels at high resolution with zero padding, and its gradients.
//
// Forward and towards the input, an output row is computed kOut channels by kSpan vectors of pixels at a time: sums stay
// in registers while taps and input channels go by. Towards the weights, kGrad channels of the gradient meet kTaps
// shifted rows of the input at a time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "planes_convolve.cpp"
#include "planes.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace nc {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

template <class D>
struct Convolve {
  using V = hn::Vec<D>;
  static constexpr size_t n = hn::MaxLanes(D());
  // 32 vector registers where a vector has 64 bytes, 16 on the others (NEON has more, and needs them less).
  static constexpr size_t kOut = n == 16 ? 8 : 4, kSpan = 3;
  static constexpr size_t kGrad = n == 16 ? 5 : 3, kTaps = n == 16 ? 5 : 4;

  struct Shape {
    const float* x;
    size_t x_plane, inputs, k, pitch, width;
    float* y;
    size_t y_plane;
    bool accumulate;
  };

  // Output channels [first, first + O) of the columns [c, c + B n) of one row.
  template <size_t O, size_t B>
  static HWY_INLINE void Tile(const Shape& s, const float* w, const float* bias, size_t first, size_t row, size_t c) {
    const D d;
    V sum[O][B];
    HWY_UNROLL(8)
    for (size_t o = 0; o < O; o++) {
      HWY_UNROLL(3)
      for (size_t b = 0; b < B; b++) sum[o][b] = bias ? hn::Set(d, bias[first + o]) : hn::Zero(d);
    }
    const size_t reach = s.k / 2;
    for (size_t i = 0; i < s.inputs; i++) {
      const float* from = s.x + i * s.x_plane + row * s.pitch + c - reach * s.pitch - reach;
      for (size_t dy = 0; dy < s.k; dy++, from += s.pitch) {
        for (size_t dx = 0; dx < s.k; dx++, w += NC_CONVOLVE_BLOCK) {
          V v[B];
          HWY_UNROLL(3)
          for (size_t b = 0; b < B; b++) v[b] = hn::LoadU(d, from + dx + b * n);
          HWY_UNROLL(8)
          for (size_t o = 0; o < O; o++) {
            const V f = hn::Set(d, w[o]);
            HWY_UNROLL(3)
            for (size_t b = 0; b < B; b++) sum[o][b] = hn::MulAdd(f, v[b], sum[o][b]);
          }
        }
      }
    }
    HWY_UNROLL(8)
    for (size_t o = 0; o < O; o++) {
      HWY_UNROLL(3)
      for (size_t b = 0; b < B; b++) {
        const size_t at = c + b * n;
        float* out = s.y + (first + o) * s.y_plane + row * s.pitch + at;
        V v = sum[o][b];
        if (s.accumulate) v = hn::Add(v, hn::Load(d, out));
        if (at + n > s.width) v = hn::IfThenElseZero(hn::FirstN(d, s.width - at), v);
        hn::Store(v, d, out);
      }
    }
  }

  template <size_t O>
  static void Channels(const Shape& s, const float* w, const float* bias, size_t first, size_t row_begin,
                       size_t row_end) {
    for (size_t row = row_begin; row < row_end; row++) {
      size_t c = 0;
      for (; c + kSpan * n <= s.width; c += kSpan * n) Tile<O, kSpan>(s, w, bias, first, row, c);
      if (c + n < s.width) {
        Tile<O, 2>(s, w, bias, first, row, c);
        c += 2 * n;
      }
      if (c < s.width) Tile<O, 1>(s, w, bias, first, row, c);
    }
  }

  // A block's channels in parts of at most kOut.
  static void Block(const Shape& s, const float* w, const float* bias, size_t first, size_t count, size_t row_begin,
                    size_t row_end) {
    for (size_t o = 0; o < count; o += kOut) {
      const float* part = w + o;
      switch (count - o < kOut ? count - o : kOut) {
        case 8: Channels<8>(s, part, bias, first + o, row_begin, row_end); break;
        case 7: Channels<7>(s, part, bias, first + o, row_begin, row_end); break;
        case 6: Channels<6>(s, part, bias, first + o, row_begin, row_end); break;
        case 5: Channels<5>(s, part, bias, first + o, row_begin, row_end); break;
        case 4: Channels<4>(s, part, bias, first + o, row_begin, row_end); break;
        case 3: Channels<3>(s, part, bias, first + o, row_begin, row_end); break;
        case 2: Channels<2>(s, part, bias, first + o, row_begin, row_end); break;
        default: Channels<1>(s, part, bias, first + o, row_begin, row_end); break;
      }
    }
  }

  static void Forward(const float* packed, const float* bias, size_t inputs, size_t outputs, size_t k, const float* x,
                      size_t x_plane, float* y, size_t y_plane, size_t width, size_t pitch, size_t row_begin,
                      size_t row_end, bool accumulate) {
    const Shape s{x, x_plane, inputs, k, pitch, width, y, y_plane, accumulate};
    const size_t blocks = (outputs + NC_CONVOLVE_BLOCK - 1) / NC_CONVOLVE_BLOCK;
    for (size_t b = 0; b < blocks; b++) {
      const size_t first = nc_convolve_first(outputs, b), end = nc_convolve_first(outputs, b + 1);
      Block(s, packed + b * inputs * k * k * NC_CONVOLVE_BLOCK, bias, first, end - first, row_begin, row_end);
    }
  }

  // gw[o][j] += sums over rows and columns of g[o] times the input seen through tap j, for O channels and J taps.
  template <size_t O, size_t J>
  static HWY_INLINE void Products(const float* g, size_t g_plane, const float* x, const int32_t* taps, size_t width,
                                  size_t pitch, size_t rows, double* gw, size_t gw_row) {
    const D d;
    V sum[O][J];
    HWY_UNROLL(5)
    for (size_t o = 0; o < O; o++) {
      HWY_UNROLL(5)
      for (size_t j = 0; j < J; j++) sum[o][j] = hn::Zero(d);
    }
    const float* from[J];
    HWY_UNROLL(5)
    for (size_t j = 0; j < J; j++) from[j] = x + taps[j];
    for (size_t row = 0; row < rows; row++) {
      for (size_t c = 0; c < width; c += n) {
        const size_t at = row * pitch + c;
        V v[J];
        HWY_UNROLL(5)
        for (size_t j = 0; j < J; j++) v[j] = hn::LoadU(d, from[j] + at);
        HWY_UNROLL(5)
        for (size_t o = 0; o < O; o++) {
          const V e = hn::Load(d, g + o * g_plane + at);
          HWY_UNROLL(5)
          for (size_t j = 0; j < J; j++) sum[o][j] = hn::MulAdd(e, v[j], sum[o][j]);
        }
      }
    }
    HWY_UNROLL(5)
    for (size_t o = 0; o < O; o++) {
      HWY_UNROLL(5)
      for (size_t j = 0; j < J; j++) gw[o * gw_row + j] += hn::GetLane(hn::SumOfLanes(d, sum[o][j]));
    }
  }

  template <size_t O>
  static void AllTaps(const float* g, size_t g_plane, const float* x, const int32_t* taps, size_t count, size_t width,
                      size_t pitch, size_t rows, double* gw) {
    size_t j = 0;
    for (; j + kTaps <= count; j += kTaps)
      Products<O, kTaps>(g, g_plane, x, taps + j, width, pitch, rows, gw + j, count);
    for (; j < count; j++) Products<O, 1>(g, g_plane, x, taps + j, width, pitch, rows, gw + j, count);
  }

  static void Weights(size_t inputs, size_t outputs, size_t k, const float* x, size_t x_plane, const float* g,
                      size_t g_plane, size_t width, size_t pitch, size_t row_begin, size_t row_end, double* gw,
                      double* gb) {
    const D d;
    const size_t count = inputs * k * k;
    // Where each tap reads, in floats from the pixel that it belongs to.
    int32_t* taps = reinterpret_cast<int32_t*>(PlaneScratch(count));
    size_t next = 0;
    for (size_t i = 0; i < inputs; i++)
      for (size_t dy = 0; dy < k; dy++)
        for (size_t dx = 0; dx < k; dx++)
          taps[next++] = static_cast<int32_t>(i * x_plane + dy * pitch + dx) - static_cast<int32_t>(k / 2 * (pitch + 1));
    // As many rows at a time as keep kGrad channels of the gradient in the first cache.
    const size_t fit = 8192 / (kGrad * pitch), together = fit == 0 ? 1 : fit;
    for (size_t row = row_begin; row < row_end; row += together) {
      const size_t rows = row_end - row < together ? row_end - row : together;
      const float *at = g + row * pitch, *from = x + row * pitch;
      size_t o = 0;
      for (; o + kGrad <= outputs; o += kGrad)
        AllTaps<kGrad>(at + o * g_plane, g_plane, from, taps, count, width, pitch, rows, gw + o * count);
      switch (outputs - o) {
        case 4: AllTaps<4>(at + o * g_plane, g_plane, from, taps, count, width, pitch, rows, gw + o * count); break;
        case 3: AllTaps<3>(at + o * g_plane, g_plane, from, taps, count, width, pitch, rows, gw + o * count); break;
        case 2: AllTaps<2>(at + o * g_plane, g_plane, from, taps, count, width, pitch, rows, gw + o * count); break;
        case 1: AllTaps<1>(at + o * g_plane, g_plane, from, taps, count, width, pitch, rows, gw + o * count); break;
        default: break;
      }
    }
    for (size_t o = 0; o < outputs; o++) {
      for (size_t row = row_begin; row < row_end; row++) {
        V sum = hn::Zero(d);
        for (size_t c = 0; c < width; c += n) sum = hn::Add(sum, hn::Load(d, g + o * g_plane + row * pitch + c));
        gb[o] += hn::GetLane(hn::SumOfLanes(d, sum));
      }
    }
  }
};

HWY_MAYBE_UNUSED void Install(nc_planes* table) {
  table->convolve = Convolve<hn::ScalableTag<float>>::Forward;
  table->convolve_weights = Convolve<hn::ScalableTag<float>>::Weights;
}
HWY_MAYBE_UNUSED void InstallScalar(nc_planes* table) {
  table->convolve = Convolve<hn::CappedTag<float, 1>>::Forward;
  table->convolve_weights = Convolve<hn::CappedTag<float, 1>>::Weights;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace nc
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nc {
void InstallPlanesConvolveScalar(nc_planes* table) { HWY_STATIC_DISPATCH(InstallScalar)(table); }
void InstallPlanesConvolve(int64_t target, nc_planes* table) { NC_INSTALL(Install, target, table) }
}  // namespace nc

size_t nc_convolve_first(size_t outputs, size_t block) {
  const size_t blocks = (outputs + NC_CONVOLVE_BLOCK - 1) / NC_CONVOLVE_BLOCK;
  return outputs * block / blocks;
}

size_t nc_convolve_packed_count(size_t inputs, size_t outputs, size_t k) {
  return (outputs + NC_CONVOLVE_BLOCK - 1) / NC_CONVOLVE_BLOCK * NC_CONVOLVE_BLOCK * inputs * k * k;
}

void nc_convolve_pack(const float* w, size_t inputs, size_t outputs, size_t k, bool adjoint, float* packed) {
  const size_t taps = k * k, ins = adjoint ? outputs : inputs, outs = adjoint ? inputs : outputs;
  for (size_t b = 0; b < (outs + NC_CONVOLVE_BLOCK - 1) / NC_CONVOLVE_BLOCK; b++) {
    const size_t first = nc_convolve_first(outs, b), count = nc_convolve_first(outs, b + 1) - first;
    for (size_t i = 0; i < ins; i++)
      for (size_t t = 0; t < taps; t++)
        for (size_t o = 0; o < NC_CONVOLVE_BLOCK; o++) {
          float v = 0;
          if (o < count) v = adjoint ? w[(i * inputs + first + o) * taps + taps - 1 - t] : w[((first + o) * inputs + i) * taps + t];
          *packed++ = v;
        }
  }
}
#endif
