// What the tile sources share.
#pragma once
#include <cstddef>
#include <cstdint>

#include "tiles.h"

namespace nc {

// Widest float vector of any target, for scratch sizes.
constexpr size_t kMaxLanes = 16;
// Range of log scale that a scale index covers, and what every value gets at least (bitstream-spec 9).
constexpr float kMinLogScale = -3.5f, kMaxLogScale = 4.4375f;
constexpr float kFloor = 1.0f / 65536;

// Sizes of a context model, and offsets in its gradient vector.
struct ContextShape {
  explicit ContextShape(const nc_context_model& m);
  size_t width;       // C
  size_t raw;         // R, values from the stack per position; 0 without features
  size_t output;      // Wo, Ws, bo
  size_t feature;     // Wf, bf
  size_t parameters;
};

void InstallContext(int64_t target, nc_tiles* table);
void InstallPerceptron(int64_t target, nc_tiles* table);

}  // namespace nc
