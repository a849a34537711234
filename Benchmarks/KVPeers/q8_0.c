#include "kvpeers.h"

#include <math.h>
#include <string.h>

// As an engine's own build for this machine would be.
#if defined(__x86_64__)
#define NATIVE __attribute__((target("avx2,fma,f16c")))
#else
#define NATIVE
#endif

NATIVE static inline float FloatOf(uint16_t half) {
  _Float16 h;
  memcpy(&h, &half, 2);
  return (float)h;
}

NATIVE static inline uint16_t HalfOf(float value) {
  const _Float16 h = (_Float16)value;
  uint16_t half;
  memcpy(&half, &h, 2);
  return half;
}

NATIVE void kvpeers_q8_0(const uint16_t *halves, size_t count, uint8_t *blocks) {
  for (size_t b = 0; b < count / 32; b++, halves += 32, blocks += 34) {
    float values[32], largest = 0;
    for (int i = 0; i < 32; i++) {
      values[i] = FloatOf(halves[i]);
      largest = fmaxf(largest, fabsf(values[i]));
    }
    const float step = largest / 127, inverse = step > 0 ? 1 / step : 0;
    const uint16_t half = HalfOf(step);
    memcpy(blocks, &half, 2);
    for (int i = 0; i < 32; i++) blocks[2 + i] = (uint8_t)(int8_t)rintf(values[i] * inverse);
  }
}

NATIVE void kvpeers_from_q8_0(const uint8_t *blocks, size_t count, uint16_t *halves) {
  for (size_t b = 0; b < count / 32; b++, halves += 32, blocks += 34) {
    uint16_t half;
    memcpy(&half, blocks, 2);
    const float step = FloatOf(half);
    for (int i = 0; i < 32; i++) halves[i] = HalfOf((float)(int8_t)blocks[2 + i] * step);
  }
}
