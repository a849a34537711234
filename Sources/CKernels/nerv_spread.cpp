// What follows the convolution: the activation and the shuffle into rows of pairs and what is added to those, or samples; bitstream-spec 14.4.
//
// A lane holds one column of one channel, until two channels share it as the pair that the next stage reads.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nerv_spread.cpp"
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

using D32 = hn::CappedTag<int32_t, NC_NERV_GROUP>;
using V32 = hn::Vec<D32>;
using DU = hn::RebindToUnsigned<D32>;
constexpr size_t n = hn::MaxLanes(D32());

HWY_INLINE V32 Columns(const int16_t* p) { return hn::PromoteTo(D32(), hn::LoadU(hn::Rebind<int16_t, D32>(), p)); }

struct Activation {
  const uint16_t* table;  // NULL: none
  int drop;    // bits
  V32 half, low, high;
  explicit HWY_INLINE Activation(const nc_nerv_stage* s, const uint16_t* table)
      : table(s->linear ? nullptr : table), drop(10 - s->fraction), half(hn::Set(D32(), (1 << drop) >> 1)), low(hn::Set(D32(), -8192)), high(hn::Set(D32(), 8191)) {}

  HWY_INLINE V32 operator()(V32 p) const {
    const D32 d;
    if (table == nullptr) return hn::Min(hn::Max(hn::ShiftRightSame(p + half, drop), low), high);
    const V32 magnitude = hn::Min(hn::Abs(p), hn::Set(d, NC_NERV_ACTIVATIONS - 1));
    // Numbers of 16 bits are fetched with their right neighbours.
    const V32 fetched = hn::GatherOffset(d, reinterpret_cast<const int32_t*>(table), hn::ShiftLeft<1>(magnitude));
    const V32 g = hn::Max(p, hn::Zero(d)) - hn::And(fetched, hn::Set(d, 0xFFFF));
    return hn::Min(hn::Max(hn::ShiftRightSame(g + half, drop), low), high);
  }
};

// Pairs of columns [x, x + n) of the channels whose numbers are at a and b; b may be NULL.
HWY_INLINE hn::Vec<DU> Pairs(const Activation& activation, const int16_t* a, const int16_t* b) {
  const D32 d;
  V32 pair = hn::And(activation(Columns(a)), hn::Set(d, 0xFFFF));
  if (b != nullptr) pair = hn::Or(pair, hn::ShiftLeft<16>(activation(Columns(b))));
  return hn::BitCast(DU(), pair);
}

void Spread(const nc_nerv_stage* s, const uint16_t* table, const int16_t* p, size_t p_pitch, size_t width, size_t dy, int16_t* out,
            size_t pair_stride) {
  const DU d;
  const Activation activation(s, table);
  const size_t outputs = s->outputs, f = s->factor;
  for (size_t c = 0; c < outputs; c += 2, out += pair_stride) {
    const int16_t* a = p + (c * f + dy) * f * p_pitch;
    const int16_t* b = c + 1 < outputs ? a + f * f * p_pitch : nullptr;
    auto at = [&](size_t dx, size_t x) { return Pairs(activation, a + dx * p_pitch + x, b ? b + dx * p_pitch + x : nullptr); };
    uint32_t* to = reinterpret_cast<uint32_t*>(out);
    switch (f) {
      case 1:
        for (size_t x = 0; x < width; x += n) hn::StoreU(at(0, x), d, to + x);
        break;
      case 2:
        for (size_t x = 0; x < width; x += n) hn::StoreInterleaved2(at(0, x), at(1, x), d, to + 2 * x);
        break;
      case 3:
        for (size_t x = 0; x < width; x += n) hn::StoreInterleaved3(at(0, x), at(1, x), at(2, x), d, to + 3 * x);
        break;
      case 4:
        for (size_t x = 0; x < width; x += n)
          hn::StoreInterleaved4(at(0, x), at(1, x), at(2, x), at(3, x), d, to + 4 * x);
        break;
      default:
        for (size_t dx = 0; dx < f; dx++)
          for (size_t x = 0; x < width; x += n) {
            HWY_ALIGN uint32_t lanes[n];
            hn::Store(at(dx, x), d, lanes);
            for (size_t i = 0; i < n; i++) to[f * (x + i) + dx] = lanes[i];
          }
    }
  }
}

using D16 = hn::Repartition<int16_t, D32>;

HWY_INLINE hn::Vec<D16> Limited(hn::Vec<D16> v) { return hn::Min(hn::Max(v, hn::Set(D16(), -8192)), hn::Set(D16(), 8191)); }

// Columns [x, x + n) of the part of an enlarged row that is at dx of each of its cells; `row` has a column more at both ends.
HWY_INLINE hn::Vec<D16> Between(const int16_t* row, size_t x, const NervPlace& place) {
  const D16 d;
  const int16_t* from = row + 2 * x - (place.is_before ? 2 : 0);
  const auto a = hn::LoadU(d, from), b = hn::LoadU(d, from + 2);
  return a + hn::MulFixedPoint15(b - a, hn::Set(d, static_cast<int16_t>(place.weight)));
}

HWY_INLINE hn::Vec<DU> Added(hn::Vec<DU> out, hn::Vec<D16> more) { return hn::BitCast(DU(), Limited(hn::BitCast(D16(), out) + more)); }

void Add(const int16_t* above, const int16_t* below, int32_t weight, size_t width, size_t f, int16_t* out, int16_t* scratch) {
  const D16 d;
  const DU du;
  if (f == 1) {
    for (size_t x = 0; x < 2 * width; x += 2 * n) hn::StoreU(Limited(hn::LoadU(d, out + x) + hn::LoadU(d, above + x)), d, out + x);
    return;
  }
  int16_t* row = scratch + 2;
  const auto w = hn::Set(d, static_cast<int16_t>(weight));
  for (size_t x = 0; x < 2 * width; x += 2 * n) {
    const auto a = hn::LoadU(d, above + x);
    hn::StoreU(a + hn::MulFixedPoint15(hn::LoadU(d, below + x) - a, w), d, row + x);
  }
  NervRepeatEnds(row, width);
  uint32_t* to = reinterpret_cast<uint32_t*>(out);
  const NervPlace p0(0, f), p1(1, f), p2(2, f), p3(3, f);
  switch (f) {
    case 2:
      for (size_t x = 0; x < width; x += n) {
        hn::Vec<DU> a, b;
        hn::LoadInterleaved2(du, to + 2 * x, a, b);
        hn::StoreInterleaved2(Added(a, Between(row, x, p0)), Added(b, Between(row, x, p1)), du, to + 2 * x);
      }
      break;
    case 3:
      for (size_t x = 0; x < width; x += n) {
        hn::Vec<DU> a, b, c;
        hn::LoadInterleaved3(du, to + 3 * x, a, b, c);
        hn::StoreInterleaved3(Added(a, Between(row, x, p0)), Added(b, Between(row, x, p1)), Added(c, Between(row, x, p2)), du, to + 3 * x);
      }
      break;
    case 4:
      for (size_t x = 0; x < width; x += n) {
        hn::Vec<DU> a, b, c, e;
        hn::LoadInterleaved4(du, to + 4 * x, a, b, c, e);
        hn::StoreInterleaved4(Added(a, Between(row, x, p0)), Added(b, Between(row, x, p1)), Added(c, Between(row, x, p2)),
                              Added(e, Between(row, x, p3)), du, to + 4 * x);
      }
      break;
    default:
      for (size_t dx = 0; dx < f; dx++) {
        const NervPlace place(dx, f);
        for (size_t x = 0; x < width; x += n) {
          HWY_ALIGN uint32_t lanes[n];
          for (size_t i = 0; i < n; i++) lanes[i] = to[f * (x + i) + dx];
          hn::Store(Added(hn::Load(du, lanes), Between(row, x, place)), du, lanes);
          for (size_t i = 0; i < n; i++) to[f * (x + i) + dx] = lanes[i];
        }
      }
  }
}

void Finish(const uint8_t* samples, const int16_t* p, size_t width, uint8_t* out) {
  const D32 d;
  const hn::Rebind<uint8_t, D32> bytes;
  size_t x = 0;
  for (; x + n <= width; x += n) {
    const V32 at = hn::Min(hn::Max(Columns(p + x), hn::Set(d, -8192)), hn::Set(d, 8191)) + hn::Set(d, 8192);
    const V32 fetched = hn::GatherOffset(d, reinterpret_cast<const int32_t*>(samples), at);
    hn::StoreU(hn::DemoteTo(bytes, hn::And(fetched, hn::Set(d, 0xFF))), bytes, out + x);
  }
  for (; x < width; x++) {
    const int32_t v = p[x] < -8192 ? -8192 : p[x] > 8191 ? 8191 : p[x];
    out[x] = samples[v + 8192];
  }
}

void Install(nc_nerv* table) {
  table->spread = Spread;
  table->add = Add;
  table->finish = Finish;
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
int16_t Limited(int32_t v) { return static_cast<int16_t>(v < -8192 ? -8192 : v > 8191 ? 8191 : v); }

int16_t Activate(const nc_nerv_stage* s, const uint16_t* table, int32_t p) {
  const int32_t magnitude = p < 0 ? -p : p;
  const int32_t g = s->linear ? p : (p < 0 ? 0 : p) - table[magnitude < NC_NERV_ACTIVATIONS ? magnitude : NC_NERV_ACTIVATIONS - 1];
  const int32_t drop = 10 - s->fraction, y = (g + ((1 << drop) >> 1)) >> drop;
  return Limited(y);
}

int32_t Between(int32_t a, int32_t b, int32_t weight) { return a + (((b - a) * weight + (1 << 14)) >> 15); }

void AddScalar(const int16_t* above, const int16_t* below, int32_t weight, size_t width, size_t f, int16_t* out, int16_t* scratch) {
  int16_t* row = scratch + 2;
  for (size_t x = 0; x < 2 * width; x++) row[x] = static_cast<int16_t>(Between(above[x], below[x], weight));
  NervRepeatEnds(row, width);
  for (size_t dx = 0; dx < f; dx++) {
    const NervPlace place(dx, f);
    for (size_t x = 0; x < width; x++)
      for (size_t i = 0; i < 2; i++) {
        const int16_t* from = row + 2 * x + i - (place.is_before ? 2 : 0);
        int16_t* to = out + 2 * (f * x + dx) + i;
        *to = Limited(*to + Between(from[0], from[2], place.weight));
      }
  }
}

void SpreadScalar(const nc_nerv_stage* s, const uint16_t* table, const int16_t* p, size_t p_pitch, size_t width, size_t dy,
                  int16_t* out, size_t pair_stride) {
  const size_t outputs = s->outputs, f = s->factor;
  for (size_t c = 0; c < (outputs + 1) / 2 * 2; c++)
    for (size_t dx = 0; dx < f; dx++)
      for (size_t x = 0; x < width; x++)
        out[c / 2 * pair_stride + 2 * (x * f + dx) + c % 2] =
            c < outputs ? Activate(s, table, p[((c * f + dy) * f + dx) * p_pitch + x]) : int16_t{0};
}

void FinishScalar(const uint8_t* samples, const int16_t* p, size_t width, uint8_t* out) {
  for (size_t x = 0; x < width; x++) {
    const int32_t v = p[x] < -8192 ? -8192 : p[x] > 8191 ? 8191 : p[x];
    out[x] = samples[v + 8192];
  }
}

}  // namespace

void InstallNervSpreadScalar(nc_nerv* table) {
  table->spread = SpreadScalar;
  table->add = AddScalar;
  table->finish = FinishScalar;
}
void InstallNervSpread(int64_t target, nc_nerv* table) { NC_INSTALL(Install, target, table) }
}  // namespace nc
#endif
