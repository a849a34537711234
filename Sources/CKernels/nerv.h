// What the nerv_*.cpp sources share.
#pragma once
#include "include/nerv.h"

namespace nc {

// Rows of weights before block b of all blocks, which are as even as they can be.
inline size_t NervFirst(size_t rows, size_t block) {
  const size_t blocks = (rows + NC_NERV_BLOCK - 1) / NC_NERV_BLOCK;
  return rows * block / blocks;
}

// Each fills its entries: plain loops, or code for a Highway target.
void InstallNervConvolveScalar(nc_nerv* table);
void InstallNervSpreadScalar(nc_nerv* table);
void InstallNervConvolve(int64_t target, nc_nerv* table);  // asks for table->dot
void InstallNervSpread(int64_t target, nc_nerv* table);

}  // namespace nc
