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

typedef struct nc_kv {
  int32_t level;

  // Adds the channels' sums and sums of squares over `rows` rows, `stride` bytes apart, and takes the largest magnitudes;
  // values that are not finite count as 0. sum, squares, largest: [channels].
  void (*moments)(
      const void* from, int32_t element, size_t channels, size_t rows, ptrdiff_t stride, float* sum, float* squares,
      float* largest);

  // symbols, low: [rows, channels]; low may be NULL where low_bits is 0. Values that are not finite, or whose d does not
  // fit, become symbol 0. Returns how many do.
  size_t (*quantise)(
      const nc_kv_steps* steps, const void* from, int32_t element, size_t rows, ptrdiff_t stride, uint8_t* symbols,
      uint16_t* low);

  // The inverse: x = (float)(4 d + middle) * step, rounded to the element to nearest even, its magnitude at most the
  // element's largest finite number. Escapes give some finite number.
  void (*restore)(
      const nc_kv_steps* steps, const uint8_t* symbols, const uint16_t* low, size_t rows, void* to, int32_t element,
      ptrdiff_t stride);

  // Elements to floats and back as in `restore`; infinities and NaNs pass to_float only.
  void (*to_float)(const void* from, int32_t element, float* to, size_t count);
  void (*from_float)(const float* from, void* to, int32_t element, size_t count);
} nc_kv;

// to[c * rows + r] = from[r * columns + c].
void nc_kv_transpose(const uint8_t* from, size_t rows, size_t columns, uint8_t* to);

// The kernels of a level (NC_LEVEL_...); NULL where this CPU or build lacks it.
const nc_kv* nc_kv_at(int32_t level);

#ifdef __cplusplus
}
#endif

#endif
