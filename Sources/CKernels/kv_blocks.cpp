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

// Floats of an element type, a vector at a time: d has at most 8 lanes, so that 8-bit symbols load as one half word or more.
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

  static HWY_INLINE void Store(D d, V v, uint8_t* at) {
    const DU du;
    const float most = element == NC_KV_F16 ? 65504.0f : element == NC_KV_BF16 ? 0x1.FEp127f : 0x1.FFFFFEp127f;
    v = hn::Min(hn::Max(v, hn::Set(d, -most)), hn::Set(d, most));
    if (element == NC_KV_F32) {
      hn::StoreU(v, d, reinterpret_cast<float*>(at));
      return;
    }
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

template <class D, int element>
HWY_INLINE void MomentsAt(const uint8_t* at, float* sum, float* squares, float* largest) {
  const D d;
  auto v = Elements<D, element>::Load(d, at);
  v = hn::IfThenElseZero(IsFinite(d, v), v);
  hn::StoreU(hn::Add(hn::LoadU(d, sum), v), d, sum);
  hn::StoreU(hn::Add(hn::LoadU(d, squares), hn::Mul(v, v)), d, squares);
  hn::StoreU(hn::Max(hn::LoadU(d, largest), hn::Abs(v)), d, largest);
}

template <class D, int element>
void MomentsOf(
    const uint8_t* from, size_t channels, size_t rows, ptrdiff_t stride, float* sum, float* squares, float* largest) {
  constexpr size_t n = hn::MaxLanes(D());
  constexpr size_t size = Elements<D, element>::kSize;
  for (size_t r = 0; r < rows; r++, from += stride) {
    size_t c = 0;
    for (; c + n <= channels; c += n) MomentsAt<D, element>(from + c * size, sum + c, squares + c, largest + c);
    for (; c < channels; c++) MomentsAt<DOne, element>(from + c * size, sum + c, squares + c, largest + c);
  }
}

template <class D, int element, bool has_low>
HWY_INLINE size_t QuantiseAt(const nc_kv_steps* s, size_t c, const uint8_t* at, uint8_t* symbols, uint16_t* low) {
  const D d;
  const hn::RebindToSigned<D> di;
  const hn::Rebind<uint8_t, D> d8;
  const hn::Rebind<uint16_t, D> d16;
  const auto middle = hn::Mul(hn::ConvertTo(d, hn::LoadU(di, s->middle + c)), hn::Set(d, 0.25f));
  const auto v = hn::Sub(hn::Mul(Elements<D, element>::Load(d, at), hn::LoadU(d, s->inverse + c)), middle);
  // Beyond 2^23 whole numbers and their rounding are not exact; NaNs fail the comparison too.
  const auto fits = hn::Le(hn::Abs(v), hn::Set(d, 0x1p23f));
  const auto x = hn::ConvertTo(di, hn::Round(hn::IfThenElseZero(fits, v)));
  const auto high = hn::Add(has_low ? hn::ShiftRightSame(x, s->low_bits) : x, hn::Set(di, 128));
  const auto held = hn::And(hn::RebindMask(di, fits), hn::And(hn::Gt(high, hn::Zero(di)), hn::Lt(high, hn::Set(di, 256))));
  const auto symbol = hn::IfThenElseZero(held, high);
  hn::StoreU(hn::DemoteTo(d8, symbol), d8, symbols);
  if (has_low) {
    const auto rest = hn::And(x, hn::Set(di, (1 << s->low_bits) - 1));
    hn::StoreU(hn::DemoteTo(d16, hn::IfThenElseZero(held, rest)), d16, low);
  }
  return hn::CountTrue(di, hn::Not(held));
}

template <class D, int element, bool has_low>
size_t QuantiseRows(
    const nc_kv_steps* s, const uint8_t* from, size_t rows, ptrdiff_t stride, uint8_t* symbols, uint16_t* low) {
  constexpr size_t n = hn::MaxLanes(D());
  constexpr size_t size = Elements<D, element>::kSize;
  size_t escapes = 0;
  for (size_t r = 0; r < rows; r++, from += stride, symbols += s->channels, low += has_low ? s->channels : 0) {
    size_t c = 0;
    for (; c + n <= s->channels; c += n)
      escapes += QuantiseAt<D, element, has_low>(s, c, from + c * size, symbols + c, low + c);
    for (; c < s->channels; c++)
      escapes += QuantiseAt<DOne, element, has_low>(s, c, from + c * size, symbols + c, low + c);
  }
  return escapes;
}

template <class D, int element, bool has_low>
HWY_INLINE void RestoreAt(const nc_kv_steps* s, size_t c, const uint8_t* symbols, const uint16_t* low, uint8_t* at) {
  const D d;
  const hn::RebindToSigned<D> di;
  const hn::Rebind<uint8_t, D> d8;
  const hn::Rebind<uint16_t, D> d16;
  auto x = hn::Sub(hn::PromoteTo(di, hn::LoadU(d8, symbols)), hn::Set(di, 128));
  if (has_low) {
    const auto rest = hn::PromoteTo(di, hn::LoadU(d16, low));
    x = hn::Add(hn::ShiftLeftSame(x, s->low_bits), rest);
  }
  const auto q = hn::ConvertTo(d, hn::Add(hn::ShiftLeft<2>(x), hn::LoadU(di, s->middle + c)));
  Elements<D, element>::Store(d, hn::Mul(q, hn::LoadU(d, s->step + c)), at);
}

template <class D, int element, bool has_low>
void RestoreRows(
    const nc_kv_steps* s, const uint8_t* symbols, const uint16_t* low, size_t rows, uint8_t* to, ptrdiff_t stride) {
  constexpr size_t n = hn::MaxLanes(D());
  constexpr size_t size = Elements<D, element>::kSize;
  for (size_t r = 0; r < rows; r++, to += stride, symbols += s->channels, low += has_low ? s->channels : 0) {
    size_t c = 0;
    for (; c + n <= s->channels; c += n) RestoreAt<D, element, has_low>(s, c, symbols + c, low + c, to + c * size);
    for (; c < s->channels; c++) RestoreAt<DOne, element, has_low>(s, c, symbols + c, low + c, to + c * size);
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
    const nc_kv_steps* s, const void* from, int32_t element, size_t rows, ptrdiff_t stride, uint8_t* symbols,
    uint16_t* low) {
  const auto* at = static_cast<const uint8_t*>(from);
  size_t escapes = 0;
#define NC_CALL(e)                                                                       \
  escapes = s->low_bits > 0 ? QuantiseRows<D, e, true>(s, at, rows, stride, symbols, low) \
                            : QuantiseRows<D, e, false>(s, at, rows, stride, symbols, low)
  NC_FOR_ELEMENT(NC_CALL)
#undef NC_CALL
  return escapes;
}

template <class D>
void Restore(
    const nc_kv_steps* s, const uint8_t* symbols, const uint16_t* low, size_t rows, void* to, int32_t element,
    ptrdiff_t stride) {
  auto* at = static_cast<uint8_t*>(to);
#define NC_CALL(e)                                                            \
  s->low_bits > 0 ? RestoreRows<D, e, true>(s, symbols, low, rows, at, stride) \
                  : RestoreRows<D, e, false>(s, symbols, low, rows, at, stride)
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

HWY_MAYBE_UNUSED void Install(nc_kv* table) { InstallFor<hn::CappedTag<float, 8>>(table); }
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
