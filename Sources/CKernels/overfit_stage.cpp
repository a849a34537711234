// Upsampling by two and the filter on new grids, row by row: both are linear layers whose inputs are shifted copies of
// a row, and then rows. bitstream-spec 9.7
#include <algorithm>
#include <cstring>

#include "internal.h"
#include "overfit.h"

namespace nc {
namespace {

constexpr size_t kMargin = 16;  // elements before a row for what lies left of it
constexpr size_t kSlack = 32;
constexpr size_t kRing = 8;  // rows kept after the horizontal pass

size_t Pitch(size_t width) { return kMargin + width + 2 * kSlack; }

// One source row doubled in width: even outputs, odd outputs, then both in turn.
void DoubleRow(nc_overfit_linear linear, const nc_overfit_stage* stage, const int16_t* x, size_t half, size_t width,
               int16_t* padded, int16_t* even, int16_t* odd, int16_t* y) {
  std::memcpy(padded, x, half * sizeof(int16_t));
  for (size_t i = 1; i <= 2; i++) padded[-int64_t(i)] = x[0], padded[half - 1 + i] = x[half - 1];
  const int16_t* const rows[5] = {padded - 2, padded - 1, padded, padded + 1, padded + 2};
  int16_t* const out[2] = {even, odd};
  linear(&stage->across, rows, out, half, 0);
  for (size_t i = 0; i < width / 2; i++) y[2 * i] = even[i], y[2 * i + 1] = odd[i];
  if (width % 2 != 0) y[width - 1] = even[half - 1];
}

}  // namespace
}  // namespace nc

size_t nc_overfit_stage_scratch(size_t width) { return (nc::kRing + 3) * nc::Pitch(width); }

void nc_overfit_double(nc_overfit_linear linear, const nc_overfit_stage* stage, const int16_t* x, size_t x_pitch,
                       size_t height, size_t width, size_t begin, size_t end, int16_t* y, size_t y_pitch,
                       int16_t* scratch) {
  using namespace nc;
  const int64_t rows = (height + 1) / 2;
  const size_t half = (width + 1) / 2, pitch = Pitch(width);
  int16_t* padded = scratch + kMargin;
  int16_t *even = padded + pitch, *odd = even + pitch, *ring = odd + pitch;
  int64_t done = -1;  // last source row that went through the horizontal pass
  for (size_t row = begin; row < end; row++) {
    // Four source rows from m - 2 (even) or m - 1 (odd) on, the border's rows repeated outside.
    const int64_t first = int64_t(row / 2) - (row % 2 == 0 ? 2 : 1);
    const int64_t last = std::min(first + 3, rows - 1);
    for (int64_t m = std::max({done + 1, first, int64_t(0)}); m <= last; m++) {
      DoubleRow(linear, stage, x + m * x_pitch, half, width, padded, even, odd, ring + (m % kRing) * pitch);
      done = m;
    }
    const int16_t* in[4];
    for (int64_t i = 0; i < 4; i++)
      in[i] = ring + (std::min(std::max(first + i, int64_t(0)), rows - 1) % kRing) * pitch;
    int16_t* const out = y + (row - begin) * y_pitch;
    linear(row % 2 == 0 ? &stage->even : &stage->odd, in, &out, width, 0);
  }
}

void nc_overfit_filter(nc_overfit_linear linear, const nc_overfit_stage* stage, const int8_t* grid, size_t height,
                       size_t width, int32_t bits, size_t begin, size_t end, int16_t* y, size_t y_pitch,
                       int16_t* scratch) {
  using namespace nc;
  const size_t pitch = Pitch(width);
  int16_t* padded = scratch + kMargin;
  int16_t *zeros = padded + pitch, *ring = zeros + pitch;
  std::memset(scratch, 0, 2 * pitch * sizeof(int16_t));
  int64_t done = -1;
  for (size_t row = begin; row < end; row++) {
    const int64_t first = int64_t(row) - 3, last = std::min<int64_t>(first + 6, int64_t(height) - 1);
    for (int64_t m = std::max({done + 1, first, int64_t(0)}); m <= last; m++) {
      for (size_t i = 0; i < width; i++)
        padded[i] = static_cast<int16_t>(grid[m * int64_t(width) + int64_t(i)] * (1 << bits));
      const int16_t* rows[7];
      for (size_t i = 0; i < 7; i++) rows[i] = padded + i - 3;
      int16_t* const out = ring + (m % kRing) * pitch;
      linear(&stage->filter, rows, &out, width, 0);
      done = m;
    }
    const int16_t* in[7];
    for (int64_t i = 0; i < 7; i++) {
      const int64_t m = first + i;
      in[i] = m < 0 || m >= int64_t(height) ? zeros : ring + (m % kRing) * pitch;
    }
    int16_t* const out = y + (row - begin) * y_pitch;
    linear(&stage->filter, in, &out, width, 0);
    const int8_t* v = grid + row * width;
    for (size_t i = 0; i < width; i++) out[i] = Sat16(int32_t{out[i]} + v[i] * (1 << bits));
  }
}
