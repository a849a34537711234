// Quantising and restoring blocks of a KV cache.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kv_blocks.cpp"
#include "kv_internal.h"
#include "targets.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#pragma clang fp contract(off)

HWY_BEFORE_NAMESPACE();
namespace nc {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// Whether this target converts halves itself; it quietens NaNs, which some readers must not.
#undef NC_KV_HALVES
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
#define NC_KV_HALVES 1
#else
#define NC_KV_HALVES 0
#endif

// Floats of an element type, a vector at a time.
template <class D, int element>
struct Elements {
  using V = hn::Vec<D>;
  using DU = hn::RebindToUnsigned<D>;
  using DI = hn::RebindToSigned<D>;
  using D16 = hn::Rebind<uint16_t, D>;
  static constexpr size_t kSize = element == NC_KV_F32 ? 4 : 2;

  static HWY_INLINE V Load(D d, const uint8_t* at) {
    const DU du;
    if (element == NC_KV_F32) return hn::LoadU(d, reinterpret_cast<const float*>(at));
    const auto bits = hn::PromoteTo(du, hn::LoadU(D16(), reinterpret_cast<const uint16_t*>(at)));
    if (element == NC_KV_BF16) return hn::BitCast(d, hn::ShiftLeft<16>(bits));
    // The exponent's bias is made up for by 2^112, exactly, subnormal numbers too; infinities and NaNs get all its bits.
    const auto magnitude = hn::And(bits, hn::Set(du, 0x7FFFu));
    const auto sign = hn::ShiftLeft<16>(hn::Sub(bits, magnitude));
    const auto scaled = hn::Mul(hn::BitCast(d, hn::ShiftLeft<13>(magnitude)), hn::Set(d, 0x1p112f));
    const auto special = hn::Gt(hn::BitCast(DI(), magnitude), hn::Set(DI(), 0x7BFF));
    const auto out = hn::IfThenElse(
        hn::RebindMask(du, special), hn::Or(hn::BitCast(du, scaled), hn::Set(du, 0x7F800000u)), hn::BitCast(du, scaled));
    return hn::BitCast(d, hn::Or(out, sign));
  }

  // As Load, but for which NaN comes of a NaN.
  static HWY_INLINE V LoadNumber(D d, const uint8_t* at) {
#if NC_KV_HALVES
    if constexpr (element == NC_KV_F16 && hn::MaxLanes(D()) >= 8) {
      const hn::Rebind<hwy::float16_t, D> dh;
      return hn::PromoteTo(d, hn::LoadU(dh, reinterpret_cast<const hwy::float16_t*>(at)));
    }
#endif
    return Load(d, at);
  }

  static HWY_INLINE void Store(D d, V v, uint8_t* at) {
    const DU du;
    const float most = element == NC_KV_F16 ? 65504.0f : element == NC_KV_BF16 ? 0x1.FEp127f : 0x1.FFFFFEp127f;
    v = hn::Min(hn::Max(v, hn::Set(d, -most)), hn::Set(d, most));
    if (element == NC_KV_F32) {
      hn::StoreU(v, d, reinterpret_cast<float*>(at));
      return;
    }
#if NC_KV_HALVES
    if constexpr (element == NC_KV_F16 && hn::MaxLanes(D()) >= 8) {
      const hn::Rebind<hwy::float16_t, D> dh;
      hn::StoreU(hn::DemoteTo(dh, v), dh, reinterpret_cast<hwy::float16_t*>(at));
      return;
    }
#endif
    const auto bits = hn::BitCast(du, v);
    const auto magnitude = hn::And(bits, hn::Set(du, 0x7FFFFFFFu));
    const auto sign = hn::ShiftRight<16>(hn::Sub(bits, magnitude));
    hn::Vec<DU> out;
    if (element == NC_KV_BF16) {
      const auto odd = hn::And(hn::ShiftRight<16>(magnitude), hn::Set(du, 1u));
      out = hn::ShiftRight<16>(hn::Add(magnitude, hn::Add(odd, hn::Set(du, 0x7FFFu))));
    } else {
      const auto odd = hn::And(hn::ShiftRight<13>(magnitude), hn::Set(du, 1u));
      const auto normal =
          hn::ShiftRight<13>(hn::Add(hn::Sub(magnitude, hn::Set(du, 112u << 23)), hn::Add(odd, hn::Set(du, 0xFFFu))));
      // Adding 1/2 rounds to units of 2^-24, which subnormal numbers are multiples of.
      const auto lifted = hn::Add(hn::BitCast(d, magnitude), hn::Set(d, 0.5f));
      const auto subnormal = hn::Sub(hn::BitCast(du, lifted), hn::Set(du, 126u << 23));
      const auto isSmall = hn::Lt(hn::BitCast(DI(), magnitude), hn::Set(DI(), 113 << 23));
      out = hn::IfThenElse(hn::RebindMask(du, isSmall), subnormal, normal);
    }
    out = hn::Or(out, sign);
    hn::StoreU(hn::DemoteTo(D16(), hn::BitCast(DI(), out)), D16(), reinterpret_cast<uint16_t*>(at));
  }
};

// The last channels of a row that fill no vector go by vectors of one lane.
using DOne = hn::CappedTag<float, 1>;

template <class D>
HWY_INLINE hn::Mask<D> IsFinite(D d, hn::Vec<D> v) {
  return hn::Le(hn::Abs(v), hn::Set(d, 0x1.FFFFFEp127f));
}

// One vector's channels of all rows; `count` vectors beside each other, so that their sums do not wait for themselves.
template <class D, int element, size_t count>
HWY_INLINE void MomentsAt(const uint8_t* from, size_t rows, ptrdiff_t stride, float* sum, float* squares, float* largest) {
  const D d;
  constexpr size_t n = hn::MaxLanes(D());
  hn::Vec<D> s[count], q[count], l[count];
  for (size_t i = 0; i < count; i++) {
    s[i] = hn::LoadU(d, sum + i * n);
    q[i] = hn::LoadU(d, squares + i * n);
    l[i] = hn::LoadU(d, largest + i * n);
  }
  for (size_t r = 0; r < rows; r++, from += stride) {
    for (size_t i = 0; i < count; i++) {
      auto v = Elements<D, element>::LoadNumber(d, from + i * n * Elements<D, element>::kSize);
      v = hn::IfThenElseZero(IsFinite(d, v), v);
      s[i] = hn::Add(s[i], v);
      q[i] = hn::Add(q[i], hn::Mul(v, v));
      l[i] = hn::Max(l[i], hn::Abs(v));
    }
  }
  for (size_t i = 0; i < count; i++) {
    hn::StoreU(s[i], d, sum + i * n);
    hn::StoreU(q[i], d, squares + i * n);
    hn::StoreU(l[i], d, largest + i * n);
  }
}

template <class D, int element>
void MomentsOf(
    const uint8_t* from, size_t channels, size_t rows, ptrdiff_t stride, float* sum, float* squares, float* largest) {
  constexpr size_t n = hn::MaxLanes(D());
  constexpr size_t size = Elements<D, element>::kSize;
  size_t c = 0;
  for (; c + 4 * n <= channels; c += 4 * n)
    MomentsAt<D, element, 4>(from + c * size, rows, stride, sum + c, squares + c, largest + c);
  for (; c + n <= channels; c += n)
    MomentsAt<D, element, 1>(from + c * size, rows, stride, sum + c, squares + c, largest + c);
  for (; c < channels; c++) MomentsAt<DOne, element, 1>(from + c * size, rows, stride, sum + c, squares + c, largest + c);
}

// Channels and rows of a tile. Rows of steps are loaded once for a tile, and its bytes are turned in registers.
constexpr size_t kTile = 16;

// to[i][to_offset + j] = from[j][offset + i], 16 x 16 bytes.
HWY_INLINE void TurnTile(const uint8_t* const* from, size_t offset, uint8_t* const* to, size_t to_offset) {
  const hn::FixedTag<uint8_t, kTile> d;
  hn::Vec<decltype(d)> a[kTile], b[kTile];
  for (size_t i = 0; i < kTile; i++) a[i] = hn::LoadU(d, from[i] + offset);
  // Each round moves one bit of the number of the row into that of the column.
  for (int round = 0; round < 4; round++) {
    for (size_t i = 0; i < kTile / 2; i++) {
      b[2 * i] = hn::InterleaveLower(d, a[i], a[i + kTile / 2]);
      b[2 * i + 1] = hn::InterleaveUpper(d, a[i], a[i + kTile / 2]);
    }
    for (size_t i = 0; i < kTile; i++) a[i] = b[i];
  }
  for (size_t i = 0; i < kTile; i++) hn::StoreU(a[i], d, to[i] + to_offset);
}

struct Tile {
  HWY_ALIGN uint8_t bytes[kTile * kTile];
  uint8_t* rows[kTile];
  Tile() {
    for (size_t i = 0; i < kTile; i++) rows[i] = bytes + i * kTile;
  }
};

HWY_INLINE size_t CountZeros(const uint8_t* bytes, size_t count) {
  size_t zeros = 0;
  for (size_t i = 0; i < count; i++) zeros += bytes[i] == 0;
  return zeros;
}

template <class D, int element, bool has_low>
HWY_INLINE void QuantiseAt(
    const nc_kv_steps* s, hn::Vec<D> inverse, hn::Vec<D> middle, const uint8_t* at, uint8_t* symbols, uint16_t* low) {
  const D d;
  const hn::RebindToSigned<D> di;
  const hn::Rebind<uint8_t, D> d8;
  const hn::Rebind<uint16_t, D> d16;
  const auto v = hn::Sub(hn::Mul(Elements<D, element>::LoadNumber(d, at), inverse), middle);
  // Beyond 2^23 whole numbers and their rounding are not exact; NaNs fail the comparison too.
  const auto fits = hn::Le(hn::Abs(v), hn::Set(d, 0x1p23f));
  const auto x = hn::NearestInt(hn::IfThenElseZero(fits, v));
  const auto high = hn::Add(has_low ? hn::ShiftRightSame(x, s->low_bits) : x, hn::Set(di, 128));
  const auto held = hn::And(hn::RebindMask(di, fits), hn::And(hn::Gt(high, hn::Zero(di)), hn::Lt(high, hn::Set(di, 256))));
  hn::StoreU(hn::DemoteTo(d8, hn::IfThenElseZero(held, high)), d8, symbols);
  if (has_low) {
    const auto rest = hn::And(x, hn::Set(di, (1 << s->low_bits) - 1));
    hn::StoreU(hn::DemoteTo(d16, hn::IfThenElseZero(held, rest)), d16, low);
  }
}

// The middle of channels from c on in whole steps, as quantising takes it away.
template <class D>
HWY_INLINE hn::Vec<D> MiddleAt(const nc_kv_steps* s, size_t c) {
  const D d;
  const hn::RebindToSigned<D> di;
  return hn::Mul(hn::ConvertTo(d, hn::LoadU(di, s->middle + c)), hn::Set(d, 0.25f));
}

template <class D, int element, bool has_low>
size_t QuantiseRows(
    const nc_kv_steps* s, const uint8_t* from, size_t rows, ptrdiff_t stride, uint8_t* const* columns, uint16_t* low) {
  constexpr size_t n = hn::MaxLanes(D());
  constexpr size_t size = Elements<D, element>::kSize;
  const size_t channels = s->channels;
  const size_t whole_rows = n > 1 ? rows & ~(kTile - 1) : 0, whole_channels = n > 1 ? channels & ~(kTile - 1) : 0;
  for (size_t r = 0; r < whole_rows; r += kTile) {
    for (size_t c = 0; c < whole_channels; c += kTile) {
      Tile tile;
      for (size_t v = 0; v < kTile; v += n) {
        const auto inverse = hn::LoadU(D(), s->inverse + c + v), middle = MiddleAt<D>(s, c + v);
        const uint8_t* at = from + ptrdiff_t(r) * stride + (c + v) * size;
        for (size_t i = 0; i < kTile; i++, at += stride)
          QuantiseAt<D, element, has_low>(
              s, inverse, middle, at, tile.rows[i] + v, has_low ? low + (r + i) * channels + c + v : nullptr);
      }
      TurnTile(tile.rows, 0, columns + c, r);
    }
  }
  for (size_t c = 0; c < channels; c++) {
    const auto inverse = hn::LoadU(DOne(), s->inverse + c), middle = MiddleAt<DOne>(s, c);
    for (size_t r = c < whole_channels ? whole_rows : 0; r < rows; r++)
      QuantiseAt<DOne, element, has_low>(
          s, inverse, middle, from + ptrdiff_t(r) * stride + c * size, columns[c] + r,
          has_low ? low + r * channels + c : nullptr);
  }
  size_t escapes = 0;
  for (size_t c = 0; c < channels; c++) escapes += CountZeros(columns[c], rows);
  return escapes;
}

template <class D, int element, bool has_low>
HWY_INLINE void RestoreAt(
    const nc_kv_steps* s, hn::Vec<D> step, hn::Vec<hn::RebindToSigned<D>> middle, const uint8_t* symbols,
    const uint16_t* low, uint8_t* at) {
  const D d;
  const hn::RebindToSigned<D> di;
  const hn::Rebind<uint8_t, D> d8;
  const hn::Rebind<uint16_t, D> d16;
  auto x = hn::PromoteTo(di, hn::LoadU(d8, symbols));
  if (has_low) x = hn::Add(hn::ShiftLeftSame(x, s->low_bits), hn::PromoteTo(di, hn::LoadU(d16, low)));
  const auto q = hn::ConvertTo(d, hn::Add(hn::ShiftLeft<2>(x), middle));
  Elements<D, element>::Store(d, hn::Mul(q, step), at);
}

// The middle of channels from c on, less what symbols are above what they stand for.
template <class D>
HWY_INLINE hn::Vec<hn::RebindToSigned<D>> OffsetAt(const nc_kv_steps* s, size_t c) {
  const hn::RebindToSigned<D> di;
  return hn::Sub(hn::LoadU(di, s->middle + c), hn::Set(di, 512 << s->low_bits));
}

template <class D, int element, bool has_low>
void RestoreRows(
    const nc_kv_steps* s, const uint8_t* const* columns, const uint16_t* low, size_t rows, uint8_t* to, ptrdiff_t stride) {
  constexpr size_t n = hn::MaxLanes(D());
  constexpr size_t size = Elements<D, element>::kSize;
  const size_t channels = s->channels;
  const size_t whole_rows = n > 1 ? rows & ~(kTile - 1) : 0, whole_channels = n > 1 ? channels & ~(kTile - 1) : 0;
  for (size_t r = 0; r < whole_rows; r += kTile) {
    for (size_t c = 0; c < whole_channels; c += kTile) {
      Tile tile;
      TurnTile(columns + c, r, tile.rows, 0);
      for (size_t v = 0; v < kTile; v += n) {
        const auto step = hn::LoadU(D(), s->step + c + v);
        const auto middle = OffsetAt<D>(s, c + v);
        uint8_t* at = to + ptrdiff_t(r) * stride + (c + v) * size;
        for (size_t i = 0; i < kTile; i++, at += stride)
          RestoreAt<D, element, has_low>(
              s, step, middle, tile.rows[i] + v, has_low ? low + (r + i) * channels + c + v : nullptr, at);
      }
    }
  }
  for (size_t c = 0; c < channels; c++) {
    const auto step = hn::LoadU(DOne(), s->step + c);
    const auto middle = OffsetAt<DOne>(s, c);
    for (size_t r = c < whole_channels ? whole_rows : 0; r < rows; r++)
      RestoreAt<DOne, element, has_low>(
          s, step, middle, columns[c] + r, has_low ? low + r * channels + c : nullptr,
          to + ptrdiff_t(r) * stride + c * size);
  }
}

template <class D, int element>
void ToFloats(const uint8_t* from, float* to, size_t count) {
  constexpr size_t n = hn::MaxLanes(D());
  constexpr size_t size = Elements<D, element>::kSize;
  size_t i = 0;
  for (; i + n <= count; i += n) hn::StoreU(Elements<D, element>::Load(D(), from + i * size), D(), to + i);
  for (; i < count; i++) hn::StoreU(Elements<DOne, element>::Load(DOne(), from + i * size), DOne(), to + i);
}

template <class D, int element>
void FromFloats(const float* from, uint8_t* to, size_t count) {
  constexpr size_t n = hn::MaxLanes(D());
  constexpr size_t size = Elements<D, element>::kSize;
  size_t i = 0;
  for (; i + n <= count; i += n) Elements<D, element>::Store(D(), hn::LoadU(D(), from + i), to + i * size);
  for (; i < count; i++) Elements<DOne, element>::Store(DOne(), hn::LoadU(DOne(), from + i), to + i * size);
}

#define NC_FOR_ELEMENT(call)                  \
  switch (element) {                          \
    case NC_KV_F16: call(NC_KV_F16); break;   \
    case NC_KV_BF16: call(NC_KV_BF16); break; \
    default: call(NC_KV_F32); break;          \
  }

template <class D>
void Moments(
    const void* from, int32_t element, size_t channels, size_t rows, ptrdiff_t stride, float* sum, float* squares,
    float* largest) {
  const auto* at = static_cast<const uint8_t*>(from);
#define NC_CALL(e) MomentsOf<D, e>(at, channels, rows, stride, sum, squares, largest)
  NC_FOR_ELEMENT(NC_CALL)
#undef NC_CALL
}

template <class D>
size_t Quantise(
    const nc_kv_steps* s, const void* from, int32_t element, size_t rows, ptrdiff_t stride, uint8_t* const* columns,
    uint16_t* low) {
  const auto* at = static_cast<const uint8_t*>(from);
  size_t escapes = 0;
#define NC_CALL(e)                                                                       \
  escapes = s->low_bits > 0 ? QuantiseRows<D, e, true>(s, at, rows, stride, columns, low) \
                            : QuantiseRows<D, e, false>(s, at, rows, stride, columns, low)
  NC_FOR_ELEMENT(NC_CALL)
#undef NC_CALL
  return escapes;
}

template <class D>
void Restore(
    const nc_kv_steps* s, const uint8_t* const* columns, const uint16_t* low, size_t rows, void* to, int32_t element,
    ptrdiff_t stride) {
  auto* at = static_cast<uint8_t*>(to);
#define NC_CALL(e)                                                            \
  s->low_bits > 0 ? RestoreRows<D, e, true>(s, columns, low, rows, at, stride) \
                  : RestoreRows<D, e, false>(s, columns, low, rows, at, stride)
  NC_FOR_ELEMENT(NC_CALL)
#undef NC_CALL
}

template <class D>
void ToFloat(const void* from, int32_t element, float* to, size_t count) {
  const auto* at = static_cast<const uint8_t*>(from);
#define NC_CALL(e) ToFloats<D, e>(at, to, count)
  NC_FOR_ELEMENT(NC_CALL)
#undef NC_CALL
}

template <class D>
void FromFloat(const float* from, void* to, int32_t element, size_t count) {
  auto* at = static_cast<uint8_t*>(to);
#define NC_CALL(e) FromFloats<D, e>(from, at, count)
  NC_FOR_ELEMENT(NC_CALL)
#undef NC_CALL
}

template <class D>
void InstallFor(nc_kv* table) {
  table->moments = Moments<D>;
  table->quantise = Quantise<D>;
  table->restore = Restore<D>;
  table->to_float = ToFloat<D>;
  table->from_float = FromFloat<D>;
}

// At most as many lanes as a tile has channels.
HWY_MAYBE_UNUSED void Install(nc_kv* table) { InstallFor<hn::CappedTag<float, kTile>>(table); }
HWY_MAYBE_UNUSED void InstallScalar(nc_kv* table) { InstallFor<DOne>(table); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace nc
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nc {
void InstallKVBlocksScalar(nc_kv* table) { HWY_STATIC_DISPATCH(InstallScalar)(table); }
void InstallKVBlocks(int64_t target, nc_kv* table) { NC_INSTALL(Install, target, table) }
}  // namespace nc
#endif
