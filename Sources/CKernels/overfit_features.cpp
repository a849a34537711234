// The feature layers: what earlier grids say of each position, as planes by row. bitstream-spec 9.5
#include <algorithm>

#include "internal.h"
#include "overfit.h"

namespace nc {
namespace {

constexpr int kOne = 256;

size_t Padded(size_t width) { return (width + NC_OVERFIT_GROUP - 1) / NC_OVERFIT_GROUP * NC_OVERFIT_GROUP; }

// The row of the earlier grid that row y of the grid looks at.
size_t SourceRow(const nc_overfit_input& input, size_t y) {
  const int64_t row = y >> input.shift;
  if (!input.mirrored || !input.down) return row;
  return std::min<int64_t>(std::max<int64_t>(row + (y % 2 != 0 ? 1 : -1), 0), input.height - 1);
}

void Expand(const nc_overfit_input& input, size_t row, size_t width, int16_t* out) {
  const int8_t* v = input.values + row * input.width;
  if (input.mirrored && input.right) {
    // Children of column X look at X - 1 and X + 1, at X itself beyond the border.
    const size_t last = input.width - 1;
    out[0] = static_cast<int16_t>(v[0] * kOne);
    for (size_t x = 1; x < last; x++) {
      out[2 * x] = static_cast<int16_t>(v[x - 1] * kOne);
      out[2 * x - 1] = static_cast<int16_t>(v[x] * kOne);
    }
    if (last > 0) {
      out[2 * last] = static_cast<int16_t>(v[last - 1] * kOne);
      out[2 * last - 1] = static_cast<int16_t>(v[last] * kOne);
    }
    if (2 * last + 1 < width) out[2 * last + 1] = static_cast<int16_t>(v[last] * kOne);
  } else if (input.shift == 0) {
    for (size_t x = 0; x < width; x++) out[x] = static_cast<int16_t>(v[x] * kOne);
  } else if (input.shift == 1) {
    for (size_t x = 0; x < width / 2; x++) out[2 * x] = out[2 * x + 1] = static_cast<int16_t>(v[x] * kOne);
    if (width % 2 != 0) out[width - 1] = static_cast<int16_t>(v[width / 2] * kOne);
  } else {
    for (size_t x = 0; x < width; x++) out[x] = static_cast<int16_t>(v[x >> input.shift] * kOne);
  }
}

}  // namespace
}  // namespace nc

size_t nc_overfit_features_scratch(size_t inputs, size_t width) { return inputs * nc::Padded(width); }

void nc_overfit_features(nc_overfit_linear linear, const nc_overfit_layer* layer, const nc_overfit_input* inputs,
                         size_t width, size_t begin, size_t end, int16_t* features, size_t pitch, int16_t* scratch) {
  using namespace nc;
  const size_t count = layer->inputs;
  const int16_t* rows[NC_OVERFIT_MAX_INPUTS];
  size_t shown[NC_OVERFIT_MAX_INPUTS];
  for (size_t i = 0; i < count; i++) rows[i] = scratch + i * Padded(width);
  for (size_t y = begin; y < end; y++) {
    for (size_t i = 0; i < count; i++) {
      const size_t row = SourceRow(inputs[i], y);
      if (y == begin || row != shown[i]) Expand(inputs[i], row, width, scratch + i * Padded(width));
      shown[i] = row;
    }
    int16_t* out[NC_OVERFIT_MAX_INPUTS];
    for (size_t f = 0; f < size_t(layer->outputs); f++) out[f] = features + (y * layer->outputs + f) * pitch;
    linear(layer, rows, out, width, 0);
  }
}
