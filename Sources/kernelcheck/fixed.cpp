// Fixed-point kernels of one level against the scalar table, and the scalar table against the spec.
#include <cstring>

#include "support.h"

namespace {

std::string Name(const nc_kernels* k, const char* kernel, std::initializer_list<size_t> sizes) {
  std::string s = std::string(nc_level_name(k->level)) + " " + kernel;
  for (size_t v : sizes) s += " " + std::to_string(v);
  return s;
}

const nc_kernels* Scalar() { return nc_kernels_at(NC_LEVEL_SCALAR); }

void Pointwise(const nc_kernels* k, size_t in, size_t out, size_t positions, Data data, Tally& tally) {
  Random random(in * 7919 + out * 31 + positions);
  const Layer16 layer(random, in, out, 1, data);
  const nc_conv_i16 conv = layer.View();
  const auto x = RandomInts(random, positions * in, data), r = RandomInts(random, positions * out, data);
  for (int32_t epilogue : {NC_EPILOGUE_NONE, NC_EPILOGUE_LEAKY, NC_EPILOGUE_ADD}) {
    std::vector<int16_t> y(positions * out, 77);
    nc_conv1x1_i16(k, &conv, x.data(), in, y.data(), out, r.data(), out, positions, epilogue);
    const auto name = Name(k, "1x1", {in, out, positions, size_t(epilogue), size_t(data)});
    const auto want = SpecConv(layer, x, 1, positions, 1, &r, epilogue);
    tally.Same(name, y.data(), want.data(), want.size() * 2);
    // In place on its own residual.
    if (epilogue == NC_EPILOGUE_ADD) {
      auto trunk = r;
      nc_conv1x1_i16(k, &conv, x.data(), in, trunk.data(), out, trunk.data(), out, positions, epilogue);
      tally.Same(name + " in place", trunk.data(), want.data(), want.size() * 2);
    }
  }
  // Every second column in, every third out; what lies between stays untouched.
  std::vector<int16_t> spread(positions * 2 * in), y(positions * 3 * out, 5), want(positions * 3 * out, 5);
  for (size_t p = 0; p < positions; p++) std::memcpy(&spread[p * 2 * in], &x[p * in], in * 2);
  nc_conv1x1_i16(k, &conv, spread.data(), 2 * in, y.data(), 3 * out, nullptr, 0, positions, NC_EPILOGUE_NONE);
  nc_conv1x1_i16(Scalar(), &conv, spread.data(), 2 * in, want.data(), 3 * out, nullptr, 0, positions,
                 NC_EPILOGUE_NONE);
  tally.Same(Name(k, "1x1 strided", {in, out, positions}), y.data(), want.data(), want.size() * 2);
}

void FusedPair(const nc_kernels* k, size_t in, size_t hidden, size_t positions, Data data, Tally& tally) {
  Random random(in * 13 + hidden + positions);
  const Layer16 a(random, in, hidden, 1, data), b(random, hidden, in, 1, data);
  const nc_conv_i16 first = a.View(), second = b.View();
  const auto x = RandomInts(random, positions * in, data);
  const auto mid = SpecConv(a, x, 1, positions, 1, nullptr, NC_EPILOGUE_LEAKY);
  const auto want = SpecConv(b, mid, 1, positions, 1, &x, NC_EPILOGUE_ADD);
  std::vector<int16_t> y(positions * in);
  nc_pair1x1_i16(k, &first, &second, x.data(), in, x.data(), in, y.data(), in, positions);
  tally.Same(Name(k, "pair", {in, hidden, positions}), y.data(), want.data(), want.size() * 2);
  y = x;
  nc_pair1x1_i16(k, &first, &second, y.data(), in, y.data(), in, y.data(), in, positions);
  tally.Same(Name(k, "pair in place", {in, hidden, positions}), y.data(), want.data(), want.size() * 2);
}

void Full3x3(const nc_kernels* k, size_t in, size_t out, size_t height, size_t width, Data data, Tally& tally) {
  Random random(in * 7 + out * 3 + height * 100 + width);
  const Layer16 layer(random, in, out, 9, data);
  const nc_conv_i16 conv = layer.View();
  const auto x = RandomInts(random, height * width * in, data);
  for (size_t stride : {1, 2}) {
    const size_t rows = (height + stride - 1) / stride, columns = (width + stride - 1) / stride;
    const auto r = RandomInts(random, rows * columns * out, data);
    for (int32_t epilogue : {NC_EPILOGUE_NONE, NC_EPILOGUE_LEAKY, NC_EPILOGUE_ADD}) {
      std::vector<int16_t> y(rows * columns * out);
      nc_conv3x3_i16(k, &conv, x.data(), height, width, stride, y.data(), r.data(), 0, rows / 2, epilogue);
      nc_conv3x3_i16(k, &conv, x.data(), height, width, stride, y.data(), r.data(), rows / 2, rows, epilogue);
      const auto want = SpecConv(layer, x, height, width, stride, &r, epilogue);
      tally.Same(Name(k, "3x3", {in, out, height, width, stride, size_t(epilogue)}), y.data(), want.data(),
                 want.size() * 2);
    }
  }
}

void Depthwise(const nc_kernels* k, size_t channels, size_t height, size_t width, Data data, Tally& tally) {
  Random random(channels * 5 + height * 100 + width);
  const Layer16 layer(random, 1, channels, 9, data, true);
  const nc_depthwise_i16 conv = layer.Depthwise();
  const auto x = RandomInts(random, height * width * channels, data);
  // The spec's words, channel by channel through the full convolution's reference.
  std::vector<int16_t> want(x.size()), leaky(x.size()), plane(height * width);
  for (size_t c = 0; c < channels; c++) {
    Layer16 one(random, 1, 1, 9, Data::kUsual);
    one.weights.assign(layer.weights.begin() + c * 9, layer.weights.begin() + c * 9 + 9);
    one.bias[0] = layer.bias[c];
    one.shift[0] = layer.shift[c];
    for (size_t i = 0; i < plane.size(); i++) plane[i] = x[i * channels + c];
    const auto y = SpecConv(one, plane, height, width, 1, nullptr, NC_EPILOGUE_NONE);
    const auto z = SpecConv(one, plane, height, width, 1, nullptr, NC_EPILOGUE_LEAKY);
    for (size_t i = 0; i < plane.size(); i++) want[i * channels + c] = y[i], leaky[i * channels + c] = z[i];
  }
  std::vector<int16_t> y(x.size());
  k->depthwise_i16(&conv, x.data(), height, width, y.data(), 0, height / 2, NC_EPILOGUE_NONE);
  k->depthwise_i16(&conv, x.data(), height, width, y.data(), height / 2, height, NC_EPILOGUE_NONE);
  tally.Same(Name(k, "depthwise", {channels, height, width}), y.data(), want.data(), want.size() * 2);
  k->depthwise_i16(&conv, x.data(), height, width, y.data(), 0, height, NC_EPILOGUE_LEAKY);
  tally.Same(Name(k, "depthwise leaky", {channels, height, width}), y.data(), leaky.data(), want.size() * 2);
}

void Elementwise(const nc_kernels* k, size_t channels, size_t positions, Data data, Tally& tally) {
  Random random(channels + positions * 1000);
  const nc_kernels* s = Scalar();
  const size_t n = channels * positions;
  const auto x = RandomInts(random, n, data), z = RandomInts(random, n, data), m = RandomInts(random, channels, data);
  std::vector<int16_t> y(n), want(n);
  for (int32_t shift = 1; shift <= 30; shift++) {
    k->scale_i16(x.data(), m.data(), shift, y.data(), positions, channels);
    s->scale_i16(x.data(), m.data(), shift, want.data(), positions, channels);
    tally.Same(Name(k, "scale", {channels, positions, size_t(shift)}), y.data(), want.data(), n * 2);
  }
  k->add_i16(x.data(), z.data(), y.data(), n);
  s->add_i16(x.data(), z.data(), want.data(), n);
  tally.Same(Name(k, "add", {n}), y.data(), want.data(), n * 2);
  k->leaky_i16(x.data(), y.data(), n);
  s->leaky_i16(x.data(), want.data(), n);
  tally.Same(Name(k, "leaky", {n}), y.data(), want.data(), n * 2);
  for (int32_t shift = 0; shift <= 15; shift++) {
    std::vector<uint8_t> a(n), b(n);
    k->to_u8(x.data(), channels, positions, channels, shift, a.data());
    s->to_u8(x.data(), channels, positions, channels, shift, b.data());
    tally.Same(Name(k, "to_u8", {channels, positions, size_t(shift)}), a.data(), b.data(), n);
  }
}

}  // namespace

void CheckFixed(const nc_kernels* k, bool quick, Tally& tally) {
  for (Data data : {Data::kUsual, Data::kExtreme}) {
    for (size_t in : {1, 2, 3, 7, 8, 31, 64, 193})
      for (size_t out : {1, 3, 15, 16, 17, 40})
        for (size_t positions : {1, 2, 5, 7, 12, 23, 97})
          if (!quick || (in + out + positions) % 3 == 0) Pointwise(k, in, out, positions, data, tally);
    Pointwise(k, 192, 192, 100, data, tally);
    for (size_t in : {1, 5, 16, 33})
      for (size_t hidden : {1, 2, 32, 67})
        for (size_t positions : {1, 13, 101}) FusedPair(k, in, hidden, positions, data, tally);
    for (size_t in : {1, 3, 16, 33})
      for (size_t out : {1, 16, 21})
        for (size_t height : {1, 2, 5})
          for (size_t width : {1, 2, 3, 14})
            if (!quick || (in + out + height + width) % 2 == 0) Full3x3(k, in, out, height, width, data, tally);
    Full3x3(k, 16, 16, 2, 203, data, tally);
    for (size_t channels : {1, 7, 8, 16, 31, 32, 57, 192})
      for (size_t height : {1, 2, 3, 5})
        for (size_t width : {1, 2, 3, 9, 41})
          if (!quick || (channels + height + width) % 2 == 0) Depthwise(k, channels, height, width, data, tally);
    for (size_t channels : {1, 3, 8, 24, 33, 192})
      for (size_t positions : {1, 7}) Elementwise(k, channels, positions, data, tally);
  }
}
