// The overfitted image codec's linear layer against the words of bitstream-spec 9.4.
#include <algorithm>

#include "overfit.h"
#include "support.h"

namespace {

struct Layer {
  int32_t inputs, outputs;
  std::vector<int16_t> weights;
  std::vector<int32_t> bias, shift;

  // Weights of each output share 32767, all of it in extreme layers, with biases at their bound there.
  Layer(Random& random, int32_t in, int32_t out, Data data) : inputs(in), outputs(out) {
    const int32_t pairs = (in + 1) / 2;
    weights.assign(size_t(out) * pairs * 2, 0);
    for (int32_t o = 0; o < out; o++) {
      int16_t* w = &weights[size_t(o) * pairs * 2];
      int64_t budget = 32767;
      const int sign = random.In(0, 1) ? 1 : -1;
      for (int32_t i = 0; i < in; i++) {
        const int64_t size = data == Data::kExtreme ? (i + 1 == in ? budget : random.In(0, budget))
                                                    : random.In(0, 32767 / in);
        budget -= size;
        w[i] = static_cast<int16_t>(data == Data::kExtreme ? sign * size : random.In(0, 1) ? size : -size);
      }
      const int64_t bound = data == Data::kExtreme ? int64_t{1} << 30 : 1 << 20;
      bias.push_back(static_cast<int32_t>(data == Data::kExtreme ? -sign * bound : random.In(-bound, bound)));
      shift.push_back(static_cast<int32_t>(random.In(0, 30)));
    }
  }

  nc_overfit_layer View() const { return {inputs, outputs, weights.data(), bias.data(), shift.data()}; }
};

}  // namespace

void CheckOverfit(int32_t level, bool quick, Tally& tally) {
  const nc_overfit_linear linear = nc_overfit_linear_at(level);
  for (Data data : {Data::kUsual, Data::kExtreme})
    for (int32_t in : {1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 27, 52, 128})
      for (int32_t out : {1, 2, 3, 4, 5, 8, 26})
        for (size_t count : {1, 7, 8, 16, 17, 130}) {
          if (quick && (in + out + int32_t(count)) % 3 != 0) continue;
          Random random(in * 1000 + out * 100 + count);
          const Layer layer(random, in, out, data);
          const size_t pitch = count + 37;  // rows that are not aligned
          const auto x = RandomInts(random, in * pitch, data);
          std::vector<int16_t> y(out * pitch), want(out * count), got(out * count);
          std::vector<const int16_t*> rows;
          std::vector<int16_t*> outs;
          for (int32_t i = 0; i < in; i++) rows.push_back(x.data() + i * pitch);
          for (int32_t o = 0; o < out; o++) outs.push_back(y.data() + o * pitch);
          const nc_overfit_layer view = layer.View();
          for (int32_t relu : {0, 1}) {
            linear(&view, rows.data(), outs.data(), count, relu);
            for (int32_t o = 0; o < out; o++)
              for (size_t p = 0; p < count; p++) {
                int64_t sum = layer.bias[o];
                for (int32_t i = 0; i < in; i++)
                  sum += int64_t{layer.weights[size_t(o) * ((in + 1) / 2) * 2 + i]} * rows[i][p];
                const int64_t v = sum >> layer.shift[o];
                want[o * count + p] = static_cast<int16_t>(std::min<int64_t>(std::max<int64_t>(v, relu ? 0 : -32768), 32767));
                got[o * count + p] = outs[o][p];
              }
            tally.Same("overfit " + std::to_string(in) + " to " + std::to_string(out) + ", " + std::to_string(count),
                       got.data(), want.data(), want.size() * 2);
          }
        }
}
