// The weights that ship, inside the binary. Formats: bitstream-spec 7.
#ifndef NC_MODELS_H
#define NC_MODELS_H

#include <stddef.h>

// Decoder of codec 1. Files name it by its CRC-32.
extern const unsigned char nc_hyperprior_1[];
extern const size_t nc_hyperprior_1_size;

// The encoder's analysis for the same; may change without a new model id.
extern const unsigned char nc_hyperprior_1_analysis[];
extern const size_t nc_hyperprior_1_analysis_size;

#endif
