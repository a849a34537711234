// What the kernel sources share: the scalar twins and the per-source installers.
#pragma once
#include <cstring>

#include "kernels.h"

namespace nc {

// Longest run of positions that a driver hands to a kernel at once.
constexpr size_t kMaxTile = 96;
// Zeros that stand for positions outside the picture.
extern const int16_t kZeros[NC_MAX_CHANNELS * 2];

inline int16_t Sat16(int64_t v) { return static_cast<int16_t>(v < -32768 ? -32768 : v > 32767 ? 32767 : v); }
inline int16_t Leaky(int16_t v) { return v < 0 ? static_cast<int16_t>(v >> 2) : v; }
inline float Leaky(float v) { return v < 0 ? 0.25f * v : v; }

// The channels [c0, c1) of columns [x0, x1) of one output row, for the tails of the vector kernels.
void DepthwiseScalarI16(const nc_depthwise_i16* conv, const int16_t* x, size_t height, size_t width, int16_t* y,
                        size_t row, size_t x0, size_t x1, size_t c0, size_t c1, bool leaky);
void DepthwiseScalarF32(const nc_depthwise_f32* conv, const float* x, size_t height, size_t width, float* y,
                        size_t row, size_t x0, size_t x1, size_t c0, size_t c1, bool leaky);

// The Highway target of a level; 0 for scalar and for what this architecture lacks.
int64_t TargetOf(int32_t level);

void InstallScalar(nc_kernels* table);
void InstallElementwiseScalar(nc_kernels* table);
// Each replaces the entries it has code for at this Highway target.
void InstallConv(int64_t target, nc_kernels* table);
void InstallDepthwise(int64_t target, nc_kernels* table);
void InstallElementwise(int64_t target, nc_kernels* table);

}  // namespace nc
