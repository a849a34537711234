// Networks in integers that make frames of video from embeddings (bitstream-spec 14.4): three vector kernels and the table
// lookup at the end, and a driver, without level-dependent code, that takes a band of a frame through all stages row by row.
//
// Numbers between stages are int16 in -8192...8191, kept as rows of pairs of channels: [pairs][pitch][2], the second of the
// last pair 0 where channels are odd.
#ifndef NC_NERV_H
#define NC_NERV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  // Rows of weights are packed in blocks of at most this many, at every level.
  NC_NERV_BLOCK = 12,
  // Kernels read and write columns up to a width rounded up to this, and pixels of a shuffle up to `factor` times as many.
  NC_NERV_GROUP = 16,
  NC_NERV_MAX_SIDE = 7,
  NC_NERV_MAX_FACTOR = 8,
  NC_NERV_MAX_STAGES = 64,
  NC_NERV_SUMS = 2,
  // Of the tables; the activation's has one more, which is read and not used, the samples' three.
  NC_NERV_ACTIVATIONS = 32768,
  NC_NERV_SAMPLES = 16384,
};

// A convolution, [outputs * factor * factor] rows of weights, and what its sums become.
typedef struct {
  int32_t inputs, outputs;   // channels, the outputs' behind the shuffle
  int32_t side, factor;      // 1, 3, 5 or 7; 1...8
  bool depthwise;            // each channel by itself: as many outputs as inputs, and factor 1
  bool linear;               // no activation
  // What is added behind the activation: the input of the stage so many before this one, or nothing for 0, enlarged to this one's output. That is
  // not the first stage's input, has as many channels, and is enlarged NC_NERV_MAX_FACTOR times at most.
  int32_t sums[NC_NERV_SUMS];
  int32_t rows;              // of the input that are kept, from nc_nerv_plan
  int32_t shift;             // 0...24
  int32_t multiplier;        // 1...32767
  int32_t fraction;          // 4...10
  const int16_t* weights;    // from nc_nerv_pack, or nc_nerv_pack_depthwise; magnitudes of a row sum to at most 131071
  const int16_t* biases;     // [rows]
} nc_nerv_stage;

typedef struct nc_nerv {
  int32_t level;
  bool dot;

  // For one row of `width` columns and all rows r of weights: p[r * p_pitch + x] of 14.4. `rows` are `side` rows of pairs,
  // `pair_stride` int16 from one pair to the next, each pointing at column 0, or NULL for zeros; columns -side / 2 and up to the width
  // rounded up to NC_NERV_GROUP + side / 2 are read.
  void (*convolve)(const nc_nerv_stage* stage, const int16_t* const* rows, size_t pair_stride, size_t width, int16_t* p,
                   size_t p_pitch);
  // Row dy of the shuffle of such a p, activated: factor * width columns of pairs of outputs.
  void (*spread)(const nc_nerv_stage* stage, const uint16_t* activation, const int16_t* p, size_t p_pitch, size_t width,
                 size_t dy, int16_t* out, size_t pair_stride);
  // For one pair of channels: adds to `out`, which has `factor` times `width` columns, the row that lies `weight` / 2^15 of the way from the
  // row `above` to the row `below`, enlarged as 14.4 says. Sums are clamped to -8192...8191. Columns up to the width rounded up to NC_NERV_GROUP are read,
  // and `factor` times as many of `out`, written too. `scratch` has room for that many pairs and 2 NC_NERV_GROUP more.
  void (*add)(const int16_t* above, const int16_t* below, int32_t weight, size_t width, size_t factor, int16_t* out, int16_t* scratch);
  // out[x] = samples[clamp(p[x], -8192, 8191) + 8192]
  void (*finish)(const uint8_t* samples, const int16_t* p, size_t width, uint8_t* out);
} nc_nerv;

// The kernels of a level (kernels.h), or NULL where this CPU or build lacks them. `dot`: those that multiply pairs and add in
// one instruction (AVX-512 VNNI, AVX-VNNI), which exist for avx2 and avx512.
const nc_nerv* nc_nerv_at(int32_t level, bool dot);

// Packs weights [rows][inputs][side][side].
size_t nc_nerv_packed_count(size_t rows, size_t inputs, size_t side);
void nc_nerv_pack(const int16_t* w, size_t rows, size_t inputs, size_t side, int16_t* packed);
// Packs weights [channels][side][side] of a depthwise stage.
size_t nc_nerv_packed_depthwise_count(size_t channels, size_t side);
void nc_nerv_pack_depthwise(const int16_t* w, size_t channels, size_t side, int16_t* packed);

// A network: the last stage has factor 1, and three outputs for each frame that a pass makes. Pointers live as long as the struct is used.
typedef struct {
  int32_t count;              // stages, 1...NC_NERV_MAX_STAGES
  int32_t height, width;      // of an embedding [inputs of stage 0][height][width]
  int32_t rows, columns;      // of a frame, at most those that the last stage makes
  const nc_nerv_stage* stages;
  const uint16_t* activation; // [NC_NERV_ACTIVATIONS + 1], by magnitude
  const uint8_t* samples;     // [NC_NERV_SAMPLES + 3]
} nc_nerv_network;

// Sets `rows` of the network's `stages`, which are all else that a network has but tables, weights and biases.
void nc_nerv_plan(const nc_nerv_network* network, nc_nerv_stage* stages);
// Bytes of scratch memory for the function below. It is zero before the first use and may be used again with the same network.
size_t nc_nerv_scratch(const nc_nerv_network* network);
// Rows [begin, end) of a pass's frames, [outputs of the last stage][rows][columns]. `scratch` is aligned to 64 bytes.
void nc_nerv_band(const nc_nerv* kernels, const nc_nerv_network* network, const int16_t* embedding, size_t begin, size_t end,
                  uint8_t* frame, void* scratch);

#ifdef __cplusplus
}
#endif
#endif
