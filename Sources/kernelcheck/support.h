// Random data, packed layers and the tally of comparisons.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "kernels.h"

// xorshift64*: the same data on every machine.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2654435769u + 88172645463325252u) {}
  uint64_t Next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 2685821657736338717u;
  }
  // Uniform in [low, high].
  int64_t In(int64_t low, int64_t high) {
    return low + static_cast<int64_t>((Next() >> 11) % static_cast<uint64_t>(high - low + 1));
  }
  float Unit() { return static_cast<float>(In(-1000000, 1000000)) * 1e-6f; }

 private:
  uint64_t state_;
};

enum class Data { kUsual, kExtreme };

std::vector<int16_t> RandomInts(Random& random, size_t count, Data data);
std::vector<float> RandomFloats(Random& random, size_t count);

// Weights [out][tap][in] with each output at the bound of bitstream-spec 6.1 (kExtreme) or well within it (kUsual).
struct Layer16 {
  Layer16(Random& random, size_t in, size_t out, size_t taps, Data data, bool depthwise = false);
  size_t in, out, taps;
  std::vector<int16_t> weights, packed;
  std::vector<int32_t> bias, shift;
  nc_conv_i16 View() const;
  nc_depthwise_i16 Depthwise() const;  // of a layer made with `depthwise`: in = 1, taps = 9, `packed` is [tap][channel]
};

struct LayerF {
  LayerF(Random& random, size_t in, size_t out, size_t taps, bool depthwise = false);
  size_t in, out, taps;
  std::vector<float> weights, packed, bias;
  nc_conv_f32 View() const;
  nc_depthwise_f32 Depthwise() const;
};

// Bitstream-spec 6.1 and 6.2 word for word, in 64 bits, from unpacked weights. taps is 1 or 9.
std::vector<int16_t> SpecConv(const Layer16& layer, const std::vector<int16_t>& x, size_t height, size_t width,
                              size_t stride, const std::vector<int16_t>* residual, int32_t epilogue);

struct Tally {
  size_t compared = 0, wrong = 0;
  void Same(const std::string& what, const void* a, const void* b, size_t bytes);
  void Near(const std::string& what, const std::vector<float>& a, const std::vector<float>& b, float bound);
  void Fail(const std::string& what);
};

void CheckFixed(const nc_kernels* k, bool quick, Tally& tally);
void CheckFloat(const nc_kernels* k, bool quick, Tally& tally);
void CheckPlanes(int32_t level, bool quick, Tally& tally);
void CheckMoves(Tally& tally);
void CheckOverfit(int32_t level, bool quick, Tally& tally);
void CheckTiles(int32_t level, bool quick, Tally& tally);
void CheckKV(int32_t level, bool quick, Tally& tally);
void CheckNerv(int32_t level, bool quick, Tally& tally);

// A line of the table of times: `work` does band b of 16 at a level.
struct TileLine {
  const char* name;
  double macs;
  std::function<void(int32_t level, size_t band)> work;
};
std::vector<TileLine> TileLines();
std::vector<TileLine> PlaneLines();
std::vector<TileLine> NervLines();  // of integers
void PrintTimes(const char* only);  // nullptr, or part of the kernel's name
