// Small perceptrons evaluated per position, forward and backward, over tiles that stay in cache: what frameworks do badly
// because they go through memory between layers. Planes are row-major float with a pitch; weights are [out][in].
//
// Results of different SIMD levels agree to rounding. Bands of rows may be computed on any thread in any order.
#ifndef NC_TILES_H
#define NC_TILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  NC_TILE = 48,                // positions per tile
  NC_TILE_MAX_WIDTH = 72,      // widest layer
  NC_CONTEXT_ROWS = 4,         // rows above that a spatial context reaches
  NC_MAX_HIDDEN = 4,           // hidden layers
  NC_MARGIN = 16,              // zeros left and right of a context plane, and NC_CONTEXT_ROWS above
};

// A causal context model over one plane of (nearly) integer values: for each position, N spatial neighbours and F features
// go through residual layers h = relu(W h + b + h) of width C = N + F, then (mu, s) = Wo h + Ws x + bo; the cost is that of
// the bin [v - 1/2, v + 1/2] of a Laplace distribution of mean mu and scale exp(s - 4) (Cool-chic; C3).
// Features = Wf r + bf, r from a stack of planes at half the resolution, nearest position; if `mirrored`, the stack's first
// plane gives four values, those of the 2x2 cell of positions around this one, its own parent first.
typedef struct {
  int32_t height, width;
  ptrdiff_t pitch;
  const float* x;  // margins of NC_MARGIN columns and NC_CONTEXT_ROWS rows of zeros
  float* gx;       // like x; contributions are added

  int32_t spatial;       // N
  const int32_t* dx;     // [N], -NC_CONTEXT_ROWS...NC_CONTEXT_ROWS
  const int32_t* dy;     // [N], -NC_CONTEXT_ROWS...0

  int32_t features;      // F; may be 0
  int32_t stack;         // planes in the stack; 0: the features are 0
  bool mirrored;
  const float* s;
  float* gs;             // contributions are added
  ptrdiff_t s_pitch, s_plane;
  int32_t s_height, s_width;
  const float* wf;       // [F][stack + 3 * mirrored]
  const float* bf;       // [F]

  int32_t hidden;                    // hidden layers, 0...NC_MAX_HIDDEN
  const float* w[NC_MAX_HIDDEN];     // [C][C]
  const float* b[NC_MAX_HIDDEN];     // [C]
  const float* wo;                   // [2][C]
  const float* ws;                   // [2][C]
  const float* bo;                   // [2]

  float weight;          // derivative of the loss by a bit
  const float* probe;    // a factor of each position's gradients, laid out as x; NULL: 1
} nc_context_model;

// Parameters in the order of a gradient vector: for each hidden layer W, b; then Wo, Ws, bo, Wf, bf.
size_t nc_context_parameters(const nc_context_model* model);
// Floats of scratch memory per thread, and of halo per band: gradients that belong to rows of other bands.
size_t nc_context_scratch(const nc_context_model* model);
size_t nc_context_halo(const nc_context_model* model);

// One hidden layer per position, and beside it a linear map: y = W2 relu(W1 x + b1) + b2, l = A x.
typedef struct {
  int32_t inputs, width, outputs;
  int32_t linear;               // outputs of the linear map; may be 0
  const float* w1;              // [width][inputs]
  const float* b1;
  const float* w2;              // [outputs][width]
  const float* b2;
  const float* a;               // [linear][inputs]
  int32_t columns;              // positions per row
  ptrdiff_t x_pitch, y_pitch, l_pitch;
  ptrdiff_t y_plane, l_plane;
  const float* const* x;        // [inputs] planes
  float* const* gx;             // [inputs]
  float* y;
  const float* gy;
  float* l;
  const float* gl;
  bool overwrite;               // gx is written, not added to
} nc_perceptron;

// Gradient vector: W1, b1, W2, b2, A.
size_t nc_perceptron_parameters(const nc_perceptron* p);
size_t nc_perceptron_scratch(const nc_perceptron* p);

typedef struct nc_tiles {
  // Bits of rows [row0, row1). With `halo` (or NULL for the cost alone) also gradients of values: into gx and gs for the
  // band's own rows, into `halo` (overwritten) for others'; and with `gradient` (nc_context_parameters floats, overwritten;
  // or NULL) those of parameters. row0 is even.
  double (*context_band)(const nc_context_model* m, int32_t row0, int32_t row1, float* gradient, float* halo,
                         float* scratch);
  void (*perceptron_forward)(const nc_perceptron* p, int32_t row0, int32_t row1, float* scratch);
  // `gradient` may be NULL, too.
  void (*perceptron_backward)(const nc_perceptron* p, int32_t row0, int32_t row1, float* gradient, float* scratch);
} nc_tiles;

// Adds a band's halo to the rows it belongs to. Bands in ascending order give one result; all bands are done.
void nc_context_merge(const nc_context_model* m, int32_t row0, int32_t row1, const float* halo);

const nc_tiles* nc_tiles_at(int32_t level);  // NULL where this CPU or build lacks it

#ifdef __cplusplus
}
#endif
#endif
