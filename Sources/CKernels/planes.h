// What the planes_*.cpp sources share. Each holds templates over a Highway tag; a level's table gets those with the
// full vector, the scalar one those with a single lane.
#pragma once
#include "include/planes.h"
#include "targets.h"

namespace nc {

// Scratch memory of this thread, 64-byte aligned, valid until the next call on this thread; contents are arbitrary.
float* PlaneScratch(size_t floats);

inline size_t RoundUp16(size_t n) { return (n + 15) / 16 * 16; }

// Per source: fills its entries with one lane, or for a Highway target.
void InstallPlanesBasicScalar(nc_planes* table);
void InstallPlanesRoundScalar(nc_planes* table);
void InstallPlanesUpsampleScalar(nc_planes* table);
void InstallPlanesSymmetricScalar(nc_planes* table);
void InstallPlanesConv3Scalar(nc_planes* table);
void InstallPlanesDenseScalar(nc_planes* table);
void InstallPlanesShuffleScalar(nc_planes* table);
void InstallPlanesNormScalar(nc_planes* table);
void InstallPlanesConvolveScalar(nc_planes* table);
void InstallPlanesBasic(int64_t target, nc_planes* table);
void InstallPlanesRound(int64_t target, nc_planes* table);
void InstallPlanesUpsample(int64_t target, nc_planes* table);
void InstallPlanesSymmetric(int64_t target, nc_planes* table);
void InstallPlanesConv3(int64_t target, nc_planes* table);
void InstallPlanesDense(int64_t target, nc_planes* table);
void InstallPlanesShuffle(int64_t target, nc_planes* table);
void InstallPlanesNorm(int64_t target, nc_planes* table);
void InstallPlanesConvolve(int64_t target, nc_planes* table);

}  // namespace nc
