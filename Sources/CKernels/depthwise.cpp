// Depthwise 3x3 (bitstream-spec 6.3), a block of channels at a time down a tile of columns.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "depthwise.cpp"
#include "targets.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "internal.h"

HWY_BEFORE_NAMESPACE();
namespace nc {
namespace HWY_NAMESPACE {
#if HWY_TARGET != HWY_EMU128 && HWY_TARGET != HWY_SCALAR
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// A tile's input rows stay in the first two cache levels while its channel blocks go by.
constexpr size_t kTileColumns = 32;
constexpr size_t kTileRows = 4;

// Three input rows and the distance between columns: 0 for a row outside the picture, whose pointer is to zeros.
template <class T>
struct Rows {
  const T* at[3];
  size_t step[3];
};

template <class T>
HWY_INLINE Rows<T> RowsAround(const T* x, size_t height, size_t width, size_t channels, size_t row) {
  Rows<T> rows;
  for (size_t dy = 0; dy < 3; dy++) {
    const size_t r = row + dy - 1;  // wraps to huge above the picture
    const bool inside = r < height;
    rows.at[dy] = inside ? x + r * width * channels : reinterpret_cast<const T*>(kZeros);
    rows.step[dy] = inside ? channels : 0;
  }
  return rows;
}

// Two int16 vectors interleaved within 128-bit blocks, so that one multiply-add of pairs takes two taps.
template <class D>
struct Pair {
  hn::Vec<D> lower, upper;
};

template <class D>
HWY_INLINE Pair<D> Zip(D d, hn::Vec<D> a, hn::Vec<D> b) {
  return {hn::InterleaveLower(d, a, b), hn::InterleaveUpper(d, a, b)};
}

template <class D>
HWY_INLINE hn::Vec<D> LoadColumn(D d, const Rows<int16_t>& rows, size_t dy, size_t column, size_t width, size_t c) {
  // Column -1 wraps to huge; both it and column `width` read zeros.
  return hn::LoadU(d, column < width ? rows.at[dy] + column * rows.step[dy] + c : kZeros);
}

// The sum of five tap pairs for one half of the channels. The sums fit int32 in any order (bitstream-spec 6.1).
template <class D, class D32 = hn::Repartition<int32_t, D>, class V = hn::Vec<D>>
HWY_INLINE hn::Vec<D32> Sum5(D d, const int16_t* k, size_t k0, size_t k1, size_t k2, size_t k3, size_t k4, V v0, V v1,
                             V v2, V v3, V v4) {
  const D32 d32;
  constexpr size_t n = hn::MaxLanes(D());
  auto odd = hn::Zero(d32);
  auto sum = hn::ReorderWidenMulAccumulate(d32, v0, hn::Load(d, k + k0 * n), hn::Zero(d32), odd);
  sum = hn::ReorderWidenMulAccumulate(d32, v1, hn::Load(d, k + k1 * n), sum, odd);
  sum = hn::ReorderWidenMulAccumulate(d32, v2, hn::Load(d, k + k2 * n), sum, odd);
  sum = hn::ReorderWidenMulAccumulate(d32, v3, hn::Load(d, k + k3 * n), sum, odd);
  sum = hn::ReorderWidenMulAccumulate(d32, v4, hn::Load(d, k + k4 * n), sum, odd);
  return hn::RearrangeToOddPlusEven(sum, odd);
}

// Weights, biases and shifts of one block of channels in the order that the interleaved halves come in: channels 0-3
// and 4-7 of each 128-bit block.
template <class D>
struct Block16 {
  static constexpr size_t n = hn::MaxLanes(D());
  HWY_ALIGN int16_t pairs[14 * n];  // seven weight pairs: lower halves, then upper halves
  HWY_ALIGN int32_t bias[n], shift[n];

  HWY_INLINE Block16(D d, const nc_depthwise_i16* conv, size_t c) {
    const auto zero = hn::Zero(d);
    hn::Vec<D> w[9];
    HWY_UNROLL(9)
    for (size_t t = 0; t < 9; t++) w[t] = hn::LoadU(d, conv->weights + t * conv->channels + c);
    const Pair<D> zipped[7] = {Zip(d, w[0], w[3]), Zip(d, w[1], w[4]), Zip(d, w[2], w[5]), Zip(d, w[6], w[7]),
                               Zip(d, w[8], zero), Zip(d, zero, w[6]), Zip(d, w[7], w[8])};
    HWY_UNROLL(7)
    for (size_t i = 0; i < 7; i++) {
      hn::Store(zipped[i].lower, d, pairs + i * n);
      hn::Store(zipped[i].upper, d, pairs + (7 + i) * n);
    }
    for (size_t i = 0; i < n; i++) {
      const size_t slot = (i / 4 % 2) * (n / 2) + i / 8 * 4 + i % 4;
      bias[slot] = conv->bias[c + i];
      shift[slot] = conv->shift[c + i];
    }
  }
};

// Columns [x0, x1) of channels [c, c + lanes) of one row. Two columns per step: their lower rows are paired along x,
// (x-1, x) and (x+1, x+2), with weights (w0, w1), (w2, 0) for the first and (0, w0), (w1, w2) for the second; the other
// two rows are paired along y. Each interleaved vector serves as many outputs as need it.
template <bool kLeaky, class D>
HWY_INLINE void Columns16(D d, const Block16<D>& block, size_t channels, const Rows<int16_t>& rows, size_t width,
                          int16_t* y, size_t x0, size_t x1, size_t c) {
  using D32 = hn::Repartition<int32_t, D>;
  const D32 d32;
  constexpr size_t n = hn::MaxLanes(D());
  const int16_t* k = block.pairs;
  const auto bias_l = hn::Load(d32, block.bias), bias_u = hn::Load(d32, block.bias + n / 2);
  const auto shift_l = hn::Load(d32, block.shift), shift_u = hn::Load(d32, block.shift + n / 2);

  int16_t* out = y + x0 * channels + c;
  Pair<D> v0 = Zip(d, LoadColumn(d, rows, 0, x0 - 1, width, c), LoadColumn(d, rows, 1, x0 - 1, width, c));
  Pair<D> v1 = Zip(d, LoadColumn(d, rows, 0, x0, width, c), LoadColumn(d, rows, 1, x0, width, c));
  Pair<D> h0 = Zip(d, LoadColumn(d, rows, 2, x0 - 1, width, c), LoadColumn(d, rows, 2, x0, width, c));
  for (size_t x = x0; x < x1; x += 2) {
    const auto v2 = Zip(d, LoadColumn(d, rows, 0, x + 1, width, c), LoadColumn(d, rows, 1, x + 1, width, c));
    const auto v3 = Zip(d, LoadColumn(d, rows, 0, x + 2, width, c), LoadColumn(d, rows, 1, x + 2, width, c));
    const auto h1 = Zip(d, LoadColumn(d, rows, 2, x + 1, width, c), LoadColumn(d, rows, 2, x + 2, width, c));
    auto lower = Sum5(d, k, 0, 1, 2, 3, 4, v0.lower, v1.lower, v2.lower, h0.lower, h1.lower);
    auto upper = Sum5(d, k, 7, 8, 9, 10, 11, v0.upper, v1.upper, v2.upper, h0.upper, h1.upper);
    auto a = hn::ReorderDemote2To(d, (lower + bias_l) >> shift_l, (upper + bias_u) >> shift_u);
    if (kLeaky) a = hn::Max(a, hn::ShiftRight<2>(a));
    hn::StoreU(a, d, out);
    if (x + 1 < x1) {
      lower = Sum5(d, k, 0, 1, 2, 5, 6, v1.lower, v2.lower, v3.lower, h0.lower, h1.lower);
      upper = Sum5(d, k, 7, 8, 9, 12, 13, v1.upper, v2.upper, v3.upper, h0.upper, h1.upper);
      auto b = hn::ReorderDemote2To(d, (lower + bias_l) >> shift_l, (upper + bias_u) >> shift_u);
      if (kLeaky) b = hn::Max(b, hn::ShiftRight<2>(b));
      hn::StoreU(b, d, out + channels);
    }
    out += 2 * channels;
    v0 = v2;
    v1 = v3;
    h0 = h1;
  }
}

// A block of channels down the rows of a tile, so that its weights are prepared once.
template <bool kLeaky, class D>
HWY_NOINLINE void Tile16(D d, const nc_depthwise_i16* conv, const int16_t* x, size_t height, size_t width, int16_t* y,
                         size_t row_begin, size_t row_end, size_t x0, size_t x1, size_t c) {
  const size_t channels = conv->channels;
  const Block16<D> block(d, conv, c);
  for (size_t row = row_begin; row < row_end; row++)
    Columns16<kLeaky>(d, block, channels, RowsAround(x, height, width, channels, row), width,
                      y + row * width * channels, x0, x1, c);
}

template <bool kLeaky>
void RowsI16(const nc_depthwise_i16* conv, const int16_t* x, size_t height, size_t width, int16_t* y,
             size_t row_begin, size_t row_end) {
  const hn::CappedTag<int16_t, 32> full;
  const hn::CappedTag<int16_t, 8> narrow;
  constexpr size_t n = hn::MaxLanes(decltype(full)());
  const size_t channels = conv->channels;
  for (size_t row = row_begin; row < row_end; row += kTileRows) {
    const size_t end = row + kTileRows < row_end ? row + kTileRows : row_end;
    for (size_t x0 = 0; x0 < width; x0 += kTileColumns) {
      const size_t x1 = x0 + kTileColumns < width ? x0 + kTileColumns : width;
      size_t c = 0;
      for (; c + n <= channels; c += n) Tile16<kLeaky>(full, conv, x, height, width, y, row, end, x0, x1, c);
      for (; c + 8 <= channels; c += 8) Tile16<kLeaky>(narrow, conv, x, height, width, y, row, end, x0, x1, c);
      for (size_t r = row; c < channels && r < end; r++)
        DepthwiseScalarI16(conv, x, height, width, y, r, x0, x1, c, channels, kLeaky);
    }
  }
}

void DepthwiseI16(const nc_depthwise_i16* conv, const int16_t* x, size_t height, size_t width, int16_t* y,
                  size_t row_begin, size_t row_end, int32_t epilogue) {
  if (epilogue == NC_EPILOGUE_LEAKY)
    RowsI16<true>(conv, x, height, width, y, row_begin, row_end);
  else
    RowsI16<false>(conv, x, height, width, y, row_begin, row_end);
}

// One output of float from the nine taps at p[dy] + {0, s[dy], 2 * s[dy]}.
template <bool kLeaky, class D>
HWY_INLINE hn::Vec<D> CellF(D d, const hn::Vec<D> (&w)[9], hn::Vec<D> bias, const float* p0, const float* p1,
                            const float* p2, size_t s0, size_t s1, size_t s2) {
  auto a = hn::MulAdd(hn::LoadU(d, p0), w[0], bias);
  auto b = hn::LoadU(d, p0 + s0) * w[1];
  a = hn::MulAdd(hn::LoadU(d, p0 + 2 * s0), w[2], a);
  b = hn::MulAdd(hn::LoadU(d, p1), w[3], b);
  a = hn::MulAdd(hn::LoadU(d, p1 + s1), w[4], a);
  b = hn::MulAdd(hn::LoadU(d, p1 + 2 * s1), w[5], b);
  a = hn::MulAdd(hn::LoadU(d, p2), w[6], a);
  b = hn::MulAdd(hn::LoadU(d, p2 + s2), w[7], b);
  a = hn::MulAdd(hn::LoadU(d, p2 + 2 * s2), w[8], a) + b;
  return kLeaky ? hn::Max(a, a * hn::Set(d, 0.25f)) : a;
}

// A first or last column: what lies outside is copied in as zeros.
template <bool kLeaky, class D>
HWY_NOINLINE void EdgeF(D d, const nc_depthwise_f32* conv, const Rows<float>& rows, size_t width, float* y, size_t x,
                        size_t c) {
  constexpr size_t n = hn::MaxLanes(D());
  hn::Vec<D> w[9];
  for (size_t t = 0; t < 9; t++) w[t] = hn::LoadU(d, conv->weights + t * conv->channels + c);
  HWY_ALIGN float taps[9 * n];
  for (size_t t = 0; t < 9; t++) {
    const size_t column = x + t % 3 - 1;  // wraps to huge left of the picture
    const float* p = column < width ? rows.at[t / 3] + column * rows.step[t / 3] + c
                                    : reinterpret_cast<const float*>(kZeros);
    hn::Store(hn::LoadU(d, p), d, taps + t * n);
  }
  const auto v =
      CellF<kLeaky>(d, w, hn::LoadU(d, conv->bias + c), taps, taps + 3 * n, taps + 6 * n, n, n, n);
  hn::StoreU(v, d, y + x * conv->channels + c);
}

template <bool kLeaky, class D>
HWY_INLINE void ColumnsF(D d, const nc_depthwise_f32* conv, const Rows<float>& rows, size_t width, float* y, size_t x0,
                         size_t x1, size_t c) {
  const size_t channels = conv->channels;
  hn::Vec<D> w[9];
  HWY_UNROLL(9)
  for (size_t t = 0; t < 9; t++) w[t] = hn::LoadU(d, conv->weights + t * channels + c);
  const auto bias = hn::LoadU(d, conv->bias + c);
  size_t x = x0;
  if (x == 0) EdgeF<kLeaky>(d, conv, rows, width, y, x++, c);
  const size_t inner = x1 < width ? x1 : width - 1;
  if (x < inner) {
    const size_t s0 = rows.step[0], s1 = rows.step[1], s2 = rows.step[2];
    const float* p0 = rows.at[0] + (x - 1) * s0 + c;
    const float* p1 = rows.at[1] + (x - 1) * s1 + c;
    const float* p2 = rows.at[2] + (x - 1) * s2 + c;
    float* out = y + x * channels + c;
    for (; x < inner; x++) {
      hn::StoreU(CellF<kLeaky>(d, w, bias, p0, p1, p2, s0, s1, s2), d, out);
      p0 += s0;
      p1 += s1;
      p2 += s2;
      out += channels;
    }
  }
  if (x < x1) EdgeF<kLeaky>(d, conv, rows, width, y, x, c);
}

template <bool kLeaky>
void RowsF(const nc_depthwise_f32* conv, const float* x, size_t height, size_t width, float* y, size_t row_begin,
           size_t row_end) {
  const hn::ScalableTag<float> full;
  constexpr size_t n = hn::MaxLanes(decltype(full)());
  const size_t channels = conv->channels;
  for (size_t row = row_begin; row < row_end; row++) {
    const Rows<float> rows = RowsAround(x, height, width, channels, row);
    float* out = y + row * width * channels;
    for (size_t x0 = 0; x0 < width; x0 += kTileColumns) {
      const size_t x1 = x0 + kTileColumns < width ? x0 + kTileColumns : width;
      size_t c = 0;
      for (; c + n <= channels; c += n) ColumnsF<kLeaky>(full, conv, rows, width, out, x0, x1, c);
      if (c < channels) DepthwiseScalarF32(conv, x, height, width, y, row, x0, x1, c, channels, kLeaky);
    }
  }
}

void DepthwiseF32(const nc_depthwise_f32* conv, const float* x, size_t height, size_t width, float* y,
                  size_t row_begin, size_t row_end, int32_t epilogue) {
  if (epilogue == NC_EPILOGUE_LEAKY)
    RowsF<true>(conv, x, height, width, y, row_begin, row_end);
  else
    RowsF<false>(conv, x, height, width, y, row_begin, row_end);
}

void Install(nc_kernels* table) {
  table->depthwise_i16 = DepthwiseI16;
  table->depthwise_f32 = DepthwiseF32;
}
}  // namespace
#endif
}  // namespace HWY_NAMESPACE
}  // namespace nc
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nc {
void InstallDepthwise(int64_t target, nc_kernels* table) { NC_INSTALL(Install, target, table) }
}  // namespace nc
#endif
