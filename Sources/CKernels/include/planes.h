// Kernels of the Autograd target: operators on planes of float32, forward and backward.
//
// A plane is `width` floats a row, rows `pitch` floats apart (a multiple of 16, at least width + 16), row starts
// 64-byte aligned. Values have zeros in the floats after a row's end and before its start (at least 16 each); kernels
// read them and store nothing but zeros there. Gradients may hold rubbish there. `pitch` is a function of the width, so
// planes of one width share it. `accumulate` false: the kernel stores a gradient instead of adding to it.
#ifndef NC_PLANES_H
#define NC_PLANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  NC_ROUND_SOFT = 0,  // softround(softround(x * gain) + noise)
  NC_ROUND_HARD = 1,  // round(x * gain) with the slope of softround at x * gain
  NC_ROUND_PLAIN = 2  // round(x * gain), slope untouched
};

// There softround is a step but for a few hundredths around its middle, and 2^(1.45 / T) fits a float.
#define NC_MIN_TEMPERATURE 0.0125f

typedef struct {
  int32_t mode;
  float gain, temperature;  // one below NC_MIN_TEMPERATURE counts as that
  float sigma;              // of the noise, in units of y
  uint64_t seed, iteration;
} nc_soft_round;

// Largest half-length of an upsampling or symmetric filter's free numbers, and most channels of a 3x3 convolution.
enum { NC_MAX_TAPS = 8, NC_MAX_SYMMETRIC = 5, NC_MAX_CONV3 = 16 };

// Most output channels that `convolve` makes at a time; the widest kernel that rows above and below a plane have room for; the
// largest factor of a shuffle.
enum { NC_CONVOLVE_OUTPUTS = 12, NC_MAX_CONVOLVE = 9, NC_MAX_SHUFFLE = 5 };

enum {
  NC_ACTIVATION_NONE = 0,
  NC_ACTIVATION_GELU = 1,   // x times the normal distribution's integral
  NC_ACTIVATION_SWISH = 2,  // x / (1 + e^-x)
  NC_ACTIVATION_UNIT = 3,   // (1 + tanh x) / 2
};
// GELU and swish take an x above this as this.
#define NC_ACTIVATION_LIMIT 15.984375f

typedef struct nc_planes {
  int32_t level;

  // Rows [0, rows) of one plane; `first` is the number of elements before row 0 in the whole variable, which picks the
  // noise. slope may be NULL.
  void (*soft_round)(const nc_soft_round* o, const float* x, float* y, float* slope, size_t pitch, size_t width,
                     size_t rows, uint64_t first);
  // y = a * b or y += a * b
  void (*multiply)(const float* a, const float* b, float* y, size_t pitch, size_t width, size_t rows, bool accumulate);
  // y = a + b, values
  void (*add)(const float* a, const float* b, float* y, size_t pitch, size_t width, size_t rows);
  // y = a or y += a
  void (*pass_on)(const float* a, float* y, size_t pitch, size_t width, size_t rows, bool accumulate);
  // With e = min(max(x + other, low), high) - t, where other may be NULL and low <= 0 <= high: the sum of e^2; each of g and
  // g_other that is not NULL gets = or += scale * e.
  double (*squared_error)(const float* x, const float* other, const float* t, float low, float high, float* g,
                          float* g_other, float scale, size_t pitch, size_t width, size_t rows, bool accumulate,
                          bool accumulate_other);

  // Rows [row_begin, row_end) of y [height, width]: y[r][c] = x[r / 2][c / 2].
  void (*nearest)(const float* x, size_t x_pitch, float* y, size_t y_pitch, size_t width, size_t row_begin,
                  size_t row_end);
  // Rows [row_begin, row_end) of gx, the sums over the up to four children in gy [height, width].
  void (*nearest_back)(const float* gy, size_t y_pitch, size_t height, size_t width, float* gx, size_t x_pitch,
                       size_t row_begin, size_t row_end, bool accumulate);

  // Transposed convolution with stride 2 and the symmetric kernel (w[0] ... w[m-1] w[m-1] ... w[0]) in both directions,
  // replicate padding: y[o] = sum over j of x[clamp(j)] * kernel[o + m - 1 - 2 j]. x is [in_height, in_width], y
  // [height, width] with in = ceil(out / 2). Rows [row_begin, row_end) of y. m in 1...8.
  void (*upsample)(const float* w, size_t m, const float* x, size_t in_height, size_t in_width, size_t x_pitch,
                   float* y, size_t height, size_t width, size_t y_pitch, size_t row_begin, size_t row_end);
  // Rows [row_begin, row_end) of gx (NULL: not wanted), and gw[0...m-1] += the part of the output rows
  // [2 row_begin, min(2 row_end, height)).
  void (*upsample_back)(const float* w, size_t m, const float* x, float* gx, size_t in_height, size_t in_width,
                        size_t x_pitch, const float* gy, size_t height, size_t width, size_t y_pitch,
                        size_t row_begin, size_t row_end, double* gw, bool accumulate);

  // y = x + kernel * x in both directions with the symmetric kernel (w[0] ... w[q-1] ... w[0]), zero padding; q in
  // 1...5. Rows [row_begin, row_end).
  void (*symmetric)(const float* w, size_t q, const float* x, float* y, size_t height, size_t width, size_t pitch,
                    size_t row_begin, size_t row_end);
  // Rows [row_begin, row_end) of gx (NULL: not wanted), and gw[0...q-1] += the part of those rows of gy.
  void (*symmetric_back)(const float* w, size_t q, const float* x, float* gx, const float* gy, size_t height,
                         size_t width, size_t pitch, size_t row_begin, size_t row_end, double* gw, bool accumulate);

  // y = conv3x3(x) + bias (+ x if residual), replicate padding, then relu if wanted. w is [channels, channels * 9],
  // column = input * 9 + dy * 3 + dx. Planes are x_plane, y_plane floats apart. Rows [row_begin, row_end).
  void (*conv3)(const float* w, const float* bias, size_t channels, const float* x, size_t x_plane, float* y,
                size_t y_plane, size_t height, size_t width, size_t pitch, size_t row_begin, size_t row_end,
                bool residual, bool relu);
  // Rows [row_begin, row_end) of gx (NULL: not wanted), and gw += , gb += the part of those rows of gy. y is read only
  // with relu.
  void (*conv3_back)(const float* w, size_t channels, const float* x, float* gx, size_t x_plane, const float* y,
                     const float* gy, size_t y_plane, size_t height, size_t width, size_t pitch, size_t row_begin,
                     size_t row_end, bool residual, bool relu, double* gw, double* gb, bool accumulate);

  // y[o] = bias[o] (NULL: 0) + sum over i, dy, dx of w[o][i][dy][dx] x[i][row + dy - k / 2][column + dx - k / 2], zero padding,
  // odd k up to NC_MAX_CONVOLVE; or y += that. x and y have one pitch; the 4 rows above and below each plane of x are zero.
  // `packed` is of the same table's `convolve_pack`. With the adjoint's weights and the gradient of y for x this gives the gradient of x.
  void (*convolve)(const float* packed, const float* bias, size_t inputs, size_t outputs, size_t k, const float* x,
                   size_t x_plane, float* y, size_t y_plane, size_t width, size_t pitch, size_t row_begin,
                   size_t row_end, bool accumulate);
  // Weights [outputs][inputs][k][k] for it; `adjoint`: of the convolution from the outputs back to the inputs. `packed` has
  // nc_convolve_packed_count floats, of the convolution that is packed.
  void (*convolve_pack)(const float* w, size_t inputs, size_t outputs, size_t k, bool adjoint, float* packed);
  // gw [outputs][inputs][k][k] += , gb [outputs] += the part of rows [row_begin, row_end) of g, the gradient of y, which
  // has zeros to the right of its columns.
  void (*convolve_weights)(size_t inputs, size_t outputs, size_t k, const float* x, size_t x_plane, const float* g,
                           size_t g_plane, size_t width, size_t pitch, size_t row_begin, size_t row_end, double* gw,
                           double* gb);

  // y [channels, height * s, width * s] = activation(pixel shuffle of u [channels * s * s, height, width]), channel
  // c * s * s + a * s + b of u being offset (a, b); rows [row_begin, row_end) of u. s in 1...NC_MAX_SHUFFLE.
  void (*shuffle)(size_t s, int32_t activation, const float* u, size_t u_plane, size_t u_pitch, float* y,
                  size_t y_plane, size_t y_pitch, size_t channels, size_t width, size_t row_begin, size_t row_end);
  // Replaces u by its gradient.
  void (*shuffle_back)(size_t s, int32_t activation, float* u, size_t u_plane, size_t u_pitch, const float* gy,
                       size_t y_plane, size_t y_pitch, size_t channels, size_t width, size_t row_begin,
                       size_t row_end);
  // The inverse of `shuffle` without an activation: u = or += ; rows [row_begin, row_end) of u.
  void (*unshuffle)(size_t s, const float* y, size_t y_plane, size_t y_pitch, float* u, size_t u_plane, size_t u_pitch,
                    size_t channels, size_t width, size_t row_begin, size_t row_end, bool accumulate);

  // y = gain[c] * (x - mean) / sqrt(variance + 1e-6) + bias[c], mean and variance over the channels of each pixel; all of one
  // shape. Rows [row_begin, row_end).
  void (*channel_norm)(const float* gain, const float* bias, const float* x, float* y, size_t plane, size_t pitch,
                       size_t channels, size_t width, size_t row_begin, size_t row_end);
  // gx may be NULL: not wanted. g_gain and g_bias [channels] += the part of those rows.
  void (*channel_norm_back)(const float* gain, const float* x, float* gx, const float* gy, size_t plane, size_t pitch,
                            size_t channels, size_t width, size_t row_begin, size_t row_end, double* g_gain,
                            double* g_bias, bool accumulate);
  // y = a + factor * b on rows of one plane; y may be a.
  void (*scaled_sum)(float factor, const float* a, const float* b, float* y, size_t pitch, size_t width, size_t rows);
  // gb = or += factor * gy; returns the sum of gy * b.
  double (*scaled_sum_back)(float factor, const float* b, const float* gy, float* gb, size_t pitch, size_t width,
                            size_t rows, bool accumulate);

  // One step of Adam on `rows` rows: m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;
  // value = value * decay - rate * m / (sqrt(v * correction) + eps).
  void (*adam)(float* value, const float* g, float* m, float* v, size_t pitch, size_t width, size_t rows, float beta1,
               float beta2, float rate, float correction, float eps, float decay);

  // Small dense matrices, row-major, rows `*_pitch` floats apart, a multiple of 16, zeros after the last column.
  // c [rows, columns] = alpha * c + beta * a b, with a [rows, inner] (transposed_a: a is [inner, rows]); c overlaps
  // neither.
  void (*matmul)(const float* a, size_t a_pitch, bool transposed_a, const float* b, size_t b_pitch, float* c,
                 size_t c_pitch, size_t rows, size_t inner, size_t columns, float alpha, float beta);
  // Makes the rows of q [rows, columns], rows <= columns, orthonormal, in order (Gram-Schmidt, twice).
  void (*orthonormalize)(float* q, size_t pitch, size_t rows, size_t columns);
} nc_planes;

// The table for a level, or NULL where this CPU (or build) lacks it. The scalar one is the same code with one lane.
const nc_planes* nc_planes_at(int32_t level);

size_t nc_convolve_packed_count(size_t inputs, size_t outputs, size_t k);

#ifdef __cplusplus
}
#endif
#endif
