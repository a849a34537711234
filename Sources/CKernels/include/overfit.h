// The overfitted image codec's decoder (bitstream-spec 9): one vector kernel, a linear layer over planes, and the
// drivers around it, which hold no level-dependent code: the entropy model's wavefronts with their rANS symbols, and
// upsampling with synthesis.
#ifndef NCCODEC_OVERFIT_H
#define NCCODEC_OVERFIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  // Rows are read and written up to a count rounded up to this; every row buffer has that much slack.
  NC_OVERFIT_GROUP = 16,
  NC_OVERFIT_MAX_INPUTS = 128,
  NC_OVERFIT_SCALES = 128,
  NC_OVERFIT_BLOCK = 16,
  NC_OVERFIT_MAX_PLANES = 17,  // nine levels' latents and eight levels' hyper-latents
};

// Weights [outputs][(inputs + 1) / 2][2], the last 0 where `inputs` is odd. For each output the sum of magnitudes of
// the weights is at most 32767, and `bias` is within -2^30...2^30, so that no sum in any order leaves int32.
typedef struct {
  int32_t inputs, outputs;
  const int16_t* weights;
  const int32_t* bias;
  const int32_t* shift;  // 0...31
} nc_overfit_layer;

// out[o][p] = max(lowest, sat16((bias[o] + sum over i of w[o][i] * rows[i][p]) >> shift[o])) for p < count, where
// lowest is 0 with `relu` and -32768 without; 9.4. An output row may be an input row.
typedef void (*nc_overfit_linear)(const nc_overfit_layer* layer, const int16_t* const* rows, int16_t* const* out,
                                  size_t count, int32_t relu);

// The kernel of a level (kernels.h), or NULL where this CPU or build lacks it.
nc_overfit_linear nc_overfit_linear_at(int32_t level);

// Tails of the Laplace distribution by scale; EntropyCoding/LaplaceTails.swift, bitstream-spec 9.6. The tail at
// distance d / 32 of scale s is values[offsets[s] + (d & 31) * lengths[s] + min(d >> 5, lengths[s] - 1)].
typedef struct {
  const uint16_t* values;
  const uint32_t* offsets;
  const uint16_t* lengths;
} nc_overfit_tails;

// One grid's entropy model.
typedef struct {
  int32_t height, width;
  int32_t lag;        // 1...5
  int32_t spatial;    // neighbours, 1...40
  int32_t features;   // 0...15
  int32_t hidden;     // layers before the last one, 1...4
  int32_t magnitude;  // 1...127
  const int8_t* offsets;           // [spatial][2]: dx in -4...4, dy in -4...0, causal under `lag`
  const nc_overfit_layer* layers;  // [hidden + 1]; the last one's inputs are the last hidden activations, then x
  const int16_t* context;          // features [height][features][pitch]; NULL for zeros
  size_t pitch;                    // at least width
  const uint8_t* blocks;           // [ceil(height / 16)][ceil(width / 16)], 0 for empty; NULL: all are coded
  int8_t* values;                  // [height][width]
} nc_overfit_grid;

// One input of a feature layer; 9.5.
typedef struct {
  const int8_t* values;  // of the earlier grid, [height][width]
  int32_t height, width;
  int32_t shift;         // levels between the grids
  bool mirrored;         // shift is 1: the parent moved to the child's side
  bool right, down;      // in which directions it is moved
} nc_overfit_input;

// int16 elements of scratch for a feature layer of a grid of this width.
size_t nc_overfit_features_scratch(size_t inputs, size_t width);
// Rows [begin, end) of a grid's features, [height][features][pitch]; pitch is `width` rounded up to a group, at least.
void nc_overfit_features(nc_overfit_linear linear, const nc_overfit_layer* layer, const nc_overfit_input* inputs,
                         size_t width, size_t begin, size_t end, int16_t* features, size_t pitch, int16_t* scratch);

// The lanes of bitstream-spec 5.5 while they decode.
typedef struct {
  uint64_t lanes[4];
  uint64_t step;         // symbols so far
  const uint8_t* words;  // next word
  size_t left;           // words
  uint32_t mask;         // lanes less one
  uint32_t failed;       // set where the last word finds lanes that it cannot follow
} nc_overfit_rans;

// int16 elements of scratch memory that the functions below need for this grid.
size_t nc_overfit_grid_scratch(const nc_overfit_grid* grid);

// Wavefronts of a grid: t = x + lag * y goes from 0 to this, exclusive.
size_t nc_overfit_wavefronts(const nc_overfit_grid* grid);
// Coded positions in wavefronts [begin, end).
size_t nc_overfit_coded(const nc_overfit_grid* grid, size_t begin, size_t end);

// Decodes a grid into `values`, which hold 0 in empty blocks already. Any bytes are safe; see `failed`.
void nc_overfit_decode(nc_overfit_linear linear, const nc_overfit_grid* grid, const nc_overfit_tails* tails,
                       int16_t* scratch, nc_overfit_rans* rans);

// The intervals of the symbols of wavefronts [begin, end), in coding order: start (bits 0-15), width - 1 (16-31).
// Values are within the magnitude, and 0 in empty blocks. Returns their number, nc_overfit_coded.
size_t nc_overfit_intervals(nc_overfit_linear linear, const nc_overfit_grid* grid, const nc_overfit_tails* tails,
                            int16_t* scratch, size_t begin, size_t end, uint32_t* steps);

// As above, but gives mean (1/32, [coded]) and scale index ([coded]) instead.
size_t nc_overfit_distributions(nc_overfit_linear linear, const nc_overfit_grid* grid, int16_t* scratch, size_t begin,
                                size_t end, int16_t* means, uint8_t* scales);

// One stage of upsampling: from level k + 1 to level k; 9.7.
typedef struct {
  nc_overfit_layer across;      // 5 inputs, x-2...x+2, to the even and the odd output
  nc_overfit_layer even, odd;   // 4 rows to one
  nc_overfit_layer filter;      // 7 inputs to one; both directions
} nc_overfit_stage;

// Rows [begin, end) of the doubled plane [height, width] from [ceil(height / 2), ceil(width / 2)]. `y` is where row
// `begin` goes. Pitches count elements and have slack for a group.
void nc_overfit_double(nc_overfit_linear linear, const nc_overfit_stage* stage, const int16_t* x, size_t x_pitch,
                       size_t height, size_t width, size_t begin, size_t end, int16_t* y, size_t y_pitch,
                       int16_t* scratch);
// Rows [begin, end) of a filtered grid: v = g << bits, plus v through the filter in both directions.
void nc_overfit_filter(nc_overfit_linear linear, const nc_overfit_stage* stage, const int8_t* grid, size_t height,
                       size_t width, int32_t bits, size_t begin, size_t end, int16_t* y, size_t y_pitch,
                       int16_t* scratch);
// int16 elements of scratch for the two functions above at a width.
size_t nc_overfit_stage_scratch(size_t width);

// What makes samples from planes; 9.8.
typedef struct {
  int32_t height, width;
  int32_t planes;   // P, 1...NC_OVERFIT_MAX_PLANES
  int32_t outputs;  // 1 or 3
  int32_t hidden;   // 1...128
  int32_t convs;    // 0...3
  int32_t output_bits;
  nc_overfit_layer first, second, stabiliser;
  nc_overfit_layer conv[3];  // 9 * outputs inputs: [channel][dy][dx]
  // The last stage of upsampling; where no latent grid is coarser than level 0, `half` is NULL and planes is 1.
  const nc_overfit_stage* stage;
  const int16_t* half;  // [planes of level 1][ceil(height / 2)][half_pitch]
  size_t half_pitch;
  const int8_t* grid;   // level 0, [height][width]; NULL where the file has none
  int32_t bits;         // fraction bits of planes
} nc_overfit_synthesis;

// int16 elements of scratch for a band of `rows` rows.
size_t nc_overfit_band_scratch(const nc_overfit_synthesis* synthesis, size_t rows);
// Rows [begin, end) of the picture into `out`, [height][width][outputs].
void nc_overfit_band(nc_overfit_linear linear, const nc_overfit_synthesis* synthesis, size_t begin, size_t end,
                     uint8_t* out, int16_t* scratch);
// For encoders, with the scratch that a band of `rows` rows has just left: the largest magnitudes of its planes, of its
// hidden channels and of its layers' outputs, into maxima[0...2].
void nc_overfit_band_maxima(nc_overfit_linear linear, const nc_overfit_synthesis* synthesis, size_t rows,
                            int16_t* scratch, int32_t* maxima);

#ifdef __cplusplus
}
#endif
#endif
