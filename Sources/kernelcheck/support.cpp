#include "support.h"

#include <algorithm>
#include <cmath>
#include <cstring>

std::vector<int16_t> RandomInts(Random& random, size_t count, Data data) {
  std::vector<int16_t> v(count);
  for (auto& x : v) {
    if (data == Data::kExtreme) {
      const int64_t pick = random.In(0, 3);
      x = pick == 0 ? 32767 : pick == 1 ? -32767 : -32768;
    } else {
      x = static_cast<int16_t>(random.In(-32768, 32767));
    }
  }
  return v;
}

std::vector<float> RandomFloats(Random& random, size_t count) {
  std::vector<float> v(count);
  for (auto& x : v) x = random.Unit();
  return v;
}

namespace {

size_t Padded(size_t channels) { return (channels + NC_CHANNEL_BLOCK - 1) / NC_CHANNEL_BLOCK * NC_CHANNEL_BLOCK; }

// Spreads `budget` over `count` absolute values with random signs; extreme rows are all negative half of the time, so
// that with x at -32768 every product is at its largest.
void Spread(Random& random, int16_t* w, size_t count, int64_t budget, bool all_negative) {
  for (size_t i = 0; i < count; i++) w[i] = 0;
  for (size_t tries = 0; tries < 4 * count + 8 && budget > 0; tries++) {
    int16_t& slot = w[random.In(0, static_cast<int64_t>(count) - 1)];
    if (slot != 0) continue;
    const int64_t size = std::min<int64_t>(random.In(1, std::max<int64_t>(2, 4 * budget / static_cast<int64_t>(count))),
                                           std::min<int64_t>(budget, 32768));
    slot = static_cast<int16_t>(all_negative || size == 32768 || random.In(0, 1) ? -size : size);
    budget -= size;
  }
}

}  // namespace

Layer16::Layer16(Random& random, size_t in, size_t out, size_t taps, Data data, bool depthwise)
    : in(in), out(out), taps(taps), weights(out * taps * in), bias(Padded(out)), shift(Padded(out)) {
  for (size_t o = 0; o < out; o++) {
    bias[o] = static_cast<int32_t>(random.In(-32767, 32767));
    const bool extreme = data == Data::kExtreme;
    Spread(random, &weights[o * taps * in], taps * in, extreme ? 65535 : 32000, extreme && random.In(0, 1));
    shift[o] = static_cast<int32_t>(extreme ? random.In(0, 31) : random.In(12, 18));
  }
  if (depthwise) {
    packed.resize(9 * out);
    for (size_t c = 0; c < out; c++)
      for (size_t t = 0; t < 9; t++) packed[t * out + c] = weights[c * 9 + t];
  } else {
    packed.resize(nc_conv_i16_packed_count(in, out, taps));
    nc_conv_i16_pack(weights.data(), in, out, taps, packed.data());
  }
}

nc_conv_i16 Layer16::View() const {
  return {static_cast<int32_t>(in), static_cast<int32_t>(out), static_cast<int32_t>(taps),
          packed.data(),            bias.data(),               shift.data()};
}

nc_depthwise_i16 Layer16::Depthwise() const {
  return {static_cast<int32_t>(out), packed.data(), bias.data(), shift.data()};
}

LayerF::LayerF(Random& random, size_t in, size_t out, size_t taps, bool depthwise)
    : in(in), out(out), taps(taps), weights(RandomFloats(random, out * taps * in)), bias(Padded(out)) {
  for (size_t o = 0; o < out; o++) bias[o] = random.Unit();
  if (depthwise) {
    packed.resize(9 * out);
    for (size_t c = 0; c < out; c++)
      for (size_t t = 0; t < 9; t++) packed[t * out + c] = weights[c * 9 + t];
  } else {
    packed.resize(nc_conv_f32_packed_count(in, out, taps));
    nc_conv_f32_pack(weights.data(), in, out, taps, packed.data());
  }
}

nc_conv_f32 LayerF::View() const {
  return {static_cast<int32_t>(in), static_cast<int32_t>(out), static_cast<int32_t>(taps), packed.data(), bias.data()};
}

nc_depthwise_f32 LayerF::Depthwise() const { return {static_cast<int32_t>(out), packed.data(), bias.data()}; }

std::vector<int16_t> SpecConv(const Layer16& layer, const std::vector<int16_t>& x, size_t height, size_t width,
                              size_t stride, const std::vector<int16_t>* residual, int32_t epilogue) {
  const size_t rows = (height + stride - 1) / stride, columns = (width + stride - 1) / stride;
  const int64_t reach = layer.taps == 9 ? 1 : 0, side = 2 * reach + 1;
  std::vector<int16_t> y(rows * columns * layer.out);
  auto sat = [](int64_t v) { return std::clamp<int64_t>(v, -32768, 32767); };
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < columns; c++)
      for (size_t o = 0; o < layer.out; o++) {
        int64_t a = layer.bias[o];
        for (int64_t t = 0; t < side * side; t++) {
          const int64_t row = static_cast<int64_t>(r * stride) + t / side - reach;
          const int64_t column = static_cast<int64_t>(c * stride) + t % side - reach;
          if (row < 0 || column < 0 || row >= static_cast<int64_t>(height) || column >= static_cast<int64_t>(width))
            continue;
          for (size_t i = 0; i < layer.in; i++)
            a += int64_t{layer.weights[(o * layer.taps + t) * layer.in + i]} *
                 x[(row * width + column) * layer.in + i];
        }
        const size_t at = (r * columns + c) * layer.out + o;
        int64_t v = sat(a >> layer.shift[o]);
        if (epilogue == NC_EPILOGUE_LEAKY) v = std::max(v, v >> 2);
        if (epilogue == NC_EPILOGUE_ADD) v = sat((*residual)[at] + v);
        y[at] = static_cast<int16_t>(v);
      }
  return y;
}

void Tally::Same(const std::string& what, const void* a, const void* b, size_t bytes) {
  compared++;
  if (bytes != 0 && std::memcmp(a, b, bytes) != 0) Fail(what);
}

void Tally::Near(const std::string& what, const std::vector<float>& a, const std::vector<float>& b, float bound) {
  compared++;
  for (size_t i = 0; i < a.size(); i++)
    if (!(std::fabs(a[i] - b[i]) <= bound)) {
      char detail[96];
      std::snprintf(detail, sizeof(detail), " [%zu]: %g and %g", i, a[i], b[i]);
      return Fail(what + detail);
    }
}

void Tally::Fail(const std::string& what) {
  if (++wrong <= 20) std::printf("MISMATCH %s\n", what.c_str());
}
