// The Autograd target's kernels of one level against the scalar table. Floats: sums in another order or fused, so
// bounds as in float.cpp, times what gradients with many terms need.
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>

#include "planes.h"
#include "support.h"

namespace {

// Planes in the layout of planes.h.
struct Planes {
  size_t channels, height, width, pitch, stride;
  std::vector<float> memory;
  float* at;

  Planes(size_t channels, size_t height, size_t width, float fill = 0)
      : channels(channels), height(height), width(width), pitch((width + 15) / 16 * 16 + 16),
        stride((height + 4) * pitch), memory(4 * pitch + channels * stride + 32, fill) {
    const size_t misplaced = reinterpret_cast<uintptr_t>(memory.data()) / sizeof(float) % 16;
    at = memory.data() + (16 - misplaced) % 16 + 4 * pitch + 16;
  }
  Planes(const Planes&) = delete;

  void Fill(Random& random) {
    for (size_t c = 0; c < channels; c++)
      for (size_t r = 0; r < height; r++)
        for (size_t x = 0; x < width; x++) at[c * stride + r * pitch + x] = random.Unit();
  }
  std::vector<float> Elements() const {
    std::vector<float> all;
    for (size_t c = 0; c < channels; c++)
      for (size_t r = 0; r < height; r++)
        all.insert(all.end(), at + c * stride + r * pitch, at + c * stride + r * pitch + width);
    return all;
  }
};

std::vector<float> Floats(const std::vector<double>& v) { return std::vector<float>(v.begin(), v.end()); }

// Runs `work` with both tables, which returns what to compare.
void Compare(const nc_planes* k, const char* name, size_t height, size_t width, float bound, Tally& tally,
             const std::function<std::vector<float>(const nc_planes*)>& work) {
  const std::string what = std::string(nc_level_name(k->level)) + " planes " + name + " " + std::to_string(height) +
                           " " + std::to_string(width);
  tally.Near(what, work(k), work(nc_planes_at(NC_LEVEL_SCALAR)), bound);
}

void Append(std::vector<float>& all, const std::vector<float>& more) { all.insert(all.end(), more.begin(), more.end()); }

void CheckSize(const nc_planes* k, size_t height, size_t width, Tally& tally) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const size_t half_height = (height + 1) / 2, half_width = (width + 1) / 2, n = height * width;
  const float sums = 1e-5f + 1e-6f * static_cast<float>(n);
  Random random(height * 1000 + width);
  Planes x(3, height, width), t(3, height, width), g(3, height, width, nan), small(1, half_height, half_width);
  x.Fill(random);
  t.Fill(random);
  g.Fill(random);
  small.Fill(random);
  const auto w = RandomFloats(random, 3 * 27), bias = RandomFloats(random, 3);

  for (int32_t mode : {NC_ROUND_SOFT, NC_ROUND_HARD, NC_ROUND_PLAIN})
    Compare(k, "soft round", height, width, 2e-5f, tally, [&](const nc_planes* p) {
      Planes y(1, height, width), slope(1, height, width);
      const nc_soft_round o = {mode, 2, 0.3f, 0.2f, 7, 9};
      p->soft_round(&o, x.at, y.at, slope.at, x.pitch, width, height, 5);
      auto all = y.Elements();
      Append(all, slope.Elements());
      return all;
    });
  for (bool accumulate : {false, true}) {
    Compare(k, "elementwise", height, width, sums, tally, [&](const nc_planes* p) {
      Planes y(1, height, width), z(1, height, width);
      p->add(x.at, t.at, y.at, x.pitch, width, height);
      std::memcpy(z.at, x.at, x.pitch * height * sizeof(float));
      p->multiply(x.at, g.at, z.at, x.pitch, width, height, accumulate);
      p->pass_on(g.at, y.at, x.pitch, width, height, accumulate);
      const double error = p->squared_error(x.at, accumulate ? t.at : nullptr, t.at + t.stride, -0.5f, 0.7f, y.at, z.at,
                                            0.5f, x.pitch, width, height, accumulate, true);
      auto all = y.Elements();
      Append(all, z.Elements());
      all.push_back(static_cast<float>(error));
      return all;
    });
    Compare(k, "nearest", height, width, 1e-6f, tally, [&](const nc_planes* p) {
      Planes y(1, height, width), gx(1, half_height, half_width);
      p->nearest(small.at, small.pitch, y.at, y.pitch, width, 0, height);
      p->nearest_back(g.at, g.pitch, height, width, gx.at, gx.pitch, 0, half_height, accumulate);
      auto all = y.Elements();
      Append(all, gx.Elements());
      return all;
    });
    for (size_t m = 1; m <= NC_MAX_TAPS; m++)
      Compare(k, "upsample", height, width, sums * 4, tally, [&](const nc_planes* p) {
        Planes y(1, height, width), gx(1, half_height, half_width);
        double gw[NC_MAX_TAPS] = {};
        p->upsample(w.data(), m, small.at, half_height, half_width, small.pitch, y.at, height, width, y.pitch, 0, height);
        p->upsample_back(w.data(), m, small.at, gx.at, half_height, half_width, small.pitch, g.at, height, width,
                         g.pitch, 0, half_height, gw, accumulate);
        auto all = y.Elements();
        Append(all, gx.Elements());
        Append(all, Floats(std::vector<double>(gw, gw + m)));
        return all;
      });
    for (size_t q = 1; q <= NC_MAX_SYMMETRIC; q++)
      Compare(k, "symmetric", height, width, sums * 4, tally, [&](const nc_planes* p) {
        Planes y(1, height, width), gx(1, height, width);
        double gw[NC_MAX_SYMMETRIC] = {};
        p->symmetric(w.data(), q, x.at, y.at, height, width, x.pitch, 0, height);
        p->symmetric_back(w.data(), q, x.at, gx.at, g.at, height, width, x.pitch, 0, height, gw, accumulate);
        auto all = y.Elements();
        Append(all, gx.Elements());
        Append(all, Floats(std::vector<double>(gw, gw + q)));
        return all;
      });
    for (size_t channels = 1; channels <= 3; channels++)
      Compare(k, "conv3", height, width, sums * 4, tally, [&](const nc_planes* p) {
        Planes y(3, height, width), gx(3, height, width);
        std::vector<double> gw(channels * channels * 9), gb(channels);
        p->conv3(w.data(), bias.data(), channels, x.at, x.stride, y.at, y.stride, height, width, x.pitch, 0, height,
                 true, false);
        p->conv3_back(w.data(), channels, x.at, gx.at, x.stride, y.at, g.at, y.stride, height, width, x.pitch, 0, height,
                      true, false, gw.data(), gb.data(), accumulate);
        auto all = y.Elements();
        Append(all, gx.Elements());
        Append(all, Floats(gw));
        Append(all, Floats(gb));
        return all;
      });
  }
  for (size_t side : {1, 3, 5})
    for (size_t outputs : {1, 3, 13, 20}) {
      const size_t inputs = 3;
      const auto weights = RandomFloats(random, inputs * outputs * side * side), offsets = RandomFloats(random, outputs);
      Planes g(outputs, height, width);
      g.Fill(random);
      Compare(k, "convolve", height, width, sums * 4, tally, [&](const nc_planes* p) {
        std::vector<float> packed(nc_convolve_packed_count(inputs, outputs, side)),
            adjoint(nc_convolve_packed_count(outputs, inputs, side));
        p->convolve_pack(weights.data(), inputs, outputs, side, false, packed.data());
        p->convolve_pack(weights.data(), inputs, outputs, side, true, adjoint.data());
        Planes y(outputs, height, width), gx(inputs, height, width);
        p->convolve(packed.data(), offsets.data(), inputs, outputs, side, x.at, x.stride, y.at, y.stride, width, x.pitch, 0,
                    height, false);
        p->convolve(packed.data(), nullptr, inputs, outputs, side, x.at, x.stride, y.at, y.stride, width, x.pitch, 0, height / 2,
                    true);
        p->convolve(adjoint.data(), nullptr, outputs, inputs, side, g.at, g.stride, gx.at, gx.stride, width, x.pitch, 0, height,
                    false);
        std::vector<double> gw(weights.size()), gb(outputs);
        p->convolve_weights(inputs, outputs, side, x.at, x.stride, g.at, g.stride, width, x.pitch, 0, height, gw.data(), gb.data());
        auto all = y.Elements();
        Append(all, gx.Elements());
        Append(all, Floats(gw));
        Append(all, Floats(gb));
        return all;
      });
    }
  for (bool accumulate : {false, true})
    Compare(k, "channel norm", height, width, sums * 8, tally, [&](const nc_planes* p) {
      Planes y(3, height, width), gx(3, height, width);
      std::vector<double> parts(6);
      p->channel_norm(w.data(), bias.data(), x.at, y.at, x.stride, x.pitch, 3, width, 0, height);
      p->channel_norm_back(w.data(), x.at, gx.at, g.at, x.stride, x.pitch, 3, width, 0, height, parts.data(), parts.data() + 3,
                           accumulate);
      p->scaled_sum(0.3f, t.at, x.at, y.at + y.stride, x.pitch, width, height);
      parts.push_back(p->scaled_sum_back(0.3f, x.at, g.at, gx.at, x.pitch, width, height, accumulate));
      auto all = y.Elements();
      Append(all, gx.Elements());
      Append(all, Floats(parts));
      return all;
    });
  for (size_t s = 1; s <= NC_MAX_SHUFFLE; s++)
    for (int32_t activation = NC_ACTIVATION_NONE; activation <= NC_ACTIVATION_UNIT; activation++) {
      Planes u(2 * s * s, height, width), gy(2, height * s, width * s);
      u.Fill(random);
      gy.Fill(random);
      Compare(k, "shuffle", height, width, 1e-5f, tally, [&](const nc_planes* p) {
        Planes y(2, height * s, width * s), gu(2 * s * s, height, width), back(2 * s * s, height, width);
        p->shuffle(s, activation, u.at, u.stride, u.pitch, y.at, y.stride, y.pitch, 2, width, 0, height);
        for (size_t c = 0; c < gu.channels; c++)
          std::memcpy(gu.at + c * gu.stride, u.at + c * u.stride, u.pitch * height * sizeof(float));
        p->shuffle_back(s, activation, gu.at, gu.stride, gu.pitch, gy.at, gy.stride, gy.pitch, 2, width, 0, height);
        for (bool accumulate : {false, true})
          p->unshuffle(s, gy.at, gy.stride, gy.pitch, back.at, back.stride, back.pitch, 2, width, 0, height, accumulate);
        auto all = y.Elements();
        Append(all, gu.Elements());
        Append(all, back.Elements());
        return all;
      });
    }
  Compare(k, "adam", height, width, 1e-5f, tally, [&](const nc_planes* p) {
    Planes value(1, height, width), m(1, height, width), v(1, height, width);
    for (int i = 0; i < 3; i++)
      p->adam(value.at, g.at, m.at, v.at, g.pitch, width, height, 0.9f, 0.99f, 0.1f, 2, 1e-4f, 0.99f);
    return value.Elements();
  });
}

void CheckDense(const nc_planes* k, size_t rows, size_t inner, size_t columns, Tally& tally) {
  for (bool transposed : {false, true})
    Compare(k, "matmul", rows, columns, 1e-5f, tally, [&](const nc_planes* p) {
      Random same(rows + columns);
      Planes a(1, transposed ? inner : rows, transposed ? rows : inner), b(1, inner, columns), c(1, rows, columns);
      a.Fill(same);
      b.Fill(same);
      c.Fill(same);
      p->matmul(a.at, a.pitch, transposed, b.at, b.pitch, c.at, c.pitch, rows, inner, columns, 0.5f, 0.25f);
      return c.Elements();
    });
  if (rows <= columns)
    Compare(k, "orthonormalize", rows, columns, 1e-3f, tally, [&](const nc_planes* p) {
      Random same(rows * columns);
      Planes q(1, rows, columns);
      q.Fill(same);
      // A first part far from singular, so that both levels end near each other.
      for (size_t i = 0; i < rows; i++) q.at[i * q.pitch + i] += 4;
      p->orthonormalize(q.at, q.pitch, rows, columns);
      return q.Elements();
    });
}

}  // namespace

void CheckPlanes(int32_t level, bool quick, Tally& tally) {
  const nc_planes* k = nc_planes_at(level);
  const std::initializer_list<size_t> widths = {1, 2, 7, 16, 33, 70}, heights = {1, 2, 5, 18};
  for (size_t width : widths)
    for (size_t height : heights)
      if (!quick || (width + height) % 2 == 1 || width == 1) CheckSize(k, height, width, tally);
  for (size_t rows : {1, 3, 6, 20})
    for (size_t columns : {1, 5, 20, 33}) CheckDense(k, rows, 7, columns, tally);
}

// The last upsampling stage of HNeRV with 0.35M parameters, and what it does to a picture of 128x1280.
std::vector<TileLine> PlaneLines() {
  constexpr size_t kInputs = 16, kOutputs = 52, kSide = 5, kHeight = 64, kWidth = 640;
  struct Stage {
    Planes x{kInputs, kHeight, kWidth}, u{kOutputs, kHeight, kWidth}, y{kOutputs / 4, 2 * kHeight, 2 * kWidth};
    std::vector<float> packed = std::vector<float>(nc_convolve_packed_count(kInputs, kOutputs, kSide), 0.01f);
    std::vector<float> adjoint = std::vector<float>(nc_convolve_packed_count(kOutputs, kInputs, kSide), 0.01f);
  };
  auto s = std::make_shared<Stage>();
  const double macs = double(kInputs) * kOutputs * kSide * kSide * kHeight * kWidth;
  return {
      {"convolve 16-52 5x5 64x640", macs,
       [=](int32_t level, size_t b) {
         nc_planes_at(level)->convolve(s->packed.data(), nullptr, kInputs, kOutputs, kSide, s->x.at, s->x.stride, s->u.at, s->u.stride,
                                       kWidth, s->x.pitch, 4 * b, 4 * b + 4, false);
       }},
      {"  towards its input", macs,
       [=](int32_t level, size_t b) {
         nc_planes_at(level)->convolve(s->adjoint.data(), nullptr, kOutputs, kInputs, kSide, s->u.at, s->u.stride, s->x.at, s->x.stride,
                                       kWidth, s->x.pitch, 4 * b, 4 * b + 4, false);
       }},
      {"  towards its weights", macs,
       [=](int32_t level, size_t b) {
         std::vector<double> gw(kInputs * kOutputs * kSide * kSide), gb(kOutputs);
         nc_planes_at(level)->convolve_weights(kInputs, kOutputs, kSide, s->x.at, s->x.stride, s->u.at, s->u.stride, kWidth,
                                               s->x.pitch, 4 * b, 4 * b + 4, gw.data(), gb.data());
       }},
      {"shuffle 2 with GELU", double(kOutputs) * kHeight * kWidth,
       [=](int32_t level, size_t b) {
         nc_planes_at(level)->shuffle(2, NC_ACTIVATION_GELU, s->u.at, s->u.stride, s->u.pitch, s->y.at, s->y.stride, s->y.pitch,
                                      kOutputs / 4, kWidth, 4 * b, 4 * b + 4);
       }},
      {"shuffle 2 with GELU, back", double(kOutputs) * kHeight * kWidth,
       [=](int32_t level, size_t b) {
         nc_planes_at(level)->shuffle_back(2, NC_ACTIVATION_GELU, s->u.at, s->u.stride, s->u.pitch, s->y.at, s->y.stride,
                                           s->y.pitch, kOutputs / 4, kWidth, 4 * b, 4 * b + 4);
       }},
  };
}
