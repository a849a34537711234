// The native kernels: what Swift sees. Layout is [positions, channels], channels fastest; strides count elements.
//
// A kernel table is filled with scalar code (the definition, bitstream-spec 6) and upgraded by what the CPU can do.
// Drivers below take the table and hold no level-dependent code.
#ifndef NC_KERNELS_H
#define NC_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Levels in ascending order. On aarch64 NC_LEVEL_128 is NEON and the wider ones do not exist.
enum { NC_LEVEL_SCALAR = 0, NC_LEVEL_128 = 1, NC_LEVEL_AVX2 = 2, NC_LEVEL_AVX512 = 3, NC_LEVELS = 4 };

enum {
  NC_EPILOGUE_NONE = 0,
  NC_EPILOGUE_LEAKY = 1,  // max(v, v >> 2); max(v, v / 4) in float
  NC_EPILOGUE_ADD = 2,    // residual + v, saturating to int16 in fixed point
};

// Output channels are packed in blocks of this many, at every level.
enum { NC_CHANNEL_BLOCK = 16, NC_MAX_CHANNELS = 8192 };

// A convolution's weights. `weights` comes from nc_conv_i16_pack; `bias` and `shift` hold outChannels rounded up to a
// multiple of 16 entries. All three live as long as the struct is used.
typedef struct {
  int32_t in_channels, out_channels, taps;
  const int16_t* weights;
  const int32_t* bias;
  const int32_t* shift;
} nc_conv_i16;

typedef struct {
  int32_t in_channels, out_channels, taps;
  const float* weights;  // from nc_conv_f32_pack
  const float* bias;     // rounded up to a multiple of 16 entries
} nc_conv_f32;

// Depthwise 3x3: weights [9][channels], tap = dy * 3 + dx.
typedef struct {
  int32_t channels;
  const int16_t* weights;
  const int32_t* bias;
  const int32_t* shift;
} nc_depthwise_i16;

typedef struct {
  int32_t channels;
  const float* weights;
  const float* bias;
} nc_depthwise_f32;

typedef struct nc_kernels {
  int32_t level;

  // For each position p: out[p][o] = epilogue(sum over t, i of w[o][t][i] * rows[p * taps + t][i]); 6.1 and 6.2.
  // `residual` is read only with NC_EPILOGUE_ADD and may alias `out`.
  void (*conv_i16)(const nc_conv_i16* conv, const int16_t* const* rows, int16_t* const* out,
                   const int16_t* const* residual, size_t positions, int32_t epilogue);
  void (*conv_f32)(const nc_conv_f32* conv, const float* const* rows, float* const* out,
                   const float* const* residual, size_t positions, int32_t epilogue);

  // Output rows [row_begin, row_end) of a dense [height, width, channels] picture; 6.3.
  void (*depthwise_i16)(const nc_depthwise_i16* conv, const int16_t* x, size_t height, size_t width, int16_t* y,
                        size_t row_begin, size_t row_end, int32_t epilogue);
  void (*depthwise_f32)(const nc_depthwise_f32* conv, const float* x, size_t height, size_t width, float* y,
                        size_t row_begin, size_t row_end, int32_t epilogue);

  // y[p][c] = sat16((x[p][c] * m[c] + 2^(shift-1)) >> shift), shift in 1...30; 6.5. May run in place.
  void (*scale_i16)(const int16_t* x, const int16_t* m, int32_t shift, int16_t* y, size_t positions, size_t channels);
  void (*add_i16)(const int16_t* a, const int16_t* b, int16_t* y, size_t count);  // sat16(a + b)
  void (*leaky_i16)(const int16_t* x, int16_t* y, size_t count);
  void (*leaky_f32)(const float* x, float* y, size_t count);
  // y = 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). May run in place.
  void (*gelu_f32)(const float* x, float* y, size_t count);
  // y = exp(min(x, highest)), highest at most 80; 1e-38 is as good as 0. May run in place.
  void (*exp_f32)(const float* x, float highest, float* y, size_t count);
  // out[i] = clamp((x[i] + 2^(shift-1)) >> shift, 0, 255), shift in 0...15 (0: no rounding term). `cells` runs of
  // `run` values, `stride` elements apart in x, end to end in out.
  void (*to_u8)(const int16_t* x, size_t stride, size_t cells, size_t run, int32_t shift, uint8_t* out);
} nc_kernels;

// The table for a level, or NULL where this CPU (or build) lacks it. Tables are immutable and live for ever.
const nc_kernels* nc_kernels_at(int32_t level);
// The best level this CPU has, capped by the environment variable NCCODEC_SIMD (scalar, sse4, avx2, avx512; an unknown
// value caps nothing). Read once.
const nc_kernels* nc_kernels_current(void);
// "scalar", "sse4" ("neon" on aarch64), "avx2" or "avx512"; "?" for anything else.
const char* nc_level_name(int32_t level);

// Packing. Unpacked weights are [out][tap][in].
size_t nc_conv_i16_packed_count(size_t in_channels, size_t out_channels, size_t taps);
void nc_conv_i16_pack(const int16_t* w, size_t in_channels, size_t out_channels, size_t taps, int16_t* packed);
size_t nc_conv_f32_packed_count(size_t in_channels, size_t out_channels, size_t taps);
void nc_conv_f32_pack(const float* w, size_t in_channels, size_t out_channels, size_t taps, float* packed);

// 1x1 over `positions` positions, each a given stride from the last, so that every second column or row of a tensor
// can be read or written in place. x and y must not overlap; residual may be y.
void nc_conv1x1_i16(const nc_kernels* k, const nc_conv_i16* conv, const int16_t* x, size_t x_stride, int16_t* y,
                    size_t y_stride, const int16_t* residual, size_t residual_stride, size_t positions,
                    int32_t epilogue);
void nc_conv1x1_f32(const nc_kernels* k, const nc_conv_f32* conv, const float* x, size_t x_stride, float* y,
                    size_t y_stride, const float* residual, size_t residual_stride, size_t positions,
                    int32_t epilogue);

// y = residual + second(leaky(first(x))), tile by tile; equal to the two separate calls. y may be residual or x.
void nc_pair1x1_i16(const nc_kernels* k, const nc_conv_i16* first, const nc_conv_i16* second, const int16_t* x,
                    size_t x_stride, const int16_t* residual, size_t residual_stride, int16_t* y, size_t y_stride,
                    size_t positions);
void nc_pair1x1_f32(const nc_kernels* k, const nc_conv_f32* first, const nc_conv_f32* second, const float* x,
                    size_t x_stride, const float* residual, size_t residual_stride, float* y, size_t y_stride,
                    size_t positions);

// 3x3 on dense [height, width, in], stride 1 or 2; writes rows [row_begin, row_end) of the dense output
// [ceil(height/stride), ceil(width/stride), out]. residual is dense like y.
void nc_conv3x3_i16(const nc_kernels* k, const nc_conv_i16* conv, const int16_t* x, size_t height, size_t width,
                    size_t stride, int16_t* y, const int16_t* residual, size_t row_begin, size_t row_end,
                    int32_t epilogue);
void nc_conv3x3_f32(const nc_kernels* k, const nc_conv_f32* conv, const float* x, size_t height, size_t width,
                    size_t stride, float* y, const float* residual, size_t row_begin, size_t row_end,
                    int32_t epilogue);

// 6.4, for elements of `size` bytes. `rows`, `columns` and `channels` are those of the small-grid side divided by k*k:
// unshuffle reads [rows*k, columns*k, channels] and writes [rows, columns, k*k*channels]; shuffle is its inverse.
void nc_unshuffle(const void* x, void* y, size_t size, size_t rows, size_t columns, size_t channels, size_t k);
void nc_shuffle(const void* x, void* y, size_t size, size_t rows, size_t columns, size_t channels, size_t k);

// Shuffle by 8 fused with rounding to bytes: x is [ceil(height/8), columns, 64 * channels] with 8 * columns >= width;
// writes picture rows [row_begin, row_end) of `width` pixels, `channels` bytes each, `out_stride` bytes between rows.
void nc_shuffle8_u8(const nc_kernels* k, const int16_t* x, size_t columns, size_t channels, int32_t shift,
                    uint8_t* out, size_t out_stride, size_t width, size_t row_begin, size_t row_end);

#ifdef __cplusplus
}
#endif
#endif
