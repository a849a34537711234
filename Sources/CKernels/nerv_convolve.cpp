// Convolution of pairs of channels in int16 with sums in int32, and what makes int16 of the sums; bitstream-spec 14.4.
//
// Columns are in the lanes: a pair of a column's channels is multiplied by a broadcast pair of weights and added up. O rows of
// weights by B vectors of columns stay in registers while taps and channels go by.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nerv_convolve.cpp"
#include "targets.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "internal.h"
#include "nerv.h"

HWY_BEFORE_NAMESPACE();
namespace nc {
namespace HWY_NAMESPACE {
#if HWY_TARGET != HWY_EMU128 && HWY_TARGET != HWY_SCALAR
namespace {
namespace hn = hwy::HWY_NAMESPACE;

template <bool kDot>
struct NervConvolve {
  using D32 = hn::CappedTag<int32_t, NC_NERV_GROUP>;
  using D16 = hn::Repartition<int16_t, D32>;
  using V32 = hn::Vec<D32>;
  using V16 = hn::Vec<D16>;
  static constexpr size_t n = hn::MaxLanes(D32());
  // 32 vector registers where a vector has 64 bytes; 16 elsewhere, or two sums in each of 32.
  static constexpr size_t kOut = n == 16 ? 12 : 6;
  // Vectors of columns for so many rows of weights.
  static constexpr size_t Span(size_t outs) { return 2 * outs > kOut ? 2 : 4 * outs > kOut ? 4 : n == 16 ? 8 : 4; }

  struct Task {
    const int16_t* const* rows;
    size_t pair_stride, side, pairs, vectors;
    int shift, multiplier;
    int16_t* p;
    size_t p_pitch;
  };

  static HWY_INLINE void Accumulate(V16 a, V16 b, V32& sum, V32& sum1) {
#if HWY_TARGET == HWY_AVX3
    // Highway has no such target here; the caller has asked the CPU.
    if constexpr (kDot) {
      asm("vpdpwssd %2, %1, %0" : "+v"(sum.raw) : "v"(a.raw), "v"(b.raw));
      return;
    }
#elif HWY_TARGET == HWY_AVX2
    if constexpr (kDot) {
      asm("%{vex%} vpdpwssd %2, %1, %0" : "+x"(sum.raw) : "x"(a.raw), "x"(b.raw));
      return;
    }
#endif
    sum = hn::ReorderWidenMulAccumulate(D32(), a, b, sum, sum1);
  }

  // Rows of weights [first, first + O), whose packed ones begin at w, of columns [c, c + B n).
  template <size_t O, size_t B>
  static HWY_INLINE void Tile(const Task& t, const int16_t* HWY_RESTRICT w, const int16_t* biases, size_t first, size_t c) {
    const D32 d;
    const D16 d16;
    V32 sum[O][B], sum1[O][B];  // sum1: of targets that keep two; dead elsewhere
    HWY_UNROLL(12)
    for (size_t o = 0; o < O; o++) {
      HWY_UNROLL(8)
      for (size_t b = 0; b < B; b++) sum[o][b] = sum1[o][b] = hn::Zero(d);
    }
    const size_t row_weights = t.pairs * t.side * 2 * NC_NERV_BLOCK;
    for (size_t dy = 0; dy < t.side; dy++) {
      if (t.rows[dy] == nullptr) {
        w += row_weights;
        continue;
      }
      const int16_t* from = t.rows[dy] + 2 * c - t.side / 2 * 2;
      for (size_t pair = 0; pair < t.pairs; pair++, from += t.pair_stride) {
        for (size_t dx = 0; dx < t.side; dx++, w += 2 * NC_NERV_BLOCK) {
          V16 v[B];
          HWY_UNROLL(8)
          for (size_t b = 0; b < B; b++) v[b] = hn::LoadU(d16, from + 2 * (dx + b * n));
          HWY_UNROLL(12)
          for (size_t o = 0; o < O; o++) {
            int32_t two;
            std::memcpy(&two, w + 2 * o, sizeof(two));
            const V16 f = hn::BitCast(d16, hn::Set(d, two));
            HWY_UNROLL(8)
            for (size_t b = 0; b < B; b++) Accumulate(v[b], f, sum[o][b], sum1[o][b]);
          }
        }
      }
    }
    const hn::Rebind<int16_t, D32> half;
    const auto multiplier = hn::Set(half, static_cast<int16_t>(t.multiplier));
    const V32 rounding = hn::Set(d, (1 << t.shift) >> 1);
    HWY_UNROLL(12)
    for (size_t o = 0; o < O; o++) {
      const auto bias = hn::Set(half, biases[first + o]);
      int16_t* to = t.p + (first + o) * t.p_pitch + c;
      HWY_UNROLL(8)
      for (size_t b = 0; b < B; b++) {
        V32 a = sum[o][b];
        if constexpr (!kDot) a = hn::RearrangeToOddPlusEven(a, sum1[o][b]);
        const auto v = hn::DemoteTo(half, hn::ShiftRightSame(hn::Add(a, rounding), t.shift));
        hn::StoreU(hn::SaturatedAdd(hn::MulFixedPoint15(v, multiplier), bias), half, to + b * n);
      }
    }
  }

  template <size_t O>
  static HWY_NOINLINE void Columns(const Task& t, const int16_t* w, const int16_t* biases, size_t first) {
    size_t v = 0;
    for (; v + Span(O) <= t.vectors; v += Span(O)) Tile<O, Span(O)>(t, w, biases, first, v * n);
    if constexpr (Span(O) > 4) {
      if (v + 4 <= t.vectors) {
        Tile<O, 4>(t, w, biases, first, v * n);
        v += 4;
      }
    }
    if constexpr (Span(O) > 2) {
      if (v + 2 <= t.vectors) {
        Tile<O, 2>(t, w, biases, first, v * n);
        v += 2;
      }
    }
    if (v < t.vectors) Tile<O, 1>(t, w, biases, first, v * n);
  }

  static void Part(const Task& t, const int16_t* w, const int16_t* biases, size_t first, size_t count) {
    switch (count) {
      case 1: return Columns<1>(t, w, biases, first);
      case 2: return Columns<2>(t, w, biases, first);
      case 3: return Columns<3>(t, w, biases, first);
      case 4: return Columns<4>(t, w, biases, first);
      case 5: return Columns<5>(t, w, biases, first);
      case 6: return Columns<6>(t, w, biases, first);
      default: break;
    }
    if constexpr (kOut == 12) {
      switch (count) {
        case 7: return Columns<7>(t, w, biases, first);
        case 8: return Columns<8>(t, w, biases, first);
        case 9: return Columns<9>(t, w, biases, first);
        case 10: return Columns<10>(t, w, biases, first);
        case 11: return Columns<11>(t, w, biases, first);
        default: return Columns<12>(t, w, biases, first);
      }
    }
  }

  static void Run(const nc_nerv_stage* s, const int16_t* const* rows, size_t pair_stride, size_t width, int16_t* p,
                  size_t p_pitch) {
    const size_t side = s->side, pairs = (size_t(s->inputs) + 1) / 2;
    const Task task{rows, pair_stride, side, pairs, (width + n - 1) / n, s->shift, s->multiplier, p, p_pitch};
    const size_t total = size_t(s->outputs) * s->factor * s->factor;
    const int16_t* w = s->weights;
    for (size_t block = 0, first = 0; first < total; block++, w += side * side * pairs * 2 * NC_NERV_BLOCK) {
      const size_t end = NervFirst(total, block + 1), count = end - first, parts = (count + kOut - 1) / kOut;
      for (size_t part = 0; part < parts; part++) {
        const size_t from = count * part / parts;
        Part(task, w + 2 * from, s->biases, first + from, count * (part + 1) / parts - from);
      }
      first = end;
    }
  }
};

void Install(nc_nerv* table) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  if (table->dot) {
    table->convolve = NervConvolve<true>::Run;
    return;
  }
#endif
  table->convolve = NervConvolve<false>::Run;
}

}  // namespace
#endif
}  // namespace HWY_NAMESPACE
}  // namespace nc
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nc {
namespace {

// The definition. bitstream-spec 14.4
void ConvolveScalar(const nc_nerv_stage* s, const int16_t* const* rows, size_t pair_stride, size_t width, int16_t* p,
                    size_t p_pitch) {
  const size_t side = s->side, pairs = (size_t(s->inputs) + 1) / 2;
  const size_t total = size_t(s->outputs) * s->factor * s->factor;
  const int16_t* block_weights = s->weights;
  for (size_t block = 0, first = 0; first < total; block++, block_weights += side * side * pairs * 2 * NC_NERV_BLOCK) {
    const size_t end = NervFirst(total, block + 1);
    for (size_t r = first; r < end; r++)
      for (size_t x = 0; x < width; x++) {
        const int16_t* w = block_weights + 2 * (r - first);
        int32_t a = (1 << s->shift) >> 1;
        for (size_t dy = 0; dy < side; dy++) {
          const int16_t* from = rows[dy] == nullptr ? nullptr : rows[dy] + 2 * x - side / 2 * 2;
          for (size_t pair = 0; pair < pairs; pair++)
            for (size_t dx = 0; dx < side; dx++, w += 2 * NC_NERV_BLOCK) {
              if (from == nullptr) continue;
              const int16_t* v = from + pair * pair_stride + 2 * dx;
              a += int32_t{w[0]} * v[0] + int32_t{w[1]} * v[1];
            }
        }
        const int32_t v = Sat16(a >> s->shift);
        p[r * p_pitch + x] = Sat16(((v * s->multiplier + (1 << 14)) >> 15) + s->biases[r]);
      }
    first = end;
  }
}

}  // namespace

void InstallNervConvolveScalar(nc_nerv* table) { table->convolve = ConvolveScalar; }
void InstallNervConvolve(int64_t target, nc_nerv* table) { NC_INSTALL(Install, target, table) }
}  // namespace nc

size_t nc_nerv_packed_count(size_t rows, size_t inputs, size_t side) {
  return (rows + NC_NERV_BLOCK - 1) / NC_NERV_BLOCK * NC_NERV_BLOCK * ((inputs + 1) / 2 * 2) * side * side;
}

void nc_nerv_pack(const int16_t* w, size_t rows, size_t inputs, size_t side, int16_t* packed) {
  for (size_t block = 0, first = 0; first < rows; block++) {
    const size_t end = nc::NervFirst(rows, block + 1);
    for (size_t dy = 0; dy < side; dy++)
      for (size_t pair = 0; pair < (inputs + 1) / 2; pair++)
        for (size_t dx = 0; dx < side; dx++)
          for (size_t o = 0; o < NC_NERV_BLOCK; o++)
            for (size_t i = 2 * pair; i < 2 * pair + 2; i++)
              *packed++ = first + o < end && i < inputs ? w[(((first + o) * inputs + i) * side + dy) * side + dx] : int16_t{0};
    first = end;
  }
}

// Two channels at a time, each a row of weights whose other input is 0.
size_t nc_nerv_packed_depthwise_count(size_t channels, size_t side) { return (channels + 1) / 2 * nc_nerv_packed_count(2, 2, side); }

void nc_nerv_pack_depthwise(const int16_t* w, size_t channels, size_t side, int16_t* packed) {
  const size_t taps = side * side;
  int16_t pair[4 * NC_NERV_MAX_SIDE * NC_NERV_MAX_SIDE];
  for (size_t c = 0; c < channels; c += 2, packed += nc_nerv_packed_count(2, 2, side)) {
    std::memset(pair, 0, sizeof(pair));
    std::memcpy(pair, w + c * taps, taps * sizeof(int16_t));
    if (c + 1 < channels) std::memcpy(pair + 3 * taps, w + (c + 1) * taps, taps * sizeof(int16_t));
    nc_nerv_pack(pair, 2, 2, side, packed);
  }
}
#endif
