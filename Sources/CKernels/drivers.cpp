// Level-independent halves of the convolutions: they cut work into cache-sized tiles of positions and hand each to the
// table's kernel as row pointers. Tile sizes depend on the channel counts alone, so results (float ones too: a
// position's sum is taken in one order) never depend on who calls with which range.
#include <algorithm>
#include <cstdlib>
#include <memory>

#include "internal.h"

namespace nc {
namespace {

constexpr size_t kTileQuantum = 12;  // a multiple of every level's register block height

size_t TileFor(size_t bytes_per_position, size_t budget) {
  const size_t fit = budget / std::max<size_t>(bytes_per_position, 1) / kTileQuantum * kTileQuantum;
  return std::min(std::max(fit, kTileQuantum), kMaxTile);
}

// Asks for the rows of the next tile while this one is computed: the kernels read a row a few bytes at a time, too
// slowly for the hardware to see a stream coming. Worth a tenth of a float 1x1 over a picture that overflows the caches.
template <class T>
inline void PrefetchRows(const T* x, size_t stride, size_t channels, size_t count) {
  for (size_t p = 0; p < count; p++) {
    const char* row = reinterpret_cast<const char*>(x + p * stride);
    for (size_t at = 0; at < channels * sizeof(T); at += 64) __builtin_prefetch(row + at, 0, 2);
  }
}

struct Kind16 {
  using T = int16_t;
  using Conv = nc_conv_i16;
  static void Run(const nc_kernels* k, const Conv* c, const T* const* rows, T* const* out, const T* const* residual,
                  size_t n, int32_t epilogue) {
    k->conv_i16(c, rows, out, residual, n, epilogue);
  }
};

struct KindF {
  using T = float;
  using Conv = nc_conv_f32;
  static void Run(const nc_kernels* k, const Conv* c, const T* const* rows, T* const* out, const T* const* residual,
                  size_t n, int32_t epilogue) {
    k->conv_f32(c, rows, out, residual, n, epilogue);
  }
};

template <class Kind, class T = typename Kind::T>
void Conv1x1(const nc_kernels* k, const typename Kind::Conv* conv, const T* x, size_t x_stride, T* y, size_t y_stride,
             const T* residual, size_t residual_stride, size_t positions, int32_t epilogue) {
  const T* rows[kMaxTile];
  T* out[kMaxTile];
  const T* trunk[kMaxTile] = {};
  const size_t tile = TileFor(conv->in_channels * sizeof(T), 24 << 10);
  for (size_t begin = 0; begin < positions; begin += tile) {
    const size_t n = std::min(tile, positions - begin);
    for (size_t p = 0; p < n; p++) {
      rows[p] = x + (begin + p) * x_stride;
      out[p] = y + (begin + p) * y_stride;
      if (epilogue == NC_EPILOGUE_ADD) trunk[p] = residual + (begin + p) * residual_stride;
    }
    const size_t next = begin + n;  // may be the end: nothing is fetched then
    PrefetchRows(x + next * x_stride, x_stride, conv->in_channels, std::min(tile, positions - next));
    Kind::Run(k, conv, rows, out, trunk, n, epilogue);
  }
}

template <class Kind, class T = typename Kind::T>
void Pair1x1(const nc_kernels* k, const typename Kind::Conv* first, const typename Kind::Conv* second, const T* x,
             size_t x_stride, const T* residual, size_t residual_stride, T* y, size_t y_stride, size_t positions) {
  const size_t hidden = first->out_channels;
  const size_t tile = TileFor(hidden * sizeof(T), 20 << 10);
  std::unique_ptr<T[]> scratch(new T[tile * hidden]);
  const T* rows[kMaxTile];
  T* mid[kMaxTile];
  const T* mid_rows[kMaxTile];
  T* out[kMaxTile];
  const T* trunk[kMaxTile];
  for (size_t p = 0; p < tile; p++) mid_rows[p] = mid[p] = scratch.get() + p * hidden;
  for (size_t begin = 0; begin < positions; begin += tile) {
    const size_t n = std::min(tile, positions - begin);
    for (size_t p = 0; p < n; p++) {
      rows[p] = x + (begin + p) * x_stride;
      out[p] = y + (begin + p) * y_stride;
      trunk[p] = residual + (begin + p) * residual_stride;
    }
    Kind::Run(k, first, rows, mid, nullptr, n, NC_EPILOGUE_LEAKY);
    Kind::Run(k, second, mid_rows, out, trunk, n, NC_EPILOGUE_ADD);
  }
}

template <class Kind, class T = typename Kind::T>
void Conv3x3(const nc_kernels* k, const typename Kind::Conv* conv, const T* x, size_t height, size_t width,
             size_t stride, T* y, const T* residual, size_t row_begin, size_t row_end, int32_t epilogue) {
  const T* rows[kMaxTile * 9];
  T* out[kMaxTile];
  const T* trunk[kMaxTile] = {};
  const T* zeros = reinterpret_cast<const T*>(kZeros);
  const size_t in = conv->in_channels, channels = conv->out_channels;
  const size_t columns = (width + stride - 1) / stride;
  const size_t tile = TileFor(in * sizeof(T) * 3 * stride, 12 << 10);
  for (size_t row = row_begin; row < row_end; row++) {
    for (size_t begin = 0; begin < columns; begin += tile) {
      const size_t n = std::min(tile, columns - begin);
      for (size_t p = 0; p < n; p++) {
        const size_t column = begin + p, at = row * columns + column;
        for (size_t t = 0; t < 9; t++) {
          const size_t r = row * stride + t / 3 - 1, c = column * stride + t % 3 - 1;  // wrap to huge at -1
          rows[p * 9 + t] = r < height && c < width ? x + (r * width + c) * in : zeros;
        }
        out[p] = y + at * channels;
        if (epilogue == NC_EPILOGUE_ADD) trunk[p] = residual + at * channels;
      }
      Kind::Run(k, conv, rows, out, trunk, n, epilogue);
    }
  }
}

}  // namespace
}  // namespace nc

void nc_conv1x1_i16(const nc_kernels* k, const nc_conv_i16* conv, const int16_t* x, size_t x_stride, int16_t* y,
                    size_t y_stride, const int16_t* residual, size_t residual_stride, size_t positions,
                    int32_t epilogue) {
  nc::Conv1x1<nc::Kind16>(k, conv, x, x_stride, y, y_stride, residual, residual_stride, positions, epilogue);
}

void nc_conv1x1_f32(const nc_kernels* k, const nc_conv_f32* conv, const float* x, size_t x_stride, float* y,
                    size_t y_stride, const float* residual, size_t residual_stride, size_t positions,
                    int32_t epilogue) {
  nc::Conv1x1<nc::KindF>(k, conv, x, x_stride, y, y_stride, residual, residual_stride, positions, epilogue);
}

void nc_pair1x1_i16(const nc_kernels* k, const nc_conv_i16* first, const nc_conv_i16* second, const int16_t* x,
                    size_t x_stride, const int16_t* residual, size_t residual_stride, int16_t* y, size_t y_stride,
                    size_t positions) {
  nc::Pair1x1<nc::Kind16>(k, first, second, x, x_stride, residual, residual_stride, y, y_stride, positions);
}

void nc_pair1x1_f32(const nc_kernels* k, const nc_conv_f32* first, const nc_conv_f32* second, const float* x,
                    size_t x_stride, const float* residual, size_t residual_stride, float* y, size_t y_stride,
                    size_t positions) {
  nc::Pair1x1<nc::KindF>(k, first, second, x, x_stride, residual, residual_stride, y, y_stride, positions);
}

void nc_conv3x3_i16(const nc_kernels* k, const nc_conv_i16* conv, const int16_t* x, size_t height, size_t width,
                    size_t stride, int16_t* y, const int16_t* residual, size_t row_begin, size_t row_end,
                    int32_t epilogue) {
  nc::Conv3x3<nc::Kind16>(k, conv, x, height, width, stride, y, residual, row_begin, row_end, epilogue);
}

void nc_conv3x3_f32(const nc_kernels* k, const nc_conv_f32* conv, const float* x, size_t height, size_t width,
                    size_t stride, float* y, const float* residual, size_t row_begin, size_t row_end,
                    int32_t epilogue) {
  nc::Conv3x3<nc::KindF>(k, conv, x, height, width, stride, y, residual, row_begin, row_end, epilogue);
}
