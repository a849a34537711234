// The weights that ship, inside the binary. Formats: bitstream-spec 7.
#ifndef NC_MODELS_H
#define NC_MODELS_H

#include <stddef.h>

typedef struct {
  const void* bytes;
  size_t count;
} nc_weights;

// Decoder of codec 1, model 1.
nc_weights nc_hyperprior_1(void);

// The encoder's analysis for the same; may change without a new model id.
nc_weights nc_hyperprior_1_analysis(void);

// Priors of codec 2's networks, models 1 to 5.
nc_weights nc_overfit_1(void);

// The same with joined hyper-latents, models 6 to 15.
nc_weights nc_overfit_2(void);

// What codec 5 knows of coefficients, model 1.
nc_weights nc_audio_1(void);

// Decoder of codec 6, model 1, with the code vectors.
nc_weights nc_tokens_1(void);

// The encoder's analysis for the same; may change without a new model id.
nc_weights nc_tokens_1_analysis(void);

// What codec 6 knows of tokens, model 1.
nc_weights nc_tokens_1_context(void);

// The digit classifier of `nccodec bench image --digits`: Training/mpq/integer.py. No codec uses it.
nc_weights nc_digits_1(void);

#endif
