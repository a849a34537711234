// Kernels that only move values: weight packing, pixel shuffle and unshuffle (bitstream-spec 6.4).
#include <algorithm>

#include "internal.h"

namespace {

size_t Blocks(size_t channels) { return (channels + NC_CHANNEL_BLOCK - 1) / NC_CHANNEL_BLOCK; }

}  // namespace

size_t nc_conv_i16_packed_count(size_t in_channels, size_t out_channels, size_t taps) {
  return Blocks(out_channels) * NC_CHANNEL_BLOCK * taps * ((in_channels + 1) / 2 * 2);
}

// Packed order: [block][tap][pair of inputs][output in block][input in pair], zero where there is no channel: what a
// multiply-add of int16 pairs reads in sequence.
void nc_conv_i16_pack(const int16_t* w, size_t in_channels, size_t out_channels, size_t taps, int16_t* packed) {
  const size_t even = (in_channels + 1) / 2 * 2;
  std::fill_n(packed, nc_conv_i16_packed_count(in_channels, out_channels, taps), int16_t{0});
  for (size_t o = 0; o < out_channels; o++)
    for (size_t t = 0; t < taps; t++)
      for (size_t i = 0; i < in_channels; i++)
        packed[((o / NC_CHANNEL_BLOCK * taps + t) * even + i / 2 * 2) * NC_CHANNEL_BLOCK + o % NC_CHANNEL_BLOCK * 2 +
               i % 2] = w[(o * taps + t) * in_channels + i];
}

size_t nc_conv_f32_packed_count(size_t in_channels, size_t out_channels, size_t taps) {
  return Blocks(out_channels) * NC_CHANNEL_BLOCK * taps * in_channels;
}

// Packed order: [block][tap][input][output in block].
void nc_conv_f32_pack(const float* w, size_t in_channels, size_t out_channels, size_t taps, float* packed) {
  std::fill_n(packed, nc_conv_f32_packed_count(in_channels, out_channels, taps), 0.0f);
  for (size_t o = 0; o < out_channels; o++)
    for (size_t t = 0; t < taps; t++)
      for (size_t i = 0; i < in_channels; i++)
        packed[((o / NC_CHANNEL_BLOCK * taps + t) * in_channels + i) * NC_CHANNEL_BLOCK + o % NC_CHANNEL_BLOCK] =
            w[(o * taps + t) * in_channels + i];
}

// For one dy, a cell's k * channels values are contiguous on both sides.
void nc_unshuffle(const void* x, void* y, size_t size, size_t rows, size_t columns, size_t channels, size_t k) {
  const size_t run = k * channels * size;
  const char* in = static_cast<const char*>(x);
  char* out = static_cast<char*>(y);
  for (size_t r = 0; r < rows; r++)
    for (size_t dy = 0; dy < k; dy++)
      for (size_t c = 0; c < columns; c++)
        std::memcpy(out + ((r * columns + c) * k + dy) * run, in + ((r * k + dy) * columns + c) * run, run);
}

void nc_shuffle(const void* x, void* y, size_t size, size_t rows, size_t columns, size_t channels, size_t k) {
  const size_t run = k * channels * size;
  const char* in = static_cast<const char*>(x);
  char* out = static_cast<char*>(y);
  for (size_t r = 0; r < rows; r++)
    for (size_t dy = 0; dy < k; dy++)
      for (size_t c = 0; c < columns; c++)
        std::memcpy(out + ((r * k + dy) * columns + c) * run, in + ((r * columns + c) * k + dy) * run, run);
}

void nc_shuffle8_u8(const nc_kernels* k, const int16_t* x, size_t columns, size_t channels, int32_t shift,
                    uint8_t* out, size_t out_stride, size_t width, size_t row_begin, size_t row_end) {
  const size_t run = 8 * channels, cell = 64 * channels;
  const size_t whole = width / 8, rest = width % 8;
  for (size_t row = row_begin; row < row_end; row++) {
    const int16_t* cells = x + row / 8 * columns * cell + row % 8 * run;
    uint8_t* line = out + row * out_stride;
    k->to_u8(cells, cell, whole, run, shift, line);
    if (rest != 0) k->to_u8(cells + whole * cell, cell, 1, rest * channels, shift, line + whole * run);
  }
}
