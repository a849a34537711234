// Carry-less products sum up 64 bytes at a time (Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ
// Instruction", Intel 2009).
#include "crc.h"

#include <cstring>

#include "internal.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "crc.cpp"
#include "targets.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef NC_CRC_POWERS
#define NC_CRC_POWERS
namespace nc {
namespace {
// x^n modulo the polynomial as the lower 33 bits of a factor: bits reflected, and up by one for the bit that a product of
// reflected numbers lacks.
constexpr uint64_t PowerOfX(int n) {
  uint32_t power = 0x80000000u;
  for (int i = 0; i < n; i++) power = (power >> 1) ^ ((power & 1) != 0 ? 0xEDB88320u : 0u);
  return uint64_t{power} << 1;
}

using CRCFold = size_t (*)(uint32_t, const uint8_t*, size_t, uint8_t*);
}  // namespace
}  // namespace nc
#endif

HWY_BEFORE_NAMESPACE();
namespace nc {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::FixedTag<uint64_t, 2>;
using V = hn::Vec<D>;

HWY_INLINE V Load(const uint8_t* at) {
  const hn::FixedTag<uint8_t, 16> d8;
  return hn::BitCast(D(), hn::LoadU(d8, at));
}

// What stands `bits` before `next`, moved there. powers: x^(bits + 32), x^(bits - 32).
HWY_INLINE V Fold(V from, V powers, V next) {
  return hn::Xor(hn::Xor(hn::CLMulLower(from, powers), hn::CLMulUpper(from, powers)), next);
}

size_t FoldAll(uint32_t crc, const uint8_t* bytes, size_t count, uint8_t* rest) {
  const D d;
  if (count < 64) return 0;
  HWY_ALIGN constexpr uint64_t by512[2] = {PowerOfX(512 + 32), PowerOfX(512 - 32)};
  HWY_ALIGN constexpr uint64_t by128[2] = {PowerOfX(128 + 32), PowerOfX(128 - 32)};
  HWY_ALIGN const uint64_t first[2] = {static_cast<uint32_t>(~crc), 0};
  const V far = hn::Load(d, by512), near = hn::Load(d, by128);
  V a = hn::Xor(Load(bytes), hn::Load(d, first)), b = Load(bytes + 16), c = Load(bytes + 32), e = Load(bytes + 48);
  size_t at = 64;
  for (; at + 64 <= count; at += 64) {
    a = Fold(a, far, Load(bytes + at));
    b = Fold(b, far, Load(bytes + at + 16));
    c = Fold(c, far, Load(bytes + at + 32));
    e = Fold(e, far, Load(bytes + at + 48));
  }
  a = Fold(Fold(Fold(a, near, b), near, c), near, e);
  for (; at + 16 <= count; at += 16) a = Fold(a, near, Load(bytes + at));
  const hn::FixedTag<uint8_t, 16> d8;
  hn::StoreU(hn::BitCast(d8, a), d8, rest);
  return at;
}

HWY_MAYBE_UNUSED void Install(CRCFold* fold) { *fold = FoldAll; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace nc
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nc {
namespace {

CRCFold BestFold() {
  CRCFold fold = nullptr;
  const int64_t target = TargetOf(nc_kernels_current()->level);
  CRCFold* to = &fold;
  NC_INSTALL(Install, target, to)
  return fold;
}

}  // namespace
}  // namespace nc

size_t nc_crc32_fold(uint32_t crc, const uint8_t* bytes, size_t count, uint8_t rest[16]) {
  static const nc::CRCFold fold = nc::BestFold();
  return fold == nullptr ? 0 : fold(crc, bytes, count, rest);
}
#endif
