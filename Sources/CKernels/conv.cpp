// Convolution as a product over row pointers: a block of positions by 16 output channels stays in registers while the
// inputs stream by. One source for both element types and every level.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "conv.cpp"
#include "targets.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "internal.h"

HWY_BEFORE_NAMESPACE();
namespace nc {
namespace HWY_NAMESPACE {
#if HWY_TARGET != HWY_EMU128 && HWY_TARGET != HWY_SCALAR
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// Positions per register block: accumulators, weights and one broadcast value fill the register file.
#if HWY_TARGET <= HWY_AVX3
constexpr size_t kRows = 12;  // 12 x 1 accumulators of 32
#elif HWY_TARGET == HWY_AVX2
constexpr size_t kRows = 6;  // 6 x 2 accumulators of 16
#elif HWY_ARCH_ARM
constexpr size_t kRows = 3;  // 3 x 4 accumulators, doubled for int16, of 32
#else
constexpr size_t kRows = 2;  // 2 x 4 accumulators of 16
#endif

using D32 = hn::CappedTag<int32_t, NC_CHANNEL_BLOCK>;
using DF = hn::Rebind<float, D32>;
using V32 = hn::Vec<D32>;
using VF = hn::Vec<DF>;
constexpr size_t kLanes = hn::MaxLanes(D32());
constexpr size_t kVectors = NC_CHANNEL_BLOCK / kLanes;

// A pair of int16 as the int32 with the same bytes in memory, to be broadcast.
HWY_INLINE int32_t LoadPair(const int16_t* p) {
  int32_t pair;
  std::memcpy(&pair, p, sizeof(pair));
  return pair;
}

// sat16((a + bias) >> shift), epilogue, store of the first `valid` channels of the block.
template <size_t kP>
HWY_INLINE void Finish16(V32 (&acc)[kP][kVectors], const int32_t* bias, const int32_t* shift, int16_t* const* out,
                         const int16_t* const* residual, size_t first, size_t valid, int32_t epilogue) {
  const D32 d;
  const hn::Rebind<int16_t, D32> dh;
  HWY_UNROLL(4)  // or the accumulators would live in memory
  for (size_t v = 0; v < kVectors; v++) {
    if (v * kLanes >= valid) continue;
    const size_t n = valid - v * kLanes < kLanes ? valid - v * kLanes : kLanes;
    const auto b = hn::LoadU(d, bias + v * kLanes);
    const auto s = hn::LoadU(d, shift + v * kLanes);
    HWY_UNROLL(12)
    for (size_t p = 0; p < kP; p++) {
      const size_t at = first + v * kLanes;
      auto y = hn::DemoteTo(dh, (acc[p][v] + b) >> s);
      if (epilogue == NC_EPILOGUE_LEAKY) y = hn::Max(y, hn::ShiftRight<2>(y));
      if (HWY_LIKELY(n == kLanes)) {
        if (epilogue == NC_EPILOGUE_ADD) y = hn::SaturatedAdd(hn::LoadU(dh, residual[p] + at), y);
        hn::StoreU(y, dh, out[p] + at);
      } else {
        HWY_ALIGN int16_t part[kLanes] = {};
        if (epilogue == NC_EPILOGUE_ADD) {
          std::memcpy(part, residual[p] + at, n * sizeof(int16_t));
          y = hn::SaturatedAdd(hn::Load(dh, part), y);
        }
        hn::Store(y, dh, part);
        std::memcpy(out[p] + at, part, n * sizeof(int16_t));
      }
    }
  }
}

template <size_t kP>
HWY_NOINLINE void Block16(const nc_conv_i16* conv, const int16_t* HWY_RESTRICT w, const int16_t* const* rows,
                          int16_t* const* out, const int16_t* const* residual, size_t first, size_t valid,
                          int32_t epilogue) {
  const D32 d;
  const hn::Repartition<int16_t, D32> d16;
  const size_t taps = conv->taps, pairs = conv->in_channels / 2;
  const bool odd = conv->in_channels % 2 != 0;
  V32 acc[kP][kVectors], acc1[kP][kVectors];  // acc1: the second sum of targets that keep two; dead elsewhere
  HWY_UNROLL(12)
  for (size_t p = 0; p < kP; p++) {
    HWY_UNROLL(4)
    for (size_t v = 0; v < kVectors; v++) acc[p][v] = acc1[p][v] = hn::Zero(d);
  }
  for (size_t t = 0; t < taps; t++) {
    const int16_t* a[kP];
    HWY_UNROLL(12)
    for (size_t p = 0; p < kP; p++) a[p] = rows[p * taps + t];
    for (size_t k = 0; k < pairs; k++) {
      hn::Vec<decltype(d16)> b[kVectors];
      HWY_UNROLL(4)
      for (size_t v = 0; v < kVectors; v++) b[v] = hn::LoadU(d16, w + 2 * kLanes * v);
      w += 2 * NC_CHANNEL_BLOCK;
      HWY_UNROLL(12)
      for (size_t p = 0; p < kP; p++) {
        const auto x = hn::BitCast(d16, hn::Set(d, LoadPair(a[p] + 2 * k)));
        HWY_UNROLL(4)
        for (size_t v = 0; v < kVectors; v++)
          acc[p][v] = hn::ReorderWidenMulAccumulate(d, x, b[v], acc[p][v], acc1[p][v]);
      }
    }
    if (odd) {
      HWY_UNROLL(12)
      for (size_t p = 0; p < kP; p++) {
        const int16_t last[2] = {a[p][2 * pairs], 0};
        const auto x = hn::BitCast(d16, hn::Set(d, LoadPair(last)));
        HWY_UNROLL(4)
        for (size_t v = 0; v < kVectors; v++)
          acc[p][v] = hn::ReorderWidenMulAccumulate(d, x, hn::LoadU(d16, w + 2 * kLanes * v), acc[p][v], acc1[p][v]);
      }
      w += 2 * NC_CHANNEL_BLOCK;
    }
  }
  HWY_UNROLL(12)
  for (size_t p = 0; p < kP; p++) {
    HWY_UNROLL(4)
    for (size_t v = 0; v < kVectors; v++) acc[p][v] = hn::RearrangeToOddPlusEven(acc[p][v], acc1[p][v]);
  }
  Finish16<kP>(acc, conv->bias + first, conv->shift + first, out, residual, first, valid, epilogue);
}

template <size_t kP>
HWY_NOINLINE void BlockF(const nc_conv_f32* conv, const float* HWY_RESTRICT w, const float* const* rows,
                         float* const* out, const float* const* residual, size_t first, size_t valid,
                         int32_t epilogue) {
  const DF d;
  const size_t taps = conv->taps, in = conv->in_channels;
  VF acc[kP][kVectors];
  HWY_UNROLL(12)
  for (size_t p = 0; p < kP; p++) {
    HWY_UNROLL(4)
    for (size_t v = 0; v < kVectors; v++) acc[p][v] = hn::LoadU(d, conv->bias + first + v * kLanes);
  }
  for (size_t t = 0; t < taps; t++) {
    const float* a[kP];
    HWY_UNROLL(12)
    for (size_t p = 0; p < kP; p++) a[p] = rows[p * taps + t];
    for (size_t k = 0; k < in; k++) {
      VF b[kVectors];
      HWY_UNROLL(4)
      for (size_t v = 0; v < kVectors; v++) b[v] = hn::LoadU(d, w + kLanes * v);
      w += NC_CHANNEL_BLOCK;
      HWY_UNROLL(12)
      for (size_t p = 0; p < kP; p++) {
        const auto x = hn::Set(d, a[p][k]);
        HWY_UNROLL(4)
        for (size_t v = 0; v < kVectors; v++) acc[p][v] = hn::MulAdd(x, b[v], acc[p][v]);
      }
    }
  }
  const auto quarter = hn::Set(d, 0.25f);
  HWY_UNROLL(4)  // or the accumulators would live in memory
  for (size_t v = 0; v < kVectors; v++) {
    if (v * kLanes >= valid) continue;
    const size_t n = valid - v * kLanes < kLanes ? valid - v * kLanes : kLanes;
    const size_t at = first + v * kLanes;
    HWY_UNROLL(12)
    for (size_t p = 0; p < kP; p++) {
      auto y = acc[p][v];
      if (epilogue == NC_EPILOGUE_LEAKY) y = hn::Max(y, y * quarter);
      if (HWY_LIKELY(n == kLanes)) {
        if (epilogue == NC_EPILOGUE_ADD) y = hn::LoadU(d, residual[p] + at) + y;
        hn::StoreU(y, d, out[p] + at);
      } else {
        HWY_ALIGN float part[kLanes] = {};
        if (epilogue == NC_EPILOGUE_ADD) {
          std::memcpy(part, residual[p] + at, n * sizeof(float));
          y = hn::Load(d, part) + y;
        }
        hn::Store(y, d, part);
        std::memcpy(out[p] + at, part, n * sizeof(float));
      }
    }
  }
}

template <size_t kP>
HWY_INLINE void Block(const nc_conv_i16* conv, const int16_t* w, const int16_t* const* rows, int16_t* const* out,
                      const int16_t* const* residual, size_t first, size_t valid, int32_t epilogue) {
  Block16<kP>(conv, w, rows, out, residual, first, valid, epilogue);
}

template <size_t kP>
HWY_INLINE void Block(const nc_conv_f32* conv, const float* w, const float* const* rows, float* const* out,
                      const float* const* residual, size_t first, size_t valid, int32_t epilogue) {
  BlockF<kP>(conv, w, rows, out, residual, first, valid, epilogue);
}

template <class Conv, class T>
void Convolve(const Conv* conv, const T* const* rows, T* const* out, const T* const* residual, size_t positions,
              int32_t epilogue) {
  const size_t channels = conv->out_channels, taps = conv->taps, in = conv->in_channels;
  const size_t depth = sizeof(T) == 2 ? (in + 1) / 2 * 2 : in;
  for (size_t first = 0; first < channels; first += NC_CHANNEL_BLOCK) {
    const size_t valid = channels - first < NC_CHANNEL_BLOCK ? channels - first : NC_CHANNEL_BLOCK;
    const T* w = conv->weights + first * taps * depth;
    size_t p = 0;
    for (; p + kRows <= positions; p += kRows)
      Block<kRows>(conv, w, rows + p * taps, out + p, residual + p, first, valid, epilogue);
    constexpr size_t kHalf = (kRows + 1) / 2;
    for (; kHalf > 1 && p + kHalf <= positions; p += kHalf)
      Block<kHalf>(conv, w, rows + p * taps, out + p, residual + p, first, valid, epilogue);
    for (; p < positions; p++)
      Block<1>(conv, w, rows + p * taps, out + p, residual + p, first, valid, epilogue);
  }
}

void ConvI16(const nc_conv_i16* conv, const int16_t* const* rows, int16_t* const* out, const int16_t* const* residual,
             size_t positions, int32_t epilogue) {
  Convolve(conv, rows, out, residual, positions, epilogue);
}

void ConvF32(const nc_conv_f32* conv, const float* const* rows, float* const* out, const float* const* residual,
             size_t positions, int32_t epilogue) {
  Convolve(conv, rows, out, residual, positions, epilogue);
}

void Install(nc_kernels* table) {
  table->conv_i16 = ConvI16;
  table->conv_f32 = ConvF32;
}
}  // namespace
#endif
}  // namespace HWY_NAMESPACE
}  // namespace nc
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nc {
void InstallConv(int64_t target, nc_kernels* table) { NC_INSTALL(Install, target, table) }
}  // namespace nc
#endif
