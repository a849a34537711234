// Convolution of few channels at high resolution with zero padding, and its gradients.
//
// Forward and towards the input, what a stretch of an output row needs of all inputs is copied together, so that planes
// far apart cost no misses; then up to kOut channels by kSpan vectors of pixels at a time are made of it: sums stay in
// registers while taps and input channels go by. Towards the weights, kGrad channels of the gradient meet kTaps shifted
// rows of the input at a time. Sums, a row of factors and one more are fewer than there are registers: with every register
// taken, compilers move sums to memory and back.
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
  static constexpr size_t kRegisters = n == 16 ? 32 : 16;
  static constexpr size_t kOut = n == 16 ? NC_CONVOLVE_OUTPUTS : NC_CONVOLVE_OUTPUTS / 2;
  static constexpr size_t kGrad = n == 16 ? 5 : 3, kTaps = n == 16 ? 5 : 3;
  // Floats of input that stay in the second cache beside the rest; of gradients, in the first.
  static constexpr size_t kCopied = 5120, kNear = 32768, kNearest = 6144;

  // Vectors of pixels for O channels.
  template <size_t O>
  static constexpr size_t kSpan = (kRegisters - 2) / (O + 1) < 6 ? (kRegisters - 2) / (O + 1) : 6;

  // Columns [begin, end) of an output row, where a vector may end behind `end`.
  struct Stretch {
    const float* from;  // what output 0 sees at its first tap
    size_t plane, pitch, inputs, k;
    float* y;  // column 0
    size_t y_plane, begin, end, width;
    bool accumulate;
  };

  // Output channels [0, O) of the columns [c, c + B n).
  template <size_t O, size_t B>
  static HWY_INLINE void Tile(const Stretch& s, const float* w, const float* bias, float* y, size_t c) {
    const D d;
    V sum[O][B];
    HWY_UNROLL(12)
    for (size_t o = 0; o < O; o++) {
      HWY_UNROLL(6)
      for (size_t b = 0; b < B; b++) sum[o][b] = bias ? hn::Set(d, bias[o]) : hn::Zero(d);
    }
    for (size_t i = 0; i < s.inputs; i++) {
      const float* from = s.from + i * s.plane + (c - s.begin);
      for (size_t dy = 0; dy < s.k; dy++, from += s.pitch) {
        for (size_t dx = 0; dx < s.k; dx++, w += kOut) {
          V v[B];
          HWY_UNROLL(6)
          for (size_t b = 0; b < B; b++) v[b] = hn::LoadU(d, from + dx + b * n);
          HWY_UNROLL(12)
          for (size_t o = 0; o < O; o++) {
            const V f = hn::Set(d, w[o]);
            HWY_UNROLL(6)
            for (size_t b = 0; b < B; b++) sum[o][b] = hn::MulAdd(f, v[b], sum[o][b]);
          }
        }
      }
    }
    HWY_UNROLL(12)
    for (size_t o = 0; o < O; o++) {
      HWY_UNROLL(6)
      for (size_t b = 0; b < B; b++) {
        const size_t at = c + b * n;
        float* out = y + o * s.y_plane + at;
        V v = sum[o][b];
        if (s.accumulate) v = hn::Add(v, hn::Load(d, out));
        if (at + n > s.width) v = hn::IfThenElseZero(hn::FirstN(d, s.width - at), v);
        hn::Store(v, d, out);
      }
    }
  }

  // `count` channels, at most O.
  template <size_t O>
  static HWY_INLINE void Channels(const Stretch& s, const float* w, const float* bias, float* y, size_t count) {
    if constexpr (O > 1) {
      if (count < O) return Channels<O - 1>(s, w, bias, y, count);
    }
    size_t c = s.begin;
    for (; c + kSpan<O> * n <= s.end; c += kSpan<O> * n) Tile<O, kSpan<O>>(s, w, bias, y, c);
    // At the row's end alone, as stretches are whole vectors of any span but there.
    if constexpr (kSpan<O> > 1) {
      if (c + n < s.end) Tile<O, 2>(s, w, bias, y, c), c += 2 * n;
    }
    for (; c < s.end; c += n) Tile<O, 1>(s, w, bias, y, c);
  }

  // The first channel of a part: as many as needed of at most kOut, as even as can be.
  static constexpr size_t Parts(size_t outputs) { return (outputs + kOut - 1) / kOut; }
  static constexpr size_t First(size_t outputs, size_t part) { return outputs * part / Parts(outputs); }

  static void Outputs(const Stretch& s, const float* packed, const float* bias, size_t outputs) {
    for (size_t p = 0; p < Parts(outputs); p++, packed += s.inputs * s.k * s.k * kOut) {
      const size_t first = First(outputs, p), count = First(outputs, p + 1) - first;
      Channels<kOut>(s, packed, bias ? bias + first : nullptr, s.y + first * s.y_plane, count);
    }
  }

  static void Pack(const float* w, size_t inputs, size_t outputs, size_t k, bool adjoint, float* packed) {
    const size_t taps = k * k, ins = adjoint ? outputs : inputs, outs = adjoint ? inputs : outputs;
    for (size_t p = 0; p < Parts(outs); p++) {
      const size_t first = First(outs, p), count = First(outs, p + 1) - first;
      for (size_t i = 0; i < ins; i++)
        for (size_t t = 0; t < taps; t++, packed += kOut)
          for (size_t o = 0; o < count; o++)
            packed[o] =
                adjoint ? w[(i * inputs + first + o) * taps + taps - 1 - t] : w[((first + o) * inputs + i) * taps + t];
    }
  }

  static void Forward(const float* packed, const float* bias, size_t inputs, size_t outputs, size_t k, const float* x,
                      size_t x_plane, float* y, size_t y_plane, size_t width, size_t pitch, size_t row_begin,
                      size_t row_end, bool accumulate) {
    const size_t reach = k / 2, margin = (reach + n - 1) / n * n;
    // Copying takes a few operations for each input, which few outputs would not make up for.
    const bool copies = outputs * k >= 24;
    size_t columns = width;
    if (copies) {
      const size_t fit = kCopied / (inputs * k) / (8 * n) * (8 * n);
      columns = fit < 8 * n ? 8 * n : fit;
    }
    float* copy = copies ? PlaneScratch(inputs * k * (columns + 2 * margin)) : nullptr;
    for (size_t row = row_begin; row < row_end; row++) {
      const float* seen = x + row * pitch - reach * pitch;
      for (size_t c = 0; c < width; c += columns) {
        const size_t end = width - c < columns ? width : c + columns;
        Stretch s{seen + c - reach, x_plane, pitch, inputs, k, y + row * pitch, y_plane, c, end, width, accumulate};
        if (copies) {
          s.pitch = (end - c + n - 1) / n * n + 2 * margin;
          s.plane = k * s.pitch;
          s.from = copy + margin - reach;
          Copy(seen + c - margin, x_plane, pitch, inputs, k, s.pitch, copy);
        }
        Outputs(s, packed, bias, outputs);
      }
    }
  }

  // k rows of `count` floats, whole vectors, of each input.
  static void Copy(const float* from, size_t plane, size_t pitch, size_t inputs, size_t k, size_t count, float* to) {
    const D d;
    for (size_t i = 0; i < inputs; i++, from += plane)
      for (size_t dy = 0; dy < k; dy++, to += count)
        for (size_t c = 0; c < count; c += n) hn::Store(hn::LoadU(d, from + dy * pitch + c), d, to + c);
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
        V e[O];
        HWY_UNROLL(5)
        for (size_t o = 0; o < O; o++) e[o] = hn::Load(d, g + o * g_plane + at);
        HWY_UNROLL(5)
        for (size_t j = 0; j < J; j++) {
          const V v = hn::LoadU(d, from[j] + at);
          HWY_UNROLL(5)
          for (size_t o = 0; o < O; o++) sum[o][j] = hn::MulAdd(e[o], v, sum[o][j]);
        }
      }
    }
    HWY_UNROLL(5)
    for (size_t o = 0; o < O; o++) {
      HWY_UNROLL(5)
      for (size_t j = 0; j < J; j++) gw[o * gw_row + j] += hn::GetLane(hn::SumOfLanes(d, sum[o][j]));
    }
  }

  // O channels of the gradient and all of `count` taps; gw has `gw_row` in a row.
  template <size_t O>
  static void Taps(const float* g, size_t g_plane, const float* x, const int32_t* taps, size_t count, size_t width,
                   size_t pitch, size_t rows, double* gw, size_t gw_row) {
    size_t j = 0;
    for (; j + kTaps <= count; j += kTaps)
      Products<O, kTaps>(g, g_plane, x, taps + j, width, pitch, rows, gw + j, gw_row);
    for (; j < count; j++) Products<O, 1>(g, g_plane, x, taps + j, width, pitch, rows, gw + j, gw_row);
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
    // Rows and inputs at a time.
    const size_t fit = kNearest / (kGrad * pitch), together = fit == 0 ? 1 : fit;
    const size_t planes = kNear / ((together + k - 1) * pitch), at_once = (planes == 0 ? 1 : planes) * k * k;
    for (size_t row = row_begin; row < row_end; row += together) {
      const size_t rows = row_end - row < together ? row_end - row : together;
      const float *at = g + row * pitch, *from = x + row * pitch;
      for (size_t t = 0; t < count; t += at_once) {
        const size_t some = count - t < at_once ? count - t : at_once;
        size_t o = 0;
        for (; o + kGrad <= outputs; o += kGrad)
          Taps<kGrad>(at + o * g_plane, g_plane, from, taps + t, some, width, pitch, rows, gw + o * count + t, count);
        for (; o < outputs; o++)
          Taps<1>(at + o * g_plane, g_plane, from, taps + t, some, width, pitch, rows, gw + o * count + t, count);
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
  table->convolve_pack = Convolve<hn::ScalableTag<float>>::Pack;
  table->convolve_weights = Convolve<hn::ScalableTag<float>>::Weights;
}
HWY_MAYBE_UNUSED void InstallScalar(nc_planes* table) {
  table->convolve = Convolve<hn::CappedTag<float, 1>>::Forward;
  table->convolve_pack = Convolve<hn::CappedTag<float, 1>>::Pack;
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

size_t nc_convolve_packed_count(size_t inputs, size_t outputs, size_t k) {
  return (outputs + NC_CONVOLVE_OUTPUTS - 1) / NC_CONVOLVE_OUTPUTS * NC_CONVOLVE_OUTPUTS * inputs * k * k;
}
#endif
