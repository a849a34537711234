// From planes at half size and the finest grid to samples, a band of rows at a time so that everything between stays in
// cache; the rows that the 3x3 layers need beyond the band are computed again. bitstream-spec 9.8
#include <algorithm>
#include <cstring>

#include "internal.h"
#include "overfit.h"

namespace nc {
namespace {

constexpr size_t kMargin = 16;
constexpr size_t kSlack = 32;
constexpr size_t kSegment = 128;

size_t Pitch(size_t width) { return kMargin + width + kSlack; }

// Where the parts of a band's scratch are.
struct Layout {
  size_t pitch, rows;
  size_t planes, outputs, hidden, stage, end;
  Layout(const nc_overfit_synthesis* s, size_t band) : pitch(Pitch(s->width)), rows(band + 2 * s->convs) {
    planes = 0;
    // Two sets of output planes for the 3x3 layers to go between, and one for the stabiliser.
    outputs = planes + s->planes * rows * pitch;
    hidden = outputs + (2 * s->outputs * rows + s->outputs) * pitch;
    stage = hidden + s->hidden * (kSegment + kSlack);
    end = stage + nc_overfit_stage_scratch(s->width);
  }
};

// 1x1 layers of one row: `x` are the planes' rows, `y` the outputs'.
void Pointwise(nc_overfit_linear linear, const nc_overfit_synthesis* s, const int16_t* const* x, int16_t* const* y,
               int16_t* hidden) {
  int16_t* middle[NC_OVERFIT_MAX_INPUTS];
  for (int32_t i = 0; i < s->hidden; i++) middle[i] = hidden + i * (kSegment + kSlack);
  for (size_t at = 0; at < size_t(s->width); at += kSegment) {
    const size_t count = std::min(kSegment, s->width - at);
    const int16_t* in[NC_OVERFIT_MAX_PLANES];
    int16_t* out[3];
    for (int32_t i = 0; i < s->planes; i++) in[i] = x[i] + at;
    for (int32_t i = 0; i < s->outputs; i++) out[i] = y[i] + at;
    linear(&s->first, in, middle, count, 1);
    linear(&s->second, middle, out, count, 0);
  }
}

// Repeats the border columns once to each side.
void Extend(int16_t* row, size_t width) {
  row[-1] = row[0];
  row[width] = row[width - 1];
}

// Sample bytes of outputs a[c] + b[c], one or three of them in turn.
void Samples(int16_t* const* a, int16_t* const* b, size_t outputs, size_t width, int32_t bits, uint8_t* out) {
  const int32_t half = 1 << (bits - 1);
  uint8_t bytes[3][kSegment];
  for (size_t at = 0; at < width; at += kSegment) {
    const size_t count = std::min(kSegment, width - at);
    for (size_t c = 0; c < outputs; c++)
      for (size_t x = 0; x < count; x++) {
        const int32_t v = std::min(std::max(a[c][at + x] + b[c][at + x], -32768), 32767);
        // v * 255, without a multiplication that plain SSE2 lacks.
        bytes[c][x] = static_cast<uint8_t>(std::min(std::max(((v << 8) - v + half) >> bits, 0), 255));
      }
    if (outputs == 1) {
      std::memcpy(out + at, bytes[0], count);
    } else {
      uint8_t* to = out + 3 * at;
      for (size_t x = 0; x < count; x++, to += 3) to[0] = bytes[0][x], to[1] = bytes[1][x], to[2] = bytes[2][x];
    }
  }
}

}  // namespace
}  // namespace nc

size_t nc_overfit_band_scratch(const nc_overfit_synthesis* synthesis, size_t rows) {
  return nc::Layout(synthesis, rows).end;
}

void nc_overfit_band(nc_overfit_linear linear, const nc_overfit_synthesis* s, size_t begin, size_t end, uint8_t* out,
                     int16_t* scratch) {
  using namespace nc;
  const Layout layout(s, end - begin);
  const size_t width = s->width, height = s->height, pitch = layout.pitch, rows = layout.rows;
  const size_t outputs = s->outputs, convs = s->convs;
  const size_t top = begin > convs ? begin - convs : 0, bottom = std::min(height, end + convs);

  // Planes, the finest grid first.
  int16_t* planes = scratch + layout.planes + kMargin;
  size_t plane = 0;
  if (s->grid != nullptr) {
    if (s->stage != nullptr) {
      nc_overfit_filter(linear, s->stage, s->grid, height, width, s->bits, top, bottom, planes, pitch,
                        scratch + layout.stage);
    } else {  // the only latent grid, and so the coarsest one, which is not filtered
      for (size_t row = top; row < bottom; row++)
        for (size_t x = 0; x < width; x++)
          planes[(row - top) * pitch + x] = static_cast<int16_t>(s->grid[row * width + x] * (1 << s->bits));
    }
    plane = 1;
  }
  const size_t half_rows = (height + 1) / 2;
  for (size_t i = 0; plane < size_t(s->planes); i++, plane++)
    nc_overfit_double(linear, s->stage, s->half + i * half_rows * s->half_pitch, s->half_pitch, height, width, top,
                      bottom, planes + plane * rows * pitch, pitch, scratch + layout.stage);

  int16_t* sets[2];
  sets[0] = scratch + layout.outputs + kMargin;
  sets[1] = sets[0] + outputs * rows * pitch;
  int16_t* linear_part = sets[1] + outputs * rows * pitch;
  auto at = [&](int16_t* set, size_t channel, size_t row) { return set + (channel * rows + (row - top)) * pitch; };

  for (size_t row = top; row < bottom; row++) {
    const int16_t* x[NC_OVERFIT_MAX_PLANES];
    int16_t* y[3];
    for (size_t i = 0; i < size_t(s->planes); i++) x[i] = planes + (i * rows + (row - top)) * pitch;
    for (size_t c = 0; c < outputs; c++) y[c] = at(sets[0], c, row);
    Pointwise(linear, s, x, y, scratch + layout.hidden);
    for (size_t c = 0; c < outputs; c++) Extend(y[c], width);
  }
  for (size_t layer = 0; layer < convs; layer++) {
    const size_t margin = convs - 1 - layer;
    const size_t first = begin > margin ? begin - margin : 0, last = std::min(height, end + margin);
    for (size_t row = first; row < last; row++) {
      const int16_t* x[27];
      int16_t* y[3];
      for (size_t c = 0, i = 0; c < outputs; c++)
        for (int dy = -1; dy <= 1; dy++) {
          const size_t from = std::min<size_t>(std::max<int64_t>(int64_t(row) + dy, 0), height - 1);
          for (int dx = -1; dx <= 1; dx++, i++) x[i] = at(sets[layer & 1], c, from) + dx;
        }
      for (size_t c = 0; c < outputs; c++) y[c] = at(sets[(layer + 1) & 1], c, row);
      linear(&s->conv[layer], x, y, width, layer + 1 < convs);
      for (size_t c = 0; c < outputs; c++) Extend(y[c], width);
    }
  }
  for (size_t row = begin; row < end; row++) {
    const int16_t* x[NC_OVERFIT_MAX_PLANES];
    int16_t* y[3];
    for (size_t i = 0; i < size_t(s->planes); i++) x[i] = planes + (i * rows + (row - top)) * pitch;
    int16_t* main[3];
    for (size_t c = 0; c < outputs; c++) y[c] = linear_part + c * pitch, main[c] = at(sets[convs & 1], c, row);
    linear(&s->stabiliser, x, y, width, 0);
    Samples(main, y, outputs, width, s->output_bits, out + row * width * outputs);
  }
}

void nc_overfit_band_maxima(nc_overfit_linear linear, const nc_overfit_synthesis* s, size_t band, int16_t* scratch,
                            int32_t* maxima) {
  using namespace nc;
  const Layout layout(s, band);
  const size_t pitch = layout.pitch, width = s->width;
  auto take = [&](const int16_t* row, size_t count, int32_t* to) {
    for (size_t x = 0; x < count; x++) *to = std::max(*to, row[x] < 0 ? -int32_t{row[x]} : int32_t{row[x]});
  };
  // Rows that a band at the picture's border does not have are still zero.
  for (size_t i = 0; i < s->planes * layout.rows; i++)
    take(scratch + layout.planes + kMargin + i * pitch, width, &maxima[0]);
  for (size_t i = 0; i < 2 * s->outputs * layout.rows + s->outputs; i++)
    take(scratch + layout.outputs + kMargin + i * pitch, width, &maxima[2]);
  int16_t* hidden[NC_OVERFIT_MAX_INPUTS];
  for (int32_t i = 0; i < s->hidden; i++) hidden[i] = scratch + layout.hidden + i * (kSegment + kSlack);
  for (size_t row = 0; row < layout.rows; row++)
    for (size_t at = 0; at < width; at += kSegment) {
      const size_t count = std::min(kSegment, width - at);
      const int16_t* in[NC_OVERFIT_MAX_PLANES];
      for (int32_t i = 0; i < s->planes; i++)
        in[i] = scratch + layout.planes + kMargin + (i * layout.rows + row) * pitch + at;
      linear(&s->first, in, hidden, count, 1);
      for (int32_t i = 0; i < s->hidden; i++) take(hidden[i], count, &maxima[1]);
    }
}
