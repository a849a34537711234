// What the nerv_*.cpp sources share.
#pragma once
#include <cstring>

#include "include/nerv.h"

namespace nc {

// Rows of weights before block b of all blocks, which are as even as they can be.
inline size_t NervFirst(size_t rows, size_t block) {
  const size_t blocks = (rows + NC_NERV_BLOCK - 1) / NC_NERV_BLOCK;
  return rows * block / blocks;
}

// Where row or column `at` of an enlargement lies between two of what is enlarged, those before or from its cell's on: the share of the
// way, in 2^-15. bitstream-spec 14.4
struct NervPlace {
  bool is_before;
  int32_t weight;

  NervPlace(size_t at, size_t factor) : is_before(2 * at + 1 < factor) {
    const size_t past = is_before ? 2 * at + 1 + factor : 2 * at + 1 - factor;
    weight = static_cast<int32_t>(past * 16384 / factor);
  }
};

// Lets the columns before and behind a row of pairs be what is next to them.
inline void NervRepeatEnds(int16_t* row, size_t width) {
  std::memcpy(row - 2, row, 2 * sizeof(int16_t));
  std::memcpy(row + 2 * width, row + 2 * width - 2, 2 * sizeof(int16_t));
}

// Each fills its entries: plain loops, or code for a Highway target.
void InstallNervConvolveScalar(nc_nerv* table);
void InstallNervSpreadScalar(nc_nerv* table);
void InstallNervConvolve(int64_t target, nc_nerv* table);  // asks for table->dot
void InstallNervSpread(int64_t target, nc_nerv* table);

}  // namespace nc
