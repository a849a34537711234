// The kernels of networks that make frames against the words of bitstream-spec 14.4.
#include "nerv.h"

#include <algorithm>
#include <memory>

#include "support.h"

namespace {

int16_t Sat16(int64_t v) { return static_cast<int16_t>(std::clamp<int64_t>(v, -32768, 32767)); }

struct Stage {
  size_t inputs, outputs, side, factor, rows, terms;
  std::vector<int16_t> weights, packed, biases;
  int32_t shift, multiplier, fraction;

  // Rows of weights have magnitudes that sum to 131071 where `data` is extreme, all of one sign in every other row.
  Stage(Random& random, size_t inputs, size_t outputs, size_t side, size_t factor, Data data)
      : inputs(inputs), outputs(outputs), side(side), factor(factor), rows(outputs * factor * factor), terms(inputs * side * side),
        weights(rows * terms), packed(nc_nerv_packed_count(rows, inputs, side)), biases(RandomInts(random, rows, data)) {
    const bool extreme = data == Data::kExtreme;
    for (size_t r = 0; r < rows; r++) {
      int64_t left = 131071;
      for (size_t i = 0; i < terms; i++) {
        const int64_t most = std::min<int64_t>(left, 32768), size = extreme ? random.In(most / 2, most) : random.In(0, 131071 / terms % 32768);
        left -= size;
        weights[r * terms + i] = static_cast<int16_t>(r % 2 != 0 || size == 32768 || random.In(0, 1) ? -size : size);
      }
    }
    nc_nerv_pack(weights.data(), rows, inputs, side, packed.data());
    shift = int32_t(extreme ? random.In(0, 24) : random.In(10, 16));
    multiplier = int32_t(random.In(1, 32767));
    fraction = int32_t(random.In(4, 10));
  }

  nc_nerv_stage View(bool linear = false) const {
    nc_nerv_stage view = {};
    view.inputs = int32_t(inputs), view.outputs = int32_t(outputs), view.side = int32_t(side), view.factor = int32_t(factor);
    view.linear = linear, view.shift = shift, view.multiplier = multiplier, view.fraction = fraction;
    view.weights = packed.data(), view.biases = biases.data();
    return view;
  }
};

std::string Name(const nc_nerv* k, const Stage& s, size_t width) {
  return std::string(k->dot ? "dot " : "") + std::to_string(s.inputs) + " to " + std::to_string(s.outputs) + " x" +
         std::to_string(s.factor) + ", " + std::to_string(s.side) + "x" + std::to_string(s.side) + ", " + std::to_string(width);
}

void CheckConvolve(const nc_nerv* k, const Stage& s, size_t width, Random& random, Data data, Tally& tally) {
  const size_t pairs = (s.inputs + 1) / 2, margin = 3, stride = 2 * (margin + width + NC_NERV_GROUP + margin + 1);
  std::vector<std::vector<int16_t>> lines(s.side, std::vector<int16_t>(pairs * stride));
  std::vector<const int16_t*> rows;
  for (size_t dy = 0; dy < s.side; dy++) {
    for (size_t c = 0; c < s.inputs; c++)
      for (size_t x = 0; x < margin + width + margin; x++)
        lines[dy][c / 2 * stride + 2 * x + c % 2] =
            static_cast<int16_t>(data == Data::kExtreme ? (random.In(0, 7) ? -8192 : 8191) : random.In(-8192, 8191));
    rows.push_back(dy != s.side / 2 && random.In(0, 3) == 0 ? nullptr : lines[dy].data() + 2 * margin);
  }
  const size_t pitch = (width + NC_NERV_GROUP - 1) / NC_NERV_GROUP * NC_NERV_GROUP;
  std::vector<int16_t> p(s.rows * pitch), want(s.rows * width), got;
  const nc_nerv_stage view = s.View();
  k->convolve(&view, rows.data(), stride, width, p.data(), pitch);
  for (size_t r = 0; r < s.rows; r++)
    for (size_t x = 0; x < width; x++) {
      int64_t a = 0;
      for (size_t c = 0; c < s.inputs; c++)
        for (size_t dy = 0; dy < s.side; dy++)
          for (size_t dx = 0; dx < s.side; dx++)
            if (rows[dy] != nullptr)
              a += int64_t{s.weights[r * s.terms + (c * s.side + dy) * s.side + dx]} *
                   lines[dy][c / 2 * stride + 2 * (margin + x + dx - s.side / 2) + c % 2];
      const int64_t v = Sat16((a + (int64_t{1} << s.shift >> 1)) >> s.shift);
      want[r * width + x] = Sat16(((v * s.multiplier + 16384) >> 15) + s.biases[r]);
      got.push_back(p[r * pitch + x]);
    }
  tally.Same("nerv convolution " + Name(k, s, width), got.data(), want.data(), 2 * want.size());
}

void CheckSpread(const nc_nerv* k, const Stage& s, size_t width, bool linear, Random& random, Data data, Tally& tally) {
  const size_t pitch = (width + NC_NERV_GROUP - 1) / NC_NERV_GROUP * NC_NERV_GROUP, pairs = (s.outputs + 1) / 2;
  const auto p = RandomInts(random, s.rows * pitch, data);
  std::vector<uint16_t> table(NC_NERV_ACTIVATIONS + 1);
  for (auto& t : table) t = uint16_t(random.In(0, 600));
  const size_t stride = 2 * s.factor * pitch, columns = s.factor * width;
  const nc_nerv_stage view = s.View(linear);
  for (size_t dy = 0; dy < s.factor; dy++) {
    std::vector<int16_t> out(pairs * stride, 77), want(pairs * 2 * columns), got;
    k->spread(&view, table.data(), p.data(), pitch, width, dy, out.data(), stride);
    for (size_t c = 0; c < s.outputs; c++)
      for (size_t x = 0; x < columns; x++) {
        const int64_t v = p[((c * s.factor + dy) * s.factor + x % s.factor) * pitch + x / s.factor];
        const int64_t g = linear ? v : std::max<int64_t>(v, 0) - table[std::min<int64_t>(v < 0 ? -v : v, 32767)];
        const int32_t drop = 10 - s.fraction;
        want[c / 2 * 2 * columns + 2 * x + c % 2] =
            static_cast<int16_t>(std::clamp<int64_t>((g + (1 << drop >> 1)) >> drop, -8192, 8191));
      }
    for (size_t pair = 0; pair < pairs; pair++)
      got.insert(got.end(), out.begin() + pair * stride, out.begin() + pair * stride + 2 * columns);
    tally.Same((linear ? "nerv rounding " : "nerv activation ") + Name(k, s, width), got.data(), want.data(), 2 * want.size());
  }
}

void CheckAdd(const nc_nerv* k, size_t width, size_t factor, Random& random, Tally& tally) {
  const size_t room = (width + NC_NERV_GROUP - 1) / NC_NERV_GROUP * NC_NERV_GROUP;
  std::vector<int16_t> above(2 * room), below(2 * room), out(2 * room * factor), scratch(2 * (room + 2 * NC_NERV_GROUP));
  for (auto* row : {&above, &below, &out})
    for (auto& v : *row) v = int16_t(random.In(0, 3) ? random.In(-8192, 8191) : random.In(0, 1) ? -8192 : 8191);
  const int32_t weight = factor == 1 ? 0 : int32_t(random.In(0, 32767));
  auto between = [](int64_t a, int64_t b, int64_t w) { return a + ((((b - a) * w) + 16384) >> 15); };
  std::vector<int16_t> want(2 * width * factor);
  for (size_t x = 0; x < width * factor; x++)
    for (size_t i = 0; i < 2; i++) {
      const int64_t place = 2 * int64_t(x) + 1 - int64_t(factor), unit = 2 * int64_t(factor), last = int64_t(width) - 1;
      const int64_t cell = place < 0 ? -1 : place / unit, share = (place - cell * unit) * 32768 / unit;
      auto at = [&](int64_t column) {
        const size_t index = 2 * size_t(std::clamp<int64_t>(column, 0, last)) + i;
        return between(above[index], below[index], weight);
      };
      want[2 * x + i] = int16_t(std::clamp<int64_t>(out[2 * x + i] + between(at(cell), at(cell + 1), share), -8192, 8191));
    }
  k->add(above.data(), below.data(), weight, width, factor, out.data(), scratch.data());
  tally.Same("nerv sum" + std::string(k->dot ? " dot" : "") + " x" + std::to_string(factor) + ", " + std::to_string(width), out.data(), want.data(),
             2 * want.size());
}

void CheckFinish(const nc_nerv* k, size_t width, Random& random, Tally& tally) {
  const auto p = RandomInts(random, width, Data::kUsual);
  std::vector<uint8_t> table(NC_NERV_SAMPLES + 3), out(width + 64, 77), want(width + 64, 77);
  for (auto& t : table) t = uint8_t(random.In(0, 255));
  k->finish(table.data(), p.data(), width, out.data());
  for (size_t x = 0; x < width; x++) want[x] = table[std::clamp<int32_t>(p[x], -8192, 8191) + 8192];
  tally.Same("nerv samples " + std::to_string(width), out.data(), want.data(), out.size());
}

}  // namespace

void CheckNerv(int32_t level, bool quick, Tally& tally) {
  for (bool dot : {false, true}) {
    const nc_nerv* k = nc_nerv_at(level, dot);
    if (k == nullptr) continue;
    for (Data data : {Data::kUsual, Data::kExtreme})
      for (size_t side : {1, 3, 5, 7})
        for (size_t in : {1, 2, 5, 16})
          for (size_t out : {1, 2, 3, 7, 9, 11})
            for (size_t factor : {1, 2, 3, 4, 5, 8})
              for (size_t width : {1, 5, 16, 23, 33, 150}) {
                const size_t work = side * side * in * out * factor * factor * width;
                if (work > (quick ? 60000 : 600000) || (quick && (in + out + side + width) % 3 != 0)) continue;
                Random random(work + factor * 31 + in);
                const Stage stage(random, in, out, side, factor, data);
                CheckConvolve(k, stage, width, random, data, tally);
                if (side == 1)
                  for (bool linear : {false, true}) CheckSpread(k, stage, width, linear, random, data, tally);
              }
    for (size_t width : {1, 7, 16, 17, 250}) {
      Random random(width);
      CheckFinish(k, width, random, tally);
      for (size_t factor = 1; factor <= 8; factor++) CheckAdd(k, width, factor, random, tally);
    }
  }
}

std::vector<TileLine> NervLines() {
  constexpr size_t kInputs = 15, kOutputs = 12, kSide = 5, kFactor = 2, kWidth = 640, kStride = 2 * (kWidth + 48);
  struct Work {
    Random random{3};
    Stage stage{random, kInputs, kOutputs, kSide, kFactor, Data::kUsual};
    std::vector<int16_t> lines = std::vector<int16_t>((kInputs + 1) / 2 * kSide * kStride);
    std::vector<int16_t> p = std::vector<int16_t>(kOutputs * kFactor * kFactor * kWidth), y = std::vector<int16_t>(kOutputs / 2 * 4 * kWidth);
    std::vector<uint16_t> activation = std::vector<uint16_t>(NC_NERV_ACTIVATIONS + 1);
    nc_nerv_stage view = stage.View();
    const int16_t* rows[kSide];
    Work() {
      for (auto& v : lines) v = int16_t(random.In(-2000, 2000));
      for (size_t dy = 0; dy < kSide; dy++) rows[dy] = lines.data() + dy * (kInputs + 1) / 2 * kStride + 32;
    }
  };
  auto w = std::make_shared<Work>();
  const double macs = double(kInputs) * kOutputs * kFactor * kFactor * kSide * kSide * kWidth * 16;
  auto convolve = [=](bool dot) {
    return [=](int32_t level, size_t) {
      const nc_nerv* k = nc_nerv_at(level, dot);
      if (k == nullptr) k = nc_nerv_at(level, false);
      k->convolve(&w->view, w->rows, kStride, kWidth, w->p.data(), kWidth);
    };
  };
  return {
      {"nerv 15-48 5x5 16x640", macs, convolve(false)},
      {"nerv, VNNI where it is", macs, convolve(true)},
      {"nerv activation 48 16x640", 16.0 * kOutputs * kFactor * kFactor * kWidth,
       [=](int32_t level, size_t) {
         for (size_t dy = 0; dy < kFactor; dy++)
           nc_nerv_at(level, false)->spread(&w->view, w->activation.data(), w->p.data(), kWidth, kWidth, dy, w->y.data(), 4 * kWidth);
       }},
  };
}
