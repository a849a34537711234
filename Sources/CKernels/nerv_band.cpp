// A band of a frame through all stages, row by row, so that what lies between two stages stays in cache: each stage keeps as
// many rows of its input as its kernel sees, or as what is added to a later stage's output needs, and asks the stage before for the next one.
// Rows that a band's first rows need beyond it are computed again by each band. Also the table of the kernels' levels.
#include <algorithm>
#include <cstring>

#include "cpu.h"
#include "internal.h"
#include "nerv.h"

namespace nc {
namespace {

constexpr size_t kMargin = 16;  // columns before and behind a row, at least the reach of the largest kernel

size_t RoundUp(size_t count) { return (count + NC_NERV_GROUP - 1) / NC_NERV_GROUP * NC_NERV_GROUP; }

// Elements, so that rows begin at other places of a cache than their neighbours do.
size_t Stride(size_t count) { return count * sizeof(int16_t) % 1024 == 0 ? count + 32 : count; }

// Rows of a stage's input that are kept: [slots][pairs][pair_stride].
struct Line {
  size_t height, width, pairs, pair_stride, slots, at;

  size_t RowCount() const { return pairs * pair_stride; }
};

// The rows that lie around row `at` of an enlargement; below the first or the last one they are those.
struct Around {
  size_t above, below;
  int32_t weight;

  Around(size_t at, size_t factor, size_t height) {
    const NervPlace place(at % factor, factor);
    const size_t cell = at / factor;
    above = place.is_before ? (cell > 0 ? cell - 1 : 0) : cell;
    below = std::min(place.is_before || factor == 1 ? cell : cell + 1, height - 1);
    weight = place.weight;
  }
};

struct Layout {
  Line lines[NC_NERV_MAX_STAGES];
  // Sums of one row, all stages' in the same place, and a row on its way to an enlargement.
  size_t p = 0, p_pitch[NC_NERV_MAX_STAGES], row, end;

  explicit Layout(const nc_nerv_network* network) {
    size_t height = network->height, width = network->width, factor = 1, sums = 0, widest = 0;
    for (int32_t i = 0; i < network->count; i++) {
      const nc_nerv_stage& stage = network->stages[i];
      p_pitch[i] = Stride(RoundUp(width));
      sums = std::max(sums, p_pitch[i] * stage.outputs * stage.factor * stage.factor);
      // The shuffle before and what is added write whole groups of their columns.
      size_t columns = factor * RoundUp(width / factor);
      if (i > 0)
        for (int32_t back : network->stages[i - 1].sums)
          if (back > 0) columns = std::max(columns, Factor(network, i - 1 - back, i) * RoundUp(lines[i - 1 - back].width));
      lines[i] = {height, width, (size_t(stage.inputs) + 1) / 2, Stride(2 * (columns + 2 * kMargin)), size_t(stage.rows), 0};
      widest = std::max(widest, RoundUp(width));
      factor = stage.factor;
      height *= factor;
      width *= factor;
    }
    row = (sums + 31) / 32 * 32;
    end = row + 2 * (widest + 2 * NC_NERV_GROUP);
    for (int32_t i = 0; i < network->count; i++) {
      lines[i].at = end;
      end += lines[i].slots * lines[i].RowCount();
    }
  }

  // What stages [first, end) multiply sides by.
  static size_t Factor(const nc_nerv_network* network, int32_t first, int32_t end) {
    size_t factor = 1;
    for (int32_t i = first; i < end; i++) factor *= network->stages[i].factor;
    return factor;
  }
};

class Pass {
 public:
  Pass(const nc_nerv* kernels, const nc_nerv_network* network, const int16_t* embedding, int16_t* scratch)
      : kernels_(kernels), network_(network), embedding_(embedding), scratch_(scratch), layout_(network) {}

  // Makes nothing, but sets the `rows` of the network's stages: to how many are asked for at most, from the oldest one that still is to the last that is made.
  Pass(const nc_nerv_network* network, nc_nerv_stage* stages) : Pass(nullptr, network, nullptr, nullptr) {
    plan_ = stages;
    Run(0, network->rows, nullptr);
  }

  void Run(size_t begin, size_t end, uint8_t* frame) {
    const int32_t last = network_->count - 1;
    size_t first = begin, added[NC_NERV_MAX_STAGES];
    std::fill(added, added + network_->count, SIZE_MAX);
    for (int32_t i = last; i >= 0; i--) {
      const size_t reach = network_->stages[i].side / 2;
      first = std::min(first > reach ? first - reach : 0, added[i]);
      // Whole rows of the convolution before.
      const size_t factor = i > 0 ? network_->stages[i - 1].factor : 1;
      first /= factor;
      next_[i] = first * factor;
      if (i == 0) break;
      for (int32_t back : network_->stages[i - 1].sums) {
        if (back == 0) continue;
        const int32_t from = i - 1 - back;
        const Around around(next_[i], Layout::Factor(network_, from, i), layout_.lines[from].height);
        added[from] = std::min(added[from], around.above);
      }
    }
    const size_t rows = network_->rows, columns = network_->columns;
    for (size_t row = begin; row < end; row++) {
      Convolve(last, row, columns);
      if (plan_ != nullptr) continue;
      for (size_t c = 0; c < size_t(network_->stages[last].outputs); c++)
        kernels_->finish(network_->samples, scratch_ + layout_.p + c * layout_.p_pitch[last], columns,
                         frame + (c * rows + row) * columns);
    }
  }

 private:
  int16_t* Row(int32_t i, size_t row) {
    const Line& line = layout_.lines[i];
    return scratch_ + line.at + row % line.slots * line.RowCount() + 2 * kMargin;
  }

  // A stage's sums for a row of its input, made int16.
  void Convolve(int32_t i, size_t row, size_t width) {
    const nc_nerv_stage& stage = network_->stages[i];
    const Line& line = layout_.lines[i];
    const size_t side = stage.side, reach = side / 2;
    const size_t bottom = std::min(row + reach, line.height - 1);
    while (next_[i] <= bottom) Next(i);
    if (plan_ != nullptr) return Plan(i, row > reach ? row - reach : 0);
    const int16_t* rows[NC_NERV_MAX_SIDE];
    for (size_t dy = 0; dy < side; dy++) {
      const size_t at = row + dy;
      rows[dy] = at < reach || at - reach >= line.height ? nullptr : Row(i, at - reach);
    }
    int16_t* p = scratch_ + layout_.p;
    if (!stage.depthwise) return kernels_->convolve(&stage, rows, line.pair_stride, width, p, layout_.p_pitch[i]);
    nc_nerv_stage pair = stage;
    pair.inputs = 2;
    for (size_t c = 0; c < size_t(stage.outputs); c += 2) {
      pair.outputs = std::min(2, stage.outputs - int32_t(c));
      kernels_->convolve(&pair, rows, line.pair_stride, width, p + c * layout_.p_pitch[i], layout_.p_pitch[i]);
      pair.weights += nc_nerv_packed_count(2, 2, side);
      pair.biases += 2;
      for (size_t dy = 0; dy < side; dy++)
        if (rows[dy] != nullptr) rows[dy] += line.pair_stride;
    }
  }

  // Adds to a row of a stage's output, which is `line`, what the stage says.
  void Add(int32_t i, size_t row, int16_t* to, const Line& line) {
    for (int32_t back : network_->stages[i].sums) {
      if (back == 0) continue;
      const Line& from = layout_.lines[i - back];
      const size_t factor = Layout::Factor(network_, i - back, i + 1);
      const Around around(row, factor, from.height);
      if (plan_ != nullptr) {
        Plan(i - back, around.above);
        continue;
      }
      const int16_t *above = Row(i - back, around.above), *below = Row(i - back, around.below);
      for (size_t pair = 0; pair < from.pairs; pair++)
        kernels_->add(above + pair * from.pair_stride, below + pair * from.pair_stride, around.weight, from.width, factor,
                      to + pair * line.pair_stride, scratch_ + layout_.row);
    }
  }

  // Makes the next rows of a stage's input.
  void Next(int32_t i) {
    const Line& line = layout_.lines[i];
    if (i == 0) {
      const size_t row = next_[0]++, inputs = network_->stages[0].inputs;
      if (plan_ != nullptr) return;
      int16_t* to = Row(0, row);
      for (size_t c = 0; c < inputs; c++) {
        const int16_t* from = embedding_ + (c * line.height + row) * line.width;
        for (size_t x = 0; x < line.width; x++) to[c / 2 * line.pair_stride + 2 * x + c % 2] = from[x];
      }
      if (inputs % 2 != 0)
        for (size_t x = 0; x < line.width; x++) to[inputs / 2 * line.pair_stride + 2 * x + 1] = 0;
      Clear(line, to);
      return;
    }
    const nc_nerv_stage& before = network_->stages[i - 1];
    const Line& from = layout_.lines[i - 1];
    for (int32_t back : before.sums) {
      if (back == 0) continue;
      const int32_t added = i - 1 - back;
      const Around around(next_[i] + before.factor - 1, Layout::Factor(network_, added, i), layout_.lines[added].height);
      while (next_[added] <= around.below) Next(added);
    }
    Convolve(i - 1, next_[i] / before.factor, from.width);
    for (size_t dy = 0; dy < size_t(before.factor); dy++) {
      const size_t row = next_[i]++;
      if (plan_ != nullptr) {
        Add(i - 1, row, nullptr, line);
        continue;
      }
      int16_t* to = Row(i, row);
      kernels_->spread(&before, network_->activation, scratch_ + layout_.p, layout_.p_pitch[i - 1], from.width, dy, to,
                       line.pair_stride);
      Add(i - 1, row, to, line);
      Clear(line, to);
    }
  }

  void Plan(int32_t i, size_t oldest) { plan_[i].rows = std::max(plan_[i].rows, static_cast<int32_t>(next_[i] - oldest)); }

  // Columns behind a row, where the shuffle may have written; those before it are zero from the start.
  static void Clear(const Line& line, int16_t* row) {
    for (size_t pair = 0; pair < line.pairs; pair++)
      std::memset(row + pair * line.pair_stride + 2 * line.width, 0, NC_NERV_MAX_SIDE / 2 * 2 * sizeof(int16_t));
  }

  const nc_nerv* const kernels_;
  const nc_nerv_network* const network_;
  const int16_t* const embedding_;
  int16_t* const scratch_;
  const Layout layout_;
  size_t next_[NC_NERV_MAX_STAGES];  // rows of each stage's input that are made
  nc_nerv_stage* plan_ = nullptr;
};

bool HasDot([[maybe_unused]] int32_t level) {
#if HWY_ARCH_X86
  __builtin_cpu_init();
  if (level == NC_LEVEL_AVX2) return __builtin_cpu_supports("avxvnni");
  if (level == NC_LEVEL_AVX512) return __builtin_cpu_supports("avx512vnni");
#endif
  return false;
}

struct Tables {
  nc_nerv at[NC_LEVELS][2];

  Tables() {
    for (int32_t level = 0; level < NC_LEVELS; level++)
      for (bool dot : {false, true}) {
        nc_nerv* table = &at[level][dot];
        *table = nc_nerv();
        table->level = level;
        table->dot = dot;
        InstallNervConvolveScalar(table);
        InstallNervSpreadScalar(table);
        if (level == NC_LEVEL_SCALAR) continue;
        InstallNervConvolve(TargetOf(level), table);
        InstallNervSpread(TargetOf(level), table);
      }
  }
};

}  // namespace
}  // namespace nc

const nc_nerv* nc_nerv_at(int32_t level, bool dot) {
  static const nc::Tables tables;
  return nc_kernels_at(level) && (!dot || nc::HasDot(level)) ? &tables.at[level][dot] : nullptr;
}

void nc_nerv_plan(const nc_nerv_network* network, nc_nerv_stage* stages) {
  for (int32_t i = 0; i < network->count; i++) stages[i].rows = 1;
  nc::Pass(network, stages);
}

size_t nc_nerv_scratch(const nc_nerv_network* network) { return nc::Layout(network).end * sizeof(int16_t); }

void nc_nerv_band(const nc_nerv* kernels, const nc_nerv_network* network, const int16_t* embedding, size_t begin, size_t end,
                  uint8_t* frame, void* scratch) {
  nc::Pass(kernels, network, embedding, static_cast<int16_t*>(scratch)).Run(begin, end, frame);
}
