// A band of a frame through all stages, row by row, so that what lies between two stages stays in cache: each stage keeps as
// many rows of its input as its kernel sees, and asks the stage before for the next one. Rows that a band's first rows need
// beyond it are computed again by each band. Also the table of the kernels' levels.
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

struct Layout {
  Line lines[NC_NERV_MAX_STAGES];
  // Sums of one row, all stages' in the same place.
  size_t p = 0, p_pitch[NC_NERV_MAX_STAGES], end;

  explicit Layout(const nc_nerv_network* network) {
    size_t height = network->height, width = network->width, factor = 1, sums = 0;
    for (int32_t i = 0; i < network->count; i++) {
      const nc_nerv_stage& stage = network->stages[i];
      p_pitch[i] = Stride(RoundUp(width));
      sums = std::max(sums, p_pitch[i] * stage.outputs * stage.factor * stage.factor);
      // The shuffle before writes whole groups of its columns.
      const size_t columns = factor * RoundUp(width / factor);
      lines[i] = {height, width, (size_t(stage.inputs) + 1) / 2, Stride(2 * (columns + 2 * kMargin)),
                  stage.side + factor - 1, 0};
      factor = stage.factor;
      height *= factor;
      width *= factor;
    }
    end = (sums + 31) / 32 * 32;
    for (int32_t i = 0; i < network->count; i++) {
      lines[i].at = end;
      end += lines[i].slots * lines[i].RowCount();
    }
  }
};

class Pass {
 public:
  Pass(const nc_nerv* kernels, const nc_nerv_network* network, const int16_t* embedding, int16_t* scratch)
      : kernels_(kernels), network_(network), embedding_(embedding), scratch_(scratch), layout_(network) {}

  void Run(size_t begin, size_t end, uint8_t* frame) {
    const int32_t last = network_->count - 1;
    size_t first = begin;
    for (int32_t i = last; i >= 0; i--) {
      const size_t reach = network_->stages[i].side / 2;
      first = first > reach ? first - reach : 0;
      // Whole rows of the convolution before.
      const size_t factor = i > 0 ? network_->stages[i - 1].factor : 1;
      first /= factor;
      next_[i] = first * factor;
    }
    const size_t rows = network_->rows, columns = network_->columns;
    for (size_t row = begin; row < end; row++) {
      Convolve(last, row, columns);
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
    const int16_t* rows[NC_NERV_MAX_SIDE];
    for (size_t dy = 0; dy < side; dy++) {
      const size_t at = row + dy;
      rows[dy] = at < reach || at - reach >= line.height ? nullptr : Row(i, at - reach);
    }
    kernels_->convolve(&stage, rows, line.pair_stride, width, scratch_ + layout_.p, layout_.p_pitch[i]);
  }

  // Makes the next rows of a stage's input.
  void Next(int32_t i) {
    const Line& line = layout_.lines[i];
    if (i == 0) {
      const size_t row = next_[0]++, inputs = network_->stages[0].inputs;
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
    Convolve(i - 1, next_[i] / before.factor, from.width);
    for (size_t dy = 0; dy < size_t(before.factor); dy++) {
      int16_t* to = Row(i, next_[i]++);
      kernels_->spread(&before, network_->activation, scratch_ + layout_.p, layout_.p_pitch[i - 1], from.width, dy, to,
                       line.pair_stride);
      Clear(line, to);
    }
  }

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

size_t nc_nerv_scratch(const nc_nerv_network* network) { return nc::Layout(network).end * sizeof(int16_t); }

void nc_nerv_band(const nc_nerv* kernels, const nc_nerv_network* network, const int16_t* embedding, size_t begin, size_t end,
                  uint8_t* frame, void* scratch) {
  nc::Pass(kernels, network, embedding, static_cast<int16_t*>(scratch)).Run(begin, end, frame);
}
