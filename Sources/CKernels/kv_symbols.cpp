// What a chain does with a token's symbols: their tables, the nearest ones lowered, what they stand for, what is learned from them.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kv_symbols.cpp"
#include <cmath>

#include "kv_internal.h"
#include "targets.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#pragma clang fp contract(off)

// The scalar definitions, which also do what is left behind the last whole vector.
#ifndef NC_KV_SYMBOLS_SCALAR
#define NC_KV_SYMBOLS_SCALAR
namespace nc {
namespace {

uint32_t ScaleIndices(const int32_t* states, int32_t offset, const uint32_t* expected, size_t count, uint8_t* indices) {
  uint32_t sum = 0;
  for (size_t i = 0; i < count; i++) {
    const int32_t base = (states[i] + 2048) >> 12, index = base + offset;
    sum += expected[base];
    indices[i] = static_cast<uint8_t>(index < 0 ? 0 : index > 63 ? 63 : index);
  }
  return sum;
}

uint32_t Adapt(int32_t* states, const uint8_t* indices, const int16_t* symbols, size_t count, const int32_t* moves) {
  uint32_t sum = 0;
  for (size_t i = 0; i < count; i++) {
    const int32_t magnitude = symbols[i] < 0 ? -int32_t{symbols[i]} : symbols[i];
    sum += static_cast<uint32_t>(magnitude < 4095 ? magnitude : 4095);
    const int32_t state = states[i] + moves[64 * indices[i] + (magnitude < 63 ? magnitude : 63)];
    states[i] = state < 0 ? 0 : state > (63 << 12) ? 63 << 12 : state;
  }
  return sum;
}

size_t NonzerosFrom(
    size_t first, size_t found, const int16_t* symbols, size_t count, float offset, float step, uint16_t* list, float* factors) {
  for (size_t i = first; i < count; i++) {
    if (symbols[i] == 0) continue;
    const float symbol = symbols[i];
    list[found] = static_cast<uint16_t>(i);
    factors[found++] = (symbol < 0 ? symbol + offset : symbol - offset) * step;
  }
  return found;
}

void Lower(int16_t* symbols, const float* numbers, const uint8_t* tables, const float* thresholds, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const int32_t magnitude = symbols[i] < 0 ? -int32_t{symbols[i]} : symbols[i];
    if (magnitude == 0 || magnitude > 15 || !(std::fabs(numbers[i]) < thresholds[16 * tables[i] + magnitude])) continue;
    symbols[i] = static_cast<int16_t>(symbols[i] < 0 ? symbols[i] + 1 : symbols[i] - 1);
  }
}

}  // namespace
}  // namespace nc
#endif

HWY_BEFORE_NAMESPACE();
namespace nc {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using DI = hn::RebindToSigned<D>;
using D16 = hn::Rebind<int16_t, D>;
using D8 = hn::Rebind<uint8_t, D>;
constexpr size_t kLanes = hn::MaxLanes(D());

uint32_t ScaleIndicesAt(const int32_t* states, int32_t offset, const uint32_t* expected, size_t count, uint8_t* indices) {
  const DI di;
  const auto* means = reinterpret_cast<const int32_t*>(expected);
  auto sum = hn::Zero(di);
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const auto base = hn::ShiftRight<12>(hn::Add(hn::LoadU(di, states + i), hn::Set(di, 2048)));
    sum = hn::Add(sum, hn::GatherIndex(di, means, base));
    const auto index = hn::Min(hn::Max(hn::Add(base, hn::Set(di, offset)), hn::Zero(di)), hn::Set(di, 63));
    hn::StoreU(hn::DemoteTo(D8(), index), D8(), indices + i);
  }
  return static_cast<uint32_t>(hn::GetLane(hn::SumOfLanes(di, sum))) + ScaleIndices(states + i, offset, expected, count - i, indices + i);
}

uint32_t AdaptAt(int32_t* states, const uint8_t* indices, const int16_t* symbols, size_t count, const int32_t* moves) {
  const DI di;
  auto sum = hn::Zero(di);
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const auto magnitude = hn::Abs(hn::PromoteTo(di, hn::LoadU(D16(), symbols + i)));
    sum = hn::Add(sum, hn::Min(magnitude, hn::Set(di, 4095)));
    const auto row = hn::ShiftLeft<6>(hn::PromoteTo(di, hn::LoadU(D8(), indices + i)));
    const auto move = hn::GatherIndex(di, moves, hn::Add(row, hn::Min(magnitude, hn::Set(di, 63))));
    const auto state = hn::Add(hn::LoadU(di, states + i), move);
    hn::StoreU(hn::Min(hn::Max(state, hn::Zero(di)), hn::Set(di, 63 << 12)), di, states + i);
  }
  return static_cast<uint32_t>(hn::GetLane(hn::SumOfLanes(di, sum))) + Adapt(states + i, indices + i, symbols + i, count - i, moves);
}

size_t NonzerosAt(const int16_t* symbols, size_t count, float offset, float step, uint16_t* list, float* factors) {
  const D d;
  const DI di;
  const hn::Rebind<uint16_t, D> d16;
  size_t i = 0, found = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const auto symbol = hn::PromoteTo(di, hn::LoadU(D16(), symbols + i));
    const auto held = hn::Ne(symbol, hn::Zero(di));
    if (hn::AllFalse(di, held)) continue;
    const auto number = hn::ConvertTo(d, symbol);
    const auto value = hn::Mul(hn::Sub(number, hn::CopySign(hn::Set(d, offset), number)), hn::Set(d, step));
    hn::StoreU(hn::Compress(value, hn::RebindMask(d, held)), d, factors + found);
    const auto place = hn::Compress(hn::Iota(di, static_cast<int32_t>(i)), held);
    hn::StoreU(hn::DemoteTo(d16, place), d16, list + found);
    found += hn::CountTrue(di, held);
  }
  return NonzerosFrom(i, found, symbols, count, offset, step, list, factors);
}

void LowerAt(int16_t* symbols, const float* numbers, const uint8_t* tables, const float* thresholds, size_t count) {
  const D d;
  const DI di;
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const auto symbol = hn::PromoteTo(di, hn::LoadU(D16(), symbols + i));
    if (hn::AllTrue(di, hn::Eq(symbol, hn::Zero(di)))) continue;
    const auto magnitude = hn::Abs(symbol);
    const auto row = hn::ShiftLeft<4>(hn::PromoteTo(di, hn::LoadU(D8(), tables + i)));
    // The threshold of magnitude 0 is 0, which nothing is below.
    const auto place = hn::IfThenElseZero(hn::Lt(magnitude, hn::Set(di, 16)), hn::Add(row, magnitude));
    const auto below = hn::Lt(hn::Abs(hn::LoadU(d, numbers + i)), hn::GatherIndex(d, thresholds, place));
    const auto sign = hn::Or(hn::BroadcastSignBit(symbol), hn::Set(di, 1));
    const auto lower = hn::Sub(symbol, hn::IfThenElseZero(hn::RebindMask(di, below), sign));
    hn::StoreU(hn::DemoteTo(D16(), lower), D16(), symbols + i);
  }
  Lower(symbols + i, numbers + i, tables + i, thresholds, count - i);
}

}  // namespace

void InstallKVSymbols(nc_kv* table) {
  table->scale_indices = ScaleIndicesAt;
  table->adapt = AdaptAt;
  table->nonzeros = NonzerosAt;
  table->lower = LowerAt;
}

}  // namespace HWY_NAMESPACE
}  // namespace nc
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nc {
namespace {

size_t Nonzeros(const int16_t* symbols, size_t count, float offset, float step, uint16_t* list, float* factors) {
  return NonzerosFrom(0, 0, symbols, count, offset, step, list, factors);
}

}  // namespace

void InstallKVSymbolsScalar(nc_kv* table) {
  table->scale_indices = ScaleIndices;
  table->adapt = Adapt;
  table->nonzeros = Nonzeros;
  table->lower = Lower;
}

void InstallKVSymbols(int64_t target, nc_kv* table) { NC_INSTALL(InstallKVSymbols, target, table) }

}  // namespace nc
#endif
