#include "models.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

const unsigned char nc_hyperprior_1[] = {
#embed "Weights/hyperprior-1.ncw"
};
const size_t nc_hyperprior_1_size = sizeof nc_hyperprior_1;

const unsigned char nc_hyperprior_1_analysis[] = {
#embed "Weights/hyperprior-1-analysis.ncw"
};
const size_t nc_hyperprior_1_analysis_size = sizeof nc_hyperprior_1_analysis;
