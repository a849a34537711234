// The entropy model's walk over a grid in wavefronts t = x + lag * y, positions of a wavefront by rising y, so that all
// neighbours of a wavefront are known before it and the model runs on many positions at once. bitstream-spec 9.5, 9.6
//
// Values live in a ring of the last 32 wavefronts, [t mod 32][y], so that a neighbour (dx, dy) of a run of positions is
// a run again, of row t + dx + lag * dy.
#include <algorithm>
#include <cstring>

#include "internal.h"
#include "overfit.h"

namespace nc {
namespace {

// dx - lag * 4 reaches back at most 4 + 4 * 5 wavefronts.
constexpr size_t kRing = 32;
constexpr size_t kLeft = 8;
constexpr size_t kSlack = 32;
// Wavefronts whose features are skewed at a time, and positions that the network takes at a time.
constexpr size_t kSkew = 16;
constexpr size_t kSegment = 128;
constexpr int kOne = 256;  // activations have 8 fraction bits

struct Range {
  size_t first, end;
};

Range Positions(const nc_overfit_grid* g, int64_t t) {
  const int64_t lag = g->lag;
  const int64_t first = t < g->width ? 0 : (t - g->width) / lag + 1;
  const int64_t end = std::min<int64_t>(t / lag + 1, g->height);
  return first < end ? Range{size_t(first), size_t(end)} : Range{0, 0};
}

struct Blocks {
  const uint8_t* flags;
  size_t columns;
  explicit Blocks(const nc_overfit_grid* g)
      : flags(g->blocks), columns((size_t(g->width) + NC_OVERFIT_BLOCK - 1) / NC_OVERFIT_BLOCK) {}
  bool Coded(size_t y, size_t x) const {
    return flags == nullptr || flags[y / NC_OVERFIT_BLOCK * columns + x / NC_OVERFIT_BLOCK] != 0;
  }
};

// What is known of a wavefront before its values are: mean (1/32) and scale index by y.
struct Wavefront {
  size_t t;
  Range range;
  const int16_t *means, *scales;
  int16_t* row;
};

class Walk {
 public:
  Walk(nc_overfit_linear linear, const nc_overfit_grid* grid, int16_t* scratch)
      : linear_(linear), g_(grid), blocks_(grid), rows_(grid->height + kLeft + kSlack) {
    ring_ = scratch;
    std::memset(ring_, 0, kRing * rows_ * sizeof(int16_t));
    skew_ = ring_ + kRing * rows_;
    means_ = skew_ + kSkew * grid->features * rows_;
    scales_ = means_ + rows_;
    zeros_ = scales_ + rows_;
    std::memset(zeros_, 0, Tail() * sizeof(int16_t));
    const size_t width = grid->spatial + grid->features;
    int16_t* h = zeros_ + (kSegment + kSlack);
    for (size_t c = 0; c < width; c++) {
      hidden_[0][c] = h + c * (kSegment + kSlack);
      hidden_[1][c] = h + (width + c) * (kSegment + kSlack);
    }
  }

  static size_t Scratch(const nc_overfit_grid* g) {
    const size_t rows = g->height + kLeft + kSlack;
    return (kRing + kSkew * g->features + 2) * rows + (1 + 2 * (g->spatial + g->features)) * (kSegment + kSlack);
  }

  // Calls code(wavefront) for wavefronts [begin, end), when means and scales of its coded positions are known. It puts
  // values times kOne into the row at coded positions.
  template <class Code>
  void Run(size_t begin, size_t end, Code&& code) {
    for (int64_t t = int64_t(begin) - int64_t(kRing); t < int64_t(begin); t++)
      if (t >= 0) Recall(t);
    size_t skewed = begin;
    for (size_t t = begin; t < end; t++) {
      if (g_->context != nullptr && t == skewed) {
        Skew(t);
        skewed += kSkew;
      }
      int16_t* row = Row(t);
      if (t >= kRing) {
        const Range old = Positions(g_, int64_t(t) - int64_t(kRing));
        std::memset(row + old.first, 0, (old.end - old.first) * sizeof(int16_t));
      }
      const Range range = Positions(g_, t);
      if (blocks_.flags == nullptr) {
        Predict(t, range.first, range.end);
      } else {
        PredictCoded(t, range);
      }
      code(Wavefront{t, range, means_, scales_, row});
    }
  }

 private:
  size_t Tail() const { return (1 + 2 * (g_->spatial + g_->features)) * (kSegment + kSlack); }
  int16_t* Row(int64_t t) const { return ring_ + (t & int64_t(kRing - 1)) * rows_ + kLeft; }

  // Puts known values of wavefront t into the ring, for a walk that starts later.
  void Recall(int64_t t) {
    const Range range = Positions(g_, t);
    int16_t* row = Row(t);
    for (size_t y = range.first; y < range.end; y++)
      row[y] = static_cast<int16_t>(g_->values[y * g_->width + (t - g_->lag * y)] * kOne);
  }

  // Features of wavefronts t...t + kSkew - 1, from planes by row to rows by wavefront.
  void Skew(int64_t t) {
    const size_t features = g_->features;
    const int64_t lag = g_->lag, last = t + int64_t(kSkew) - 1;
    const size_t first = t < g_->width ? 0 : (t - g_->width) / lag + 1;
    const size_t end = std::min<int64_t>(last / lag + 1, g_->height);
    for (size_t y = first; y < end;) {
      const int64_t x0 = t - lag * int64_t(y);
      // Eight rows at once where all of their columns are inside.
      if (y + 8 <= end && x0 - 7 * lag >= 0 && x0 + int64_t(kSkew) <= g_->width) {
        for (size_t f = 0; f < features; f++)
          for (size_t part = 0; part < kSkew; part += 8)
            Transpose(g_->context + (y * features + f) * g_->pitch + x0 + part,
                      int64_t(features * g_->pitch) - lag,
                      skew_ + (part * features + f) * rows_ + kLeft + y, features * rows_);
        y += 8;
        continue;
      }
      const int64_t a = std::max<int64_t>(x0, 0), b = std::min<int64_t>(x0 + int64_t(kSkew), g_->width);
      for (size_t f = 0; f < features; f++) {
        const int16_t* from = g_->context + (y * features + f) * g_->pitch;
        int16_t* to = skew_ + f * rows_ + kLeft + y;
        for (int64_t x = a; x < b; x++) to[(x - x0) * int64_t(features * rows_)] = from[x];
      }
      y++;
    }
    skew_start_ = t;
  }

  // 8 x 8 values from rows `from_pitch` apart to columns in rows `to_pitch` apart.
  static void Transpose(const int16_t* from, int64_t from_pitch, int16_t* to, size_t to_pitch) {
    typedef int16_t Row __attribute__((vector_size(16), aligned(2)));
    Row a[8], b[8];
    for (int i = 0; i < 8; i++) std::memcpy(&a[i], from + i * from_pitch, sizeof(Row));
    // Three times the rows i and i + 4 are interleaved.
    for (int round = 0; round < 3; round++) {
      for (int i = 0; i < 4; i++) {
        b[2 * i] = __builtin_shufflevector(a[i], a[i + 4], 0, 8, 1, 9, 2, 10, 3, 11);
        b[2 * i + 1] = __builtin_shufflevector(a[i], a[i + 4], 4, 12, 5, 13, 6, 14, 7, 15);
      }
      std::memcpy(a, b, sizeof(a));
    }
    for (int i = 0; i < 8; i++) std::memcpy(to + i * to_pitch, &a[i], sizeof(Row));
  }

  // Where blocks may be empty: runs of positions with something coded in each group of 8.
  void PredictCoded(size_t t, Range range) {
    size_t begin = range.first;
    bool open = false;
    for (size_t y = range.first; y < range.end;) {
      const size_t next = std::min((y / 8 + 1) * 8, range.end);
      // x falls as y rises, and a group of 8 rows lies in one row of blocks.
      const size_t right = (t - g_->lag * y) / NC_OVERFIT_BLOCK, left = (t - g_->lag * (next - 1)) / NC_OVERFIT_BLOCK;
      const uint8_t* flags = blocks_.flags + y / NC_OVERFIT_BLOCK * blocks_.columns;
      bool any = false;
      for (size_t column = left; column <= right; column++) any |= flags[column] != 0;
      if (any && !open) begin = y;
      if (!any && open) Predict(t, begin, y);
      open = any;
      y = next;
    }
    if (open) Predict(t, begin, range.end);
  }

  // Means and scales of positions [begin, end) of wavefront t.
  void Predict(int64_t t, size_t begin, size_t end) {
    const size_t spatial = g_->spatial, features = g_->features, width = spatial + features;
    const int16_t* source[NC_OVERFIT_MAX_INPUTS];
    for (size_t i = 0; i < spatial; i++) {
      const int dx = g_->offsets[2 * i], dy = g_->offsets[2 * i + 1];
      source[i] = Row(t + dx + g_->lag * dy) + dy;
    }
    for (size_t f = 0; f < features; f++)
      source[spatial + f] =
          g_->context == nullptr ? nullptr : skew_ + ((t - skew_start_) * features + f) * rows_ + kLeft;
    for (size_t y = begin; y < end; y += kSegment) {
      const size_t count = std::min(kSegment, end - y);
      // Inputs of the last layer: what the last hidden layer gives, then x.
      const int16_t* rows[NC_OVERFIT_MAX_INPUTS];
      const int16_t** x = rows + width;
      for (size_t i = 0; i < width; i++) x[i] = source[i] == nullptr ? zeros_ : source[i] + y;
      const int16_t* const* in = x;
      for (int32_t layer = 0; layer < g_->hidden; layer++) {
        linear_(&g_->layers[layer], in, hidden_[layer & 1], count, 1);
        in = hidden_[layer & 1];
      }
      std::copy(in, in + width, rows);
      int16_t* const out[2] = {means_ + y, scales_ + y};
      linear_(&g_->layers[g_->hidden], rows, out, count, 0);
    }
  }

  nc_overfit_linear linear_;
  const nc_overfit_grid* g_;
  Blocks blocks_;
  size_t rows_;  // elements of a ring row
  int16_t *ring_, *skew_, *means_, *scales_, *zeros_;
  int16_t* hidden_[2][NC_OVERFIT_MAX_INPUTS / 2];
  int64_t skew_start_ = 0;
};

int ClampMean(int mean) { return std::min(std::max(mean, -4095), 4095); }
int ClampScale(int scale) { return std::min(std::max(scale, 0), NC_OVERFIT_SCALES - 1); }

// The distribution of one position. bitstream-spec 9.6
class Distribution {
 public:
  Distribution(const nc_overfit_tails& tails, int magnitude, int mean, int scale)
      : magnitude_(magnitude), mean_(ClampMean(mean)), free_(65536 - (2 * magnitude + 1)) {
    const int s = ClampScale(scale);
    length_ = tails.lengths[s];
    tail_ = tails.values + tails.offsets[s];
  }

  int Start() const { return std::min(std::max((mean_ + 16) >> 5, -magnitude_), magnitude_); }

  // The start of value v's interval, for v in -magnitude...magnitude + 1.
  uint32_t Below(int v) const {
    if (v <= -magnitude_) return 0;
    if (v > magnitude_) return 65536;
    const int d = 32 * v - 16 - mean_;
    const uint32_t a = d < 0 ? -d : d;
    const uint32_t tail = tail_[(a & 31) * length_ + std::min(a >> 5, length_ - 1)];
    const uint32_t mass = d < 0 ? tail : 65536 - tail;
    return ((mass * free_) >> 16) + static_cast<uint32_t>(v + magnitude_);
  }

 private:
  int magnitude_, mean_;
  uint32_t length_, free_;
  const uint16_t* tail_;
};

// The symbols of a grid. Its members are a copy of the caller's, or stores to values might change them for all that the
// compiler knows.
class Decoder {
 public:
  Decoder(const nc_overfit_grid* grid, const nc_overfit_tails* tails, const nc_overfit_rans* rans)
      : tails_(*tails), blocks_(grid), values_(grid->values), width_(grid->width), lag_(grid->lag),
        magnitude_(grid->magnitude), rans_(*rans) {}

  const nc_overfit_rans& state() const { return rans_; }

  void operator()(const Wavefront& w) {
    nc_overfit_rans rans = rans_;
    const nc_overfit_tails tails = tails_;
    const Blocks blocks = blocks_;
    const int magnitude = magnitude_;
    size_t x = w.t - lag_ * w.range.first;
    int8_t* value = values_ + w.range.first * width_ + x;
    const int64_t step = int64_t(width_) - int64_t(lag_);
    for (size_t y = w.range.first; y < w.range.end; y++, x -= lag_, value += step) {
      if (!blocks.Coded(y, x)) continue;
      const Distribution model(tails, magnitude, w.means[y], w.scales[y]);
      uint64_t& lane = rans.lanes[rans.step++ & rans.mask];
      const int v = Take(model, &lane);
      if (lane < (1u << 24) && rans.left != 0) Refill(&rans, &lane);
      *value = static_cast<int8_t>(v);
      w.row[y] = static_cast<int16_t>(v * kOne);
    }
    rans_ = rans;
  }

 private:
  static int Take(const Distribution& model, uint64_t* lane) {
    const uint32_t quantile = *lane & 0xffff;
    // From the mean outwards: most values are next to it.
    int v = model.Start();
    uint32_t low = model.Below(v), high = model.Below(v + 1);
    while (quantile >= high) {
      low = high;
      high = model.Below(++v + 1);
    }
    while (quantile < low) {
      high = low;
      low = model.Below(--v);
    }
    *lane = uint64_t(high - low) * (*lane >> 16) + quantile - low;
    return v;
  }

  // bitstream-spec 5.5
  static void Refill(nc_overfit_rans* rans, uint64_t* x) {
    uint32_t word;
    std::memcpy(&word, rans->words, sizeof(word));
    *x = *x << 32 | word;
    rans->words += 4;
    if (--rans->left != 0) return;
    for (uint32_t lane = 0; lane <= rans->mask; lane++) {
      if (rans->lanes[lane] < (1u << 24)) {
        rans->failed = 1;
      } else {
        rans->lanes[lane] -= 1u << 24;
      }
    }
  }

  nc_overfit_tails tails_;
  Blocks blocks_;
  int8_t* values_;
  size_t width_, lag_;
  int magnitude_;
  nc_overfit_rans rans_;
};

// Calls visit(y, value) at the coded positions of a wavefront of a grid whose values are known.
template <class Visit>
void Known(const nc_overfit_grid* grid, const Wavefront& w, Visit&& visit) {
  const Blocks blocks(grid);
  for (size_t y = w.range.first; y < w.range.end; y++) {
    const size_t x = w.t - grid->lag * y;
    if (!blocks.Coded(y, x)) continue;
    const int v = grid->values[y * grid->width + x];
    visit(y, v);
    w.row[y] = static_cast<int16_t>(v * kOne);
  }
}

}  // namespace
}  // namespace nc

size_t nc_overfit_grid_scratch(const nc_overfit_grid* grid) { return nc::Walk::Scratch(grid); }

size_t nc_overfit_wavefronts(const nc_overfit_grid* grid) {
  return size_t(grid->width) + size_t(grid->lag) * (grid->height - 1);
}

size_t nc_overfit_coded(const nc_overfit_grid* grid, size_t begin, size_t end) {
  const nc::Blocks blocks(grid);
  size_t count = 0;
  for (size_t t = begin; t < end; t++) {
    const auto range = nc::Positions(grid, t);
    if (grid->blocks == nullptr) {
      count += range.end - range.first;
    } else {
      for (size_t y = range.first; y < range.end; y++) count += blocks.Coded(y, t - grid->lag * y);
    }
  }
  return count;
}

void nc_overfit_decode(nc_overfit_linear linear, const nc_overfit_grid* grid, const nc_overfit_tails* tails,
                       int16_t* scratch, nc_overfit_rans* rans) {
  nc::Walk walk(linear, grid, scratch);
  nc::Decoder decoder(grid, tails, rans);
  walk.Run(0, nc_overfit_wavefronts(grid), decoder);
  *rans = decoder.state();
}

size_t nc_overfit_intervals(nc_overfit_linear linear, const nc_overfit_grid* grid, const nc_overfit_tails* tails,
                            int16_t* scratch, size_t begin, size_t end, uint32_t* steps) {
  nc::Walk walk(linear, grid, scratch);
  size_t count = 0;
  walk.Run(begin, end, [&](const nc::Wavefront& w) {
    uint32_t* next = steps + count;
    nc::Known(grid, w, [&](size_t y, int v) {
      const nc::Distribution model(*tails, grid->magnitude, w.means[y], w.scales[y]);
      const uint32_t low = model.Below(v), high = model.Below(v + 1);
      *next++ = low | (high - low - 1) << 16;
    });
    count = next - steps;
  });
  return count;
}

size_t nc_overfit_distributions(nc_overfit_linear linear, const nc_overfit_grid* grid, int16_t* scratch, size_t begin,
                                size_t end, int16_t* means, uint8_t* scales) {
  nc::Walk walk(linear, grid, scratch);
  size_t count = 0;
  walk.Run(begin, end, [&](const nc::Wavefront& w) {
    nc::Known(grid, w, [&](size_t y, int) {
      means[count] = static_cast<int16_t>(nc::ClampMean(w.means[y]));
      scales[count++] = static_cast<uint8_t>(nc::ClampScale(w.scales[y]));
    });
  });
  return count;
}
