#include "models.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char hyperprior_1[] = {
#embed "Weights/hyperprior-1.ncw"
};

static const unsigned char hyperprior_1_analysis[] = {
#embed "Weights/hyperprior-1-analysis.ncw"
};

static const unsigned char overfit_1[] = {
#embed "Weights/overfit-1.ncw"
};

static const unsigned char overfit_2[] = {
#embed "Weights/overfit-2.ncw"
};

static const unsigned char audio_1[] = {
#embed "Weights/audio-1.bin"
};

static const unsigned char tokens_1[] = {
#embed "Weights/tokens-1.ncw"
};

static const unsigned char tokens_1_analysis[] = {
#embed "Weights/tokens-1-analysis.ncw"
};

static const unsigned char tokens_1_context[] = {
#embed "Weights/tokens-1-context.bin"
};

static const unsigned char digits_1[] = {
#embed "Weights/digits-1.bin"
};

nc_weights nc_hyperprior_1(void) { return (nc_weights){hyperprior_1, sizeof hyperprior_1}; }
nc_weights nc_hyperprior_1_analysis(void) { return (nc_weights){hyperprior_1_analysis, sizeof hyperprior_1_analysis}; }
nc_weights nc_overfit_1(void) { return (nc_weights){overfit_1, sizeof overfit_1}; }
nc_weights nc_overfit_2(void) { return (nc_weights){overfit_2, sizeof overfit_2}; }
nc_weights nc_audio_1(void) { return (nc_weights){audio_1, sizeof audio_1}; }
nc_weights nc_tokens_1(void) { return (nc_weights){tokens_1, sizeof tokens_1}; }
nc_weights nc_tokens_1_analysis(void) { return (nc_weights){tokens_1_analysis, sizeof tokens_1_analysis}; }
nc_weights nc_tokens_1_context(void) { return (nc_weights){tokens_1_context, sizeof tokens_1_context}; }
nc_weights nc_digits_1(void) { return (nc_weights){digits_1, sizeof digits_1}; }
