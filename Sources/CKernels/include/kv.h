// Blocks of a KV cache: rows of channels, 16- or 32-bit floats, quantised and restored.
//
// Restored values are the same bits at every SIMD level (bitstream-spec 10.5); moments agree to rounding.
#ifndef NC_KV_H
#define NC_KV_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { NC_KV_F16 = 0, NC_KV_BF16 = 1, NC_KV_F32 = 2 };

// What is quantised to what, per channel: x = (4 d + middle) * step. d is coded as symbol (d >> low_bits) + 128, 1...255, and
// its low_bits low bits; symbol 0 is an escape: the value stands elsewhere.
typedef struct {
  size_t channels;
  const float* step;       // [channels], positive
  const float* inverse;    // [channels], about 1 / (4 step); only to quantise
  const int32_t* middle;   // [channels], |middle| < 2^23
  int32_t low_bits;        // 0...14
} nc_kv_steps;

// c[i * c_pitch + j] += a[i * a_row + k * a_inner] * b[k * b_pitch + j] for k = 0, 1, ..., multiplied and added with one
// rounding; or -= with `subtract`.
typedef struct {
  size_t rows, inner, columns;
  const float* a;
  ptrdiff_t a_row, a_inner;
  const float* b;
  ptrdiff_t b_pitch;
  float* c;
  ptrdiff_t c_pitch;
  int32_t subtract;
} nc_kv_product;

typedef struct nc_kv {
  int32_t level;

  // Adds the channels' sums and sums of squares over `rows` rows, `stride` bytes apart, and takes the largest magnitudes;
  // values that are not finite count as 0. sum, squares, largest: [channels].
  void (*moments)(
      const void* from, int32_t element, size_t channels, size_t rows, ptrdiff_t stride, float* sum, float* squares,
      float* largest);

  // columns: by channel, where its symbols are, [rows]; low: [rows, channels], may be NULL where low_bits is 0. Values that
  // are not finite, or whose d does not fit, become symbol 0. Returns how many do.
  size_t (*quantise)(
      const nc_kv_steps* steps, const void* from, int32_t element, size_t rows, ptrdiff_t stride, uint8_t* const* columns,
      uint16_t* low);

  // The inverse: x = (float)(4 d + middle) * step, rounded to the element to nearest even, its magnitude at most the
  // element's largest finite number. Escapes give some finite number.
  void (*restore)(
      const nc_kv_steps* steps, const uint8_t* const* columns, const uint16_t* low, size_t rows, void* to, int32_t element,
      ptrdiff_t stride);

  // Elements to floats and back as in `restore`; infinities and NaNs pass to_float only.
  void (*to_float)(const void* from, int32_t element, float* to, size_t count);
  void (*from_float)(const float* from, void* to, int32_t element, size_t count);

  // Of the matrices below, rows begin at multiples of 64 bytes and pitches are multiples of 16 elements; what lies between the
  // columns and the pitch is zeros, and is read and written.

  void (*product)(const nc_kv_product* product);

  // c[j] += the sum over i of factors[i] * b[list[i] * pitch + j], i rising, rounded as in `product`.
  void (*sparse_row)(
      const uint16_t* list, const float* factors, size_t count, const float* b, size_t pitch, size_t columns, float* c);

  // c[i][j] += (float)(the exact sum over tokens of x[i] * y[j]), which fits 32 bits. x, y: [pair of tokens][columns] of two
  // 16-bit numbers each, the earlier token's in the lower half. upper: only i <= j is wanted; what else is added is unspecified.
  void (*outer)(
      const int32_t* x, size_t x_columns, size_t x_pitch, const int32_t* y, size_t y_columns, size_t y_pitch, size_t pairs,
      int32_t upper, float* c, size_t c_pitch);

  // from[i] * scale rounded to the nearest whole number, to even between two, within +-limit (at most 2^24); NaN gives 0.
  // count is rounded up to a whole vector.
  void (*wholes)(const float* from, size_t count, float scale, int32_t limit, int32_t* to);

  // Of the following, rows may begin anywhere.

  // indices[i] = b + offset within 0...63, where b = (states[i] + 2048) >> 12, 0...63. Returns the sum of expected[b].
  uint32_t (*scale_indices)(
      const int32_t* states, int32_t offset, const uint32_t* expected, size_t count, uint8_t* indices);

  // states[i] += moves[64 * indices[i] + min(|symbols[i]|, 63)], within 0...63 << 12. Returns the sum of min(|symbols[i]|, 4095).
  uint32_t (*adapt)(
      int32_t* states, const uint8_t* indices, const int16_t* symbols, size_t count, const int32_t* moves);

  // list: the i whose symbols[i] is not 0, in rising order; factors: those symbols, nearer to 0 by `offset`, times step. Returns how
  // many there are; what is behind them, up to `count` rounded up to 16, is unspecified.
  size_t (*nonzeros)(
      const int16_t* symbols, size_t count, float offset, float step, uint16_t* list, float* factors);

  // Symbols of magnitude m, 1...15, become one nearer to 0 where |numbers[i]| < thresholds[16 * tables[i] + m].
  // thresholds: [tables, 16], 0 for m = 0.
  void (*lower)(
      int16_t* symbols, const float* numbers, const uint8_t* tables, const float* thresholds, size_t count);
} nc_kv;

// to[i] = from[i] * scales[i]; NaN becomes 0.
void nc_kv_scale(const float* from, const float* scales, size_t count, float* to);

// Turns pairs of channels, 2i and 2i + 1 or i and i + pairs, by the angles of `cosines` and `sines`, in place.
void nc_kv_turn(float* channels, size_t pairs, int32_t halves, const float* cosines, const float* sines);

// How often each byte occurs: counts[256].
void nc_kv_count(const uint8_t* bytes, size_t count, uint32_t* counts);

// The kernels of a level (NC_LEVEL_...); NULL where this CPU or build lacks it.
const nc_kv* nc_kv_at(int32_t level);

#ifdef __cplusplus
}
#endif

#endif
