// What caches are stored in today, for kvbench to stand beside.
#ifndef KVPEERS_H
#define KVPEERS_H

#include <stddef.h>
#include <stdint.h>

// llama.cpp's q8_0 of `count` halves, a multiple of 32: per 32 values a half-precision scale and 32 bytes. Plain C, as its
// reference quantiser is.
void kvpeers_q8_0(const uint16_t *halves, size_t count, uint8_t *blocks);
void kvpeers_from_q8_0(const uint8_t *blocks, size_t count, uint16_t *halves);

#endif
