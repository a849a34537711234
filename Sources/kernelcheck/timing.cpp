// The table of times: one thread, the sizes that the image codec runs at.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "overfit.h"
#include "support.h"

namespace {

constexpr size_t kBands = 16;

// Nanoseconds for all bands of a picture: each band is timed by itself, pass after pass, and its fastest pass counts,
// so that what else runs on the machine hardly shows while caches see whole pictures go by.
double Best(const std::function<void(size_t)>& work) {
  using Clock = std::chrono::steady_clock;
  double best[kBands];
  std::fill_n(best, kBands, 1e18);
  const auto until = Clock::now() + std::chrono::milliseconds(250);
  for (int pass = 0; pass < 3 || Clock::now() < until; pass++)
    for (size_t band = 0; band < kBands; band++) {
      const auto t = Clock::now();
      work(band);
      best[band] = std::min(best[band], std::chrono::duration<double, std::nano>(Clock::now() - t).count());
    }
  double sum = 0;
  for (double b : best) sum += b;
  return sum;
}

// Values at a 64-byte boundary, as tensors have them.
template <class T>
class Aligned {
 public:
  explicit Aligned(const std::vector<T>& values)
      : values_(static_cast<T*>(std::aligned_alloc(64, (values.size() * sizeof(T) + 63) / 64 * 64)), std::free) {
    std::copy(values.begin(), values.end(), values_.get());
  }
  T* data() const { return values_.get(); }

 private:
  std::unique_ptr<T, decltype(&std::free)> values_;
};

struct Line {
  const char* name;
  double macs;
  std::function<void(const nc_kernels*, size_t band)> fixed, real;
};

void Print(const char* only, const Line& line) {
  if (only != nullptr && std::strstr(line.name, only) == nullptr) return;
  double scalar_fixed = 0, scalar_real = 0;
  for (int32_t level = 0; level < NC_LEVELS; level++) {
    const nc_kernels* k = nc_kernels_at(level);
    if (k == nullptr) continue;
    const double f = Best([&](size_t band) { line.fixed(k, band); });
    const double r = line.real ? Best([&](size_t band) { line.real(k, band); }) : 0;
    if (level == NC_LEVEL_SCALAR) scalar_fixed = f, scalar_real = r;
    std::printf("%-26s %-7s %11.0f %8.2f %8.1f", line.name, nc_level_name(level), f, line.macs / f, scalar_fixed / f);
    if (line.real)
      std::printf(" %11.0f %8.2f %8.1f %8.2f", r, line.macs / r, scalar_real / r, r / f);
    std::printf("\n");
  }
}

// A line of float kernels alone.
void PrintReal(const char* only, const TileLine& line) {
  if (only != nullptr && std::strstr(line.name, only) == nullptr) return;
  double scalar = 0;
  for (int32_t level = 0; level < NC_LEVELS; level++) {
    if (nc_kernels_at(level) == nullptr) continue;
    const double t = Best([&](size_t band) { line.work(level, band); });
    if (level == NC_LEVEL_SCALAR) scalar = t;
    std::printf("%-26s %-7s %30s %11.0f %8.2f %8.1f\n", line.name, nc_level_name(level), "", t, line.macs / t, scalar / t);
  }
}

}  // namespace

void PrintTimes(const char* only) {
  Random random(1);
  std::printf("%-26s %-7s %11s %8s %8s %11s %8s %8s %8s\n", "kernel, one thread", "level", "fixed ns", "GMAC/s",
              "x scalar", "float ns", "GMAC/s", "x scalar", "float/fx");
  const size_t height = 64, width = 96, c = 192, n = height * width;
  const Aligned<int16_t> x(RandomInts(random, n * c, Data::kUsual)), y(RandomInts(random, n * c, Data::kUsual));
  const Aligned<float> xf(RandomFloats(random, n * c)), yf(RandomFloats(random, n * c));
  std::vector<uint8_t> bytes(n * c);

  const Layer16 point(random, c, c, 1, Data::kUsual);
  const LayerF point_f(random, c, c, 1);
  const nc_conv_i16 pc = point.View();
  const nc_conv_f32 pf = point_f.View();
  const size_t part = n / kBands, rows = height / kBands;  // positions and rows of a band
  auto at = [&](auto& v, size_t band) { return v.data() + band * part * c; };

  Print(only, {"1x1 192-192 64x96", double(n) * c * c,
         [&](auto* k, size_t b) { nc_conv1x1_i16(k, &pc, at(x, b), c, at(y, b), c, nullptr, 0, part, NC_EPILOGUE_LEAKY); },
         [&](auto* k, size_t b) { nc_conv1x1_f32(k, &pf, at(xf, b), c, at(yf, b), c, nullptr, 0, part, NC_EPILOGUE_LEAKY); }});

  const Layer16 up(random, c, 2 * c, 1, Data::kUsual), down(random, 2 * c, c, 1, Data::kUsual);
  const LayerF up_f(random, c, 2 * c, 1), down_f(random, 2 * c, c, 1);
  const nc_conv_i16 uc = up.View(), dc = down.View();
  const nc_conv_f32 uf = up_f.View(), df = down_f.View();
  Print(only, {"pair 192-384-192 64x96", double(n) * c * c * 4,
         [&](auto* k, size_t b) { nc_pair1x1_i16(k, &uc, &dc, at(x, b), c, at(x, b), c, at(y, b), c, part); },
         [&](auto* k, size_t b) { nc_pair1x1_f32(k, &uf, &df, at(xf, b), c, at(xf, b), c, at(yf, b), c, part); }});

  const Layer16 depth(random, 1, c, 9, Data::kUsual, true);
  const LayerF depth_f(random, 1, c, 9, true);
  const nc_depthwise_i16 wc = depth.Depthwise();
  const nc_depthwise_f32 wf = depth_f.Depthwise();
  Print(only, {"depthwise 192 64x96", double(n) * c * 9,
         [&](auto* k, size_t b) {
           k->depthwise_i16(&wc, x.data(), height, width, y.data(), b * rows, (b + 1) * rows, NC_EPILOGUE_LEAKY);
         },
         [&](auto* k, size_t b) {
           k->depthwise_f32(&wf, xf.data(), height, width, yf.data(), b * rows, (b + 1) * rows, NC_EPILOGUE_LEAKY);
         }});

  const Layer16 full(random, 64, 64, 9, Data::kUsual);
  const LayerF full_f(random, 64, 64, 9);
  const nc_conv_i16 fc = full.View();
  const nc_conv_f32 ff = full_f.View();
  Print(only, {"3x3 64-64 128x128", 128.0 * 128 * 64 * 64 * 9,
         [&](auto* k, size_t b) {
           nc_conv3x3_i16(k, &fc, x.data(), 128, 128, 1, y.data(), nullptr, 8 * b, 8 * b + 8, NC_EPILOGUE_LEAKY);
         },
         [&](auto* k, size_t b) {
           nc_conv3x3_f32(k, &ff, xf.data(), 128, 128, 1, yf.data(), nullptr, 8 * b, 8 * b + 8, NC_EPILOGUE_LEAKY);
         }});

  // Hidden layer of the overfitted codec's entropy model, in runs of 128 positions.
  const size_t channels = 20, run = 128;
  const std::vector<int16_t> ow(channels * channels, 9);
  const std::vector<int32_t> zero(channels, 0), eight(channels, 8);
  const nc_overfit_layer hidden = {int32_t(channels), int32_t(channels), ow.data(), zero.data(), eight.data()};
  Print(only, {"overfit 20-20 128x48", double(run) * 48 * channels * channels,
         [&](auto* k, size_t b) {
           const int16_t* in[20];
           int16_t* out[20];
           for (size_t i = 0; i < channels; i++)
             in[i] = x.data() + (b * 20 + i) * 160, out[i] = const_cast<int16_t*>(y.data()) + (b * 20 + i) * 160;
           for (int n = 0; n < 3; n++) nc_overfit_linear_at(k->level)(&hidden, in, out, run, 1);
         }, nullptr});

  const auto m = RandomInts(random, c, Data::kUsual);
  Print(only, {"scale 192 64x96", double(n) * c,
         [&](auto* k, size_t b) { k->scale_i16(at(x, b), m.data(), 14, at(y, b), part, c); }, nullptr});
  Print(only, {"shuffle8 to bytes 512x768", double(n) * c,
         [&](auto* k, size_t b) { nc_shuffle8_u8(k, x.data(), 96, 3, 5, bytes.data(), 768 * 3, 768, 32 * b, 32 * b + 32); }, nullptr});

  for (const TileLine& line : NervLines())
    Print(only, {line.name, line.macs, [&](auto* k, size_t b) { line.work(k->level, b); }, nullptr});
  for (const TileLine& line : TileLines()) PrintReal(only, line);
  for (const TileLine& line : PlaneLines()) PrintReal(only, line);
}
