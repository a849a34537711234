// The scalar twins of the convolutions: the definition that every vector kernel is held against.
#include "internal.h"

namespace nc {
namespace {

// bitstream-spec 6.1, 6.2
void ConvI16(const nc_conv_i16* conv, const int16_t* const* rows, int16_t* const* out, const int16_t* const* residual,
             size_t positions, int32_t epilogue) {
  const size_t in = conv->in_channels, taps = conv->taps, pairs = (in + 1) / 2;
  for (size_t p = 0; p < positions; p++) {
    for (size_t o = 0; o < static_cast<size_t>(conv->out_channels); o++) {
      const int16_t* block = conv->weights + o / NC_CHANNEL_BLOCK * taps * pairs * 2 * NC_CHANNEL_BLOCK;
      int32_t a = conv->bias[o];
      for (size_t t = 0; t < taps; t++) {
        const int16_t* x = rows[p * taps + t];
        const int16_t* w = block + t * pairs * 2 * NC_CHANNEL_BLOCK + o % NC_CHANNEL_BLOCK * 2;
        for (size_t i = 0; i < in; i++) a += int32_t{x[i]} * w[i / 2 * 2 * NC_CHANNEL_BLOCK + i % 2];
      }
      int16_t v = Sat16(a >> conv->shift[o]);
      if (epilogue == NC_EPILOGUE_LEAKY) v = Leaky(v);
      if (epilogue == NC_EPILOGUE_ADD) v = Sat16(int32_t{residual[p][o]} + v);
      out[p][o] = v;
    }
  }
}

void ConvF32(const nc_conv_f32* conv, const float* const* rows, float* const* out, const float* const* residual,
             size_t positions, int32_t epilogue) {
  const size_t in = conv->in_channels, taps = conv->taps;
  for (size_t p = 0; p < positions; p++) {
    for (size_t o = 0; o < static_cast<size_t>(conv->out_channels); o++) {
      const float* w = conv->weights + o / NC_CHANNEL_BLOCK * taps * in * NC_CHANNEL_BLOCK + o % NC_CHANNEL_BLOCK;
      float a = conv->bias[o];
      for (size_t t = 0; t < taps; t++) {
        const float* x = rows[p * taps + t];
        for (size_t i = 0; i < in; i++) a += x[i] * w[(t * in + i) * NC_CHANNEL_BLOCK];
      }
      if (epilogue == NC_EPILOGUE_LEAKY) a = Leaky(a);
      if (epilogue == NC_EPILOGUE_ADD) a += residual[p][o];
      out[p][o] = a;
    }
  }
}

void DepthwiseI16(const nc_depthwise_i16* conv, const int16_t* x, size_t height, size_t width, int16_t* y,
                  size_t row_begin, size_t row_end, int32_t epilogue) {
  for (size_t row = row_begin; row < row_end; row++)
    DepthwiseScalarI16(conv, x, height, width, y, row, 0, width, 0, conv->channels, epilogue == NC_EPILOGUE_LEAKY);
}

void DepthwiseF32(const nc_depthwise_f32* conv, const float* x, size_t height, size_t width, float* y,
                  size_t row_begin, size_t row_end, int32_t epilogue) {
  for (size_t row = row_begin; row < row_end; row++)
    DepthwiseScalarF32(conv, x, height, width, y, row, 0, width, 0, conv->channels, epilogue == NC_EPILOGUE_LEAKY);
}

}  // namespace

alignas(64) const int16_t kZeros[NC_MAX_CHANNELS * 2] = {};

// bitstream-spec 6.3
void DepthwiseScalarI16(const nc_depthwise_i16* conv, const int16_t* x, size_t height, size_t width, int16_t* y,
                        size_t row, size_t x0, size_t x1, size_t c0, size_t c1, bool leaky) {
  const size_t channels = conv->channels;
  for (size_t col = x0; col < x1; col++) {
    for (size_t c = c0; c < c1; c++) {
      int32_t a = conv->bias[c];
      for (size_t dy = 0; dy < 3; dy++) {
        const size_t r = row + dy - 1;  // wraps to huge above the picture
        if (r >= height) continue;
        for (size_t dx = 0; dx < 3; dx++) {
          const size_t s = col + dx - 1;
          if (s >= width) continue;
          a += int32_t{conv->weights[(dy * 3 + dx) * channels + c]} * x[(r * width + s) * channels + c];
        }
      }
      const int16_t v = Sat16(a >> conv->shift[c]);
      y[(row * width + col) * channels + c] = leaky ? Leaky(v) : v;
    }
  }
}

void DepthwiseScalarF32(const nc_depthwise_f32* conv, const float* x, size_t height, size_t width, float* y,
                        size_t row, size_t x0, size_t x1, size_t c0, size_t c1, bool leaky) {
  const size_t channels = conv->channels;
  for (size_t col = x0; col < x1; col++) {
    for (size_t c = c0; c < c1; c++) {
      float a = conv->bias[c];
      for (size_t dy = 0; dy < 3; dy++) {
        const size_t r = row + dy - 1;
        if (r >= height) continue;
        for (size_t dx = 0; dx < 3; dx++) {
          const size_t s = col + dx - 1;
          if (s >= width) continue;
          a += conv->weights[(dy * 3 + dx) * channels + c] * x[(r * width + s) * channels + c];
        }
      }
      y[(row * width + col) * channels + c] = leaky ? Leaky(a) : a;
    }
  }
}

void InstallScalar(nc_kernels* table) {
  table->conv_i16 = ConvI16;
  table->conv_f32 = ConvF32;
  table->depthwise_i16 = DepthwiseI16;
  table->depthwise_f32 = DepthwiseF32;
}

}  // namespace nc
