// Float kernels of one level against the scalar table. Sums of up to K products of values in [-1, 1] taken in another
// order, or fused, differ by at most about K rounding errors of K: the bound is K * K * 2^-23, and no less than 1e-6.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "support.h"

namespace {

std::string Name(const nc_kernels* k, const char* kernel, std::initializer_list<size_t> sizes) {
  std::string s = std::string(nc_level_name(k->level)) + " " + kernel;
  for (size_t v : sizes) s += " " + std::to_string(v);
  return s;
}

float Bound(size_t terms) {
  const float k = static_cast<float>(terms + 2);
  return std::max(1e-6f, k * k / 8388608.0f);
}

const nc_kernels* Scalar() { return nc_kernels_at(NC_LEVEL_SCALAR); }

void Pointwise(const nc_kernels* k, size_t in, size_t out, size_t positions, Tally& tally) {
  Random random(in * 11 + out + positions);
  const LayerF layer(random, in, out, 1);
  const nc_conv_f32 conv = layer.View();
  const auto x = RandomFloats(random, positions * in), r = RandomFloats(random, positions * out);
  for (int32_t epilogue : {NC_EPILOGUE_NONE, NC_EPILOGUE_LEAKY, NC_EPILOGUE_ADD}) {
    std::vector<float> y(positions * out), want(positions * out);
    nc_conv1x1_f32(k, &conv, x.data(), in, y.data(), out, r.data(), out, positions, epilogue);
    nc_conv1x1_f32(Scalar(), &conv, x.data(), in, want.data(), out, r.data(), out, positions, epilogue);
    tally.Near(Name(k, "float 1x1", {in, out, positions, size_t(epilogue)}), y, want, Bound(in));
    // A position's value must not depend on where its tile begins.
    if (positions > 1) {
      std::vector<float> rest((positions - 1) * out);
      nc_conv1x1_f32(k, &conv, x.data() + in, in, rest.data(), out, r.data() + out, out, positions - 1, epilogue);
      tally.Same(Name(k, "float 1x1 from the second", {in, out, positions}), rest.data(), y.data() + out,
                 rest.size() * 4);
    }
  }
}

void FusedPair(const nc_kernels* k, size_t in, size_t hidden, size_t positions, Tally& tally) {
  Random random(in * 17 + hidden + positions);
  const LayerF a(random, in, hidden, 1), b(random, hidden, in, 1);
  const nc_conv_f32 first = a.View(), second = b.View();
  const auto x = RandomFloats(random, positions * in);
  std::vector<float> mid(positions * hidden), want(positions * in), y(positions * in);
  nc_conv1x1_f32(k, &first, x.data(), in, mid.data(), hidden, nullptr, 0, positions, NC_EPILOGUE_LEAKY);
  nc_conv1x1_f32(k, &second, mid.data(), hidden, want.data(), in, x.data(), in, positions, NC_EPILOGUE_ADD);
  nc_pair1x1_f32(k, &first, &second, x.data(), in, x.data(), in, y.data(), in, positions);
  tally.Same(Name(k, "float pair", {in, hidden, positions}), y.data(), want.data(), y.size() * 4);
}

void Full3x3(const nc_kernels* k, size_t in, size_t out, size_t height, size_t width, Tally& tally) {
  Random random(in * 19 + out + height * 10 + width);
  const LayerF layer(random, in, out, 9);
  const nc_conv_f32 conv = layer.View();
  const auto x = RandomFloats(random, height * width * in);
  for (size_t stride : {1, 2}) {
    const size_t rows = (height + stride - 1) / stride, columns = (width + stride - 1) / stride;
    const auto r = RandomFloats(random, rows * columns * out);
    for (int32_t epilogue : {NC_EPILOGUE_NONE, NC_EPILOGUE_LEAKY, NC_EPILOGUE_ADD}) {
      std::vector<float> y(rows * columns * out), want(y.size());
      nc_conv3x3_f32(k, &conv, x.data(), height, width, stride, y.data(), r.data(), 0, rows, epilogue);
      nc_conv3x3_f32(Scalar(), &conv, x.data(), height, width, stride, want.data(), r.data(), 0, rows, epilogue);
      tally.Near(Name(k, "float 3x3", {in, out, height, width, stride}), y, want, Bound(9 * in));
    }
  }
}

void Depthwise(const nc_kernels* k, size_t channels, size_t height, size_t width, Tally& tally) {
  Random random(channels * 23 + height * 10 + width);
  const LayerF layer(random, 1, channels, 9, true);
  const nc_depthwise_f32 conv = layer.Depthwise();
  const auto x = RandomFloats(random, height * width * channels);
  for (int32_t epilogue : {NC_EPILOGUE_NONE, NC_EPILOGUE_LEAKY}) {
    std::vector<float> y(x.size()), want(x.size());
    k->depthwise_f32(&conv, x.data(), height, width, y.data(), 0, height, epilogue);
    Scalar()->depthwise_f32(&conv, x.data(), height, width, want.data(), 0, height, epilogue);
    tally.Near(Name(k, "float depthwise", {channels, height, width}), y, want, Bound(9));
  }
}

void Elementwise(const nc_kernels* k, size_t channels, size_t positions, Tally& tally) {
  Random random(channels * 29 + positions);
  const size_t n = channels * positions;
  const auto x = RandomFloats(random, n);
  std::vector<float> y(n), want(n);
  k->leaky_f32(x.data(), y.data(), n);
  Scalar()->leaky_f32(x.data(), want.data(), n);
  tally.Same(Name(k, "float leaky", {n}), y.data(), want.data(), n * 4);
  // Values of -20...20: from where all is lost to where nothing is.
  std::vector<float> wide(n), exact(n);
  for (size_t i = 0; i < n; i++) {
    wide[i] = 20 * x[i];
    const double v = wide[i];
    exact[i] = static_cast<float>(0.5 * v * (1 + std::tanh(0.7978845608028654 * (v + 0.044715 * v * v * v))));
  }
  k->gelu_f32(wide.data(), y.data(), n);
  tally.Near(Name(k, "gelu", {n}), y, exact, 4e-6f);
  for (size_t i = 0; i < n; i++) exact[i] = static_cast<float>(std::exp(std::min(5.0 * wide[i], 3.0)));
  for (float& v : wide) v *= 5;
  k->exp_f32(wide.data(), 3, y.data(), n);
  tally.Near(Name(k, "exp", {n}), y, exact, 2e-5f);
}

}  // namespace

void CheckFloat(const nc_kernels* k, bool quick, Tally& tally) {
  for (size_t in : {1, 2, 3, 17, 64, 193})
    for (size_t out : {1, 15, 16, 33})
      for (size_t positions : {1, 3, 6, 13, 97})
        if (!quick || (in + out + positions) % 2 == 0) Pointwise(k, in, out, positions, tally);
  for (size_t in : {1, 19, 32})
    for (size_t hidden : {1, 40})
      for (size_t positions : {1, 13, 101}) FusedPair(k, in, hidden, positions, tally);
  for (size_t in : {1, 3, 16})
    for (size_t out : {1, 16, 21})
      for (size_t height : {1, 2, 5})
        for (size_t width : {1, 2, 14}) Full3x3(k, in, out, height, width, tally);
  for (size_t channels : {1, 7, 16, 31, 192})
    for (size_t height : {1, 2, 5})
      for (size_t width : {1, 2, 3, 41}) Depthwise(k, channels, height, width, tally);
  for (size_t channels : {1, 8, 33})
    for (size_t positions : {1, 7}) Elementwise(k, channels, positions, tally);
}

// Pixel shuffle and unshuffle against the formula of bitstream-spec 6.4, and the fused conversion to bytes.
void CheckMoves(Tally& tally) {
  Random random(4);
  for (size_t k : {2, 8})
    for (size_t channels : {1, 3, 5})
      for (size_t rows : {1, 3})
        for (size_t columns : {1, 4}) {
          const auto x = RandomInts(random, rows * columns * k * k * channels, Data::kUsual);
          std::vector<int16_t> y(x.size()), want(x.size()), back(x.size());
          for (size_t r = 0; r < rows; r++)
            for (size_t s = 0; s < columns; s++)
              for (size_t dy = 0; dy < k; dy++)
                for (size_t dx = 0; dx < k; dx++)
                  for (size_t c = 0; c < channels; c++)
                    want[(r * columns + s) * k * k * channels + (dy * k + dx) * channels + c] =
                        x[((r * k + dy) * columns * k + s * k + dx) * channels + c];
          nc_unshuffle(x.data(), y.data(), 2, rows, columns, channels, k);
          tally.Same("unshuffle", y.data(), want.data(), x.size() * 2);
          nc_shuffle(y.data(), back.data(), 2, rows, columns, channels, k);
          tally.Same("shuffle", back.data(), x.data(), x.size() * 2);
        }
  for (int32_t level = 0; level < NC_LEVELS; level++) {
    const nc_kernels* k = nc_kernels_at(level);
    if (k == nullptr) continue;
    for (size_t channels : {1, 3, 4})
      for (size_t width : {1, 7, 8, 13, 24})
        for (size_t height : {1, 8, 11}) {
          const size_t rows = (height + 7) / 8, columns = (width + 7) / 8, stride = width * channels + 5;
          const auto x = RandomInts(random, rows * columns * 64 * channels, Data::kUsual);
          std::vector<int16_t> flat(x.size());
          nc_shuffle(x.data(), flat.data(), 2, rows, columns, channels, 8);
          std::vector<uint8_t> out(stride * height, 9), want(stride * height, 9);
          for (size_t r = 0; r < height; r++)
            for (size_t i = 0; i < width * channels; i++)
              want[r * stride + i] =
                  static_cast<uint8_t>(std::clamp((flat[r * columns * 8 * channels + i] + 32) >> 6, 0, 255));
          nc_shuffle8_u8(k, x.data(), columns, channels, 6, out.data(), stride, width, 0, height);
          tally.Same(Name(k, "shuffle8 to bytes", {channels, width, height}), out.data(), want.data(), out.size());
        }
  }
}
