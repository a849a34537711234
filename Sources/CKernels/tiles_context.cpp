// The causal context model: gather, perceptron, Laplace cost and all gradients of a tile in one pass.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tiles_context.cpp"
#include "targets.h"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstring>

#include "tiles.h"
#include "tiles_internal.h"
#include "tiles_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace nc {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

constexpr size_t kT = NC_TILE;

// Where a band's scratch memory holds what.
template <class D>
struct ContextScratch {
  float* r;        // [R][T], the stack's values
  float* h[NC_MAX_HIDDEN + 1];  // [C][T]: inputs, then each layer's output
  float* out;      // [2][T]
  float* gout;     // [2][T]
  float* ga;       // [C][T]
  float* gb;       // [C][T]
  float* gr;       // [R][T]
  float* acc;      // one vector per parameter

  ContextScratch(const nc_context_model& m, float* p) {
    const ContextShape shape(m);
    auto take = [&p](size_t rows) {
      float* start = p;
      p += rows * kT;
      return start;
    };
    r = take(shape.raw);
    for (int32_t l = 0; l <= m.hidden; l++) h[l] = take(shape.width);
    out = take(2);
    gout = take(2);
    ga = take(shape.width);
    gb = take(shape.width);
    gr = take(shape.raw);
    acc = p;
  }
};

constexpr int32_t kHalf = NC_TILE / 2;
// 24 is no multiple of the widest vectors.
using DHalf = hn::CappedTag<float, 8>;

// Each of 24 values of half-resolution row `from` twice.
HWY_INLINE void Double(const float* HWY_RESTRICT from, float* HWY_RESTRICT to) {
  const DHalf d;
  for (int32_t i = 0; i < kHalf; i += hn::Lanes(d)) {
    const auto v = hn::LoadU(d, from + i);
    hn::StoreInterleaved2(v, v, d, to + 2 * i);
  }
}

// from[i] and from[i + 2] in turn: with from = row - 1, the neighbour on each child's side.
HWY_INLINE void Sides(const float* HWY_RESTRICT from, float* HWY_RESTRICT to) {
  const DHalf d;
  for (int32_t i = 0; i < kHalf; i += hn::Lanes(d))
    hn::StoreInterleaved2(hn::LoadU(d, from + i), hn::LoadU(d, from + i + 2), d, to + 2 * i);
}

// Columns px - 1 to px + 24 of a row, clamped to its `width`: in place where none needs it, else in `line`.
HWY_INLINE const float* ClampedRow(const float* row, int32_t px, int32_t width, float* line) {
  if (px > 0 && px + kHalf < width) return row + px - 1;
  for (int32_t i = 0; i < kHalf + 2; i++) {
    const int32_t c = px - 1 + i;
    line[i] = row[c < 0 ? 0 : c >= width ? width - 1 : c];
  }
  return line;
}

HWY_INLINE int32_t Clamp(int32_t v, int32_t high) { return v < 0 ? 0 : v >= high ? high - 1 : v; }

void GatherStack(const nc_context_model& m, int32_t row, int32_t x0, float* r) {
  const int32_t py = row >> 1, px = x0 >> 1;
  float line[kHalf + 2];
  for (int32_t plane = 0; plane < m.stack; plane++) {
    const float* from = m.s + plane * m.s_plane;
    const float* own = ClampedRow(from + py * m.s_pitch, px, m.s_width, line);
    Double(own + 1, r);
    r += kT;
    if (plane == 0 && m.mirrored) {
      Sides(own, r);
      const int32_t side = Clamp(py + (row & 1 ? 1 : -1), m.s_height);
      const float* other = ClampedRow(from + side * m.s_pitch, px, m.s_width, line);
      Double(other + 1, r + kT);
      Sides(other, r + 2 * kT);
      r += 3 * kT;
    }
  }
}

// to[clamped(px - 1 + i)] += line[i] for the first n + 2 columns.
HWY_INLINE void AddClamped(const float* HWY_RESTRICT line, int32_t n, int32_t px, int32_t width,
                           float* HWY_RESTRICT to) {
  if (px > 0 && px + n < width) {
    for (int32_t i = 0; i < n + 2; i++) to[px - 1 + i] += line[i];
    return;
  }
  for (int32_t i = 0; i < n + 2; i++) {
    const int32_t c = px - 1 + i;
    to[c < 0 ? 0 : c >= width ? width - 1 : c] += line[i];
  }
}

// line[i + 1] = sum of g's pair i; with sides, line[i] and line[i + 2] also get the pair of `side`.
HWY_INLINE void Pairs(const float* HWY_RESTRICT g, const float* HWY_RESTRICT side, float* HWY_RESTRICT line) {
  const DHalf d;
  line[0] = line[kHalf + 1] = 0;
  for (int32_t i = 0; i < kHalf; i += hn::Lanes(d)) {
    hn::Vec<DHalf> even, odd;
    hn::LoadInterleaved2(d, g + 2 * i, even, odd);
    hn::StoreU(hn::Add(even, odd), d, line + 1 + i);
  }
  if (!side) return;
  for (int32_t i = 0; i < kHalf; i += hn::Lanes(d)) {
    hn::Vec<DHalf> even, odd;
    hn::LoadInterleaved2(d, side + 2 * i, even, odd);
    hn::StoreU(hn::Add(hn::LoadU(d, line + i), even), d, line + i);
    hn::StoreU(hn::Add(hn::LoadU(d, line + i + 2), odd), d, line + i + 2);
  }
}

// The transpose of GatherStack. Rows outside the band's parents go to `halo` rows: above, below.
void ScatterStack(const nc_context_model& m, int32_t row, int32_t row0, int32_t row1, int32_t x0, int32_t n,
                  const float* g, float* halo) {
  const int32_t py = row >> 1, px = x0 >> 1;
  float line[kHalf + 2];
  const int32_t count = (n + 1) / 2;
  for (int32_t plane = 0; plane < m.stack; plane++) {
    float* to = m.gs + plane * m.s_plane + py * m.s_pitch;
    if (plane == 0 && m.mirrored) {
      Pairs(g, g + kT, line);
      AddClamped(line, count, px, m.s_width, to);
      const int32_t y = Clamp(py + (row & 1 ? 1 : -1), m.s_height);
      float* target = m.gs + y * m.s_pitch;
      if (y < row0 / 2) target = halo;
      if (y >= (row1 + 1) / 2) target = halo + m.s_pitch;
      Pairs(g + 2 * kT, g + 3 * kT, line);
      AddClamped(line, count, px, m.s_width, target);
      g += 4 * kT;
    } else {
      Pairs(g, nullptr, line);
      for (int32_t i = 0; i < count; i++) to[px + i] += line[i + 1];
      g += kT;
    }
  }
}

// Bits of the tile's first n values, and where `weight` is not 0 the gradients of weight * bits by (mu, s) and by value,
// times `probe` if there is one.
template <class D>
HWY_INLINE float Cost(D d, const float* x, const float* probe, const float* out, int32_t n, float weight, float* gout,
                      float* gx) {
  constexpr int32_t kN = static_cast<int32_t>(hn::MaxLanes(D()));
  const auto half = hn::Set(d, 0.5f), one = hn::Set(d, 1.0f);
  auto bits = hn::Zero(d);
  for (int32_t t = 0; t < static_cast<int32_t>(kT); t += kN) {
    const auto live = hn::FirstN(d, static_cast<size_t>(n > t ? n - t : 0));
    const auto v = hn::IfThenElseZero(live, hn::LoadU(d, x + t));
    const auto delta = hn::Sub(v, hn::Load(d, out + t));
    const auto raw = hn::Sub(hn::Load(d, out + kT + t), hn::Set(d, 4.0f));
    const auto s = hn::Min(hn::Max(raw, hn::Set(d, kMinLogScale)), hn::Set(d, kMaxLogScale));
    const auto inverse = Exp(d, hn::Neg(s));
    const auto a = hn::Abs(delta);
    const auto near = hn::Sub(a, half), far = hn::Add(a, half);
    const auto e1 = Exp(d, hn::Neg(hn::Mul(hn::Abs(near), inverse)));
    const auto e2 = Exp(d, hn::Neg(hn::Mul(far, inverse)));
    const auto inside = hn::Lt(a, half);
    const auto p = hn::Add(hn::IfThenElse(inside, hn::NegMulAdd(half, hn::Add(e1, e2), one), hn::Mul(half, hn::Sub(e1, e2))),
                           hn::Set(d, kFloor));
    bits = hn::Sub(bits, hn::IfThenElseZero(live, Log2(d, p)));
    if (weight != 0) {
      // d bits / dp = -1 / (p ln 2)
      auto g = hn::IfThenElseZero(live, hn::Div(hn::Set(d, -1.44269504f * weight), p));
      if (probe) g = hn::Mul(g, hn::LoadU(d, probe + t));
      const auto scaled = hn::Mul(hn::Mul(g, half), inverse);
      const auto da = hn::CopySignToAbs(hn::Set(d, 1.0f), delta);
      const auto gv = hn::Mul(hn::Mul(scaled, hn::Sub(e2, e1)), da);
      hn::Store(hn::Neg(gv), d, gout + t);
      const auto gs = hn::Mul(scaled, hn::MulSub(e1, near, hn::Mul(e2, far)));
      hn::Store(hn::IfThenElseZero(hn::Eq(raw, s), gs), d, gout + kT + t);
      hn::Store(gv, d, gx + t);
    }
  }
  return hn::GetLane(hn::SumOfLanes(d, bits));
}

template <class D>
double ContextBand(const nc_context_model* mp, int32_t row0, int32_t row1, float* gradient, float* halo,
                   float* memory) {
  const D d;
  constexpr size_t kN = hn::MaxLanes(D());
  const nc_context_model& m = *mp;
  const ContextShape shape(m);
  const ContextScratch<D> at(m, memory);
  const size_t c = shape.width, raw = shape.raw;
  const int32_t hidden = m.hidden;
  const bool wants = halo != nullptr, learns = gradient != nullptr;
  float* const halo_s = halo ? halo + NC_CONTEXT_ROWS * m.pitch : nullptr;
  if (wants) {
    if (learns) std::memset(at.acc, 0, shape.parameters * kN * sizeof(float));
    std::memset(halo, 0, nc_context_halo(mp) * sizeof(float));
    halo += NC_MARGIN;
  }
  HWY_ALIGN float gx[kT];
  double bits = 0;
  for (int32_t y = row0; y < row1; y++) {
    const float* row = m.x + y * m.pitch;
    for (int32_t x0 = 0; x0 < m.width; x0 += static_cast<int32_t>(kT)) {
      const int32_t n = m.width - x0 < static_cast<int32_t>(kT) ? m.width - x0 : static_cast<int32_t>(kT);
      for (int32_t k = 0; k < m.spatial; k++)
        std::memcpy(at.h[0] + k * kT, row + m.dy[k] * m.pitch + x0 + m.dx[k], kT * sizeof(float));
      float* features = at.h[0] + m.spatial * kT;
      if (raw) {
        GatherStack(m, y, x0, at.r);
        Linear(d, m.wf, m.bf, at.r, raw, features, m.features, kPlain);
      } else {
        std::memset(features, 0, m.features * kT * sizeof(float));
      }
      for (int32_t l = 0; l < hidden; l++)
        Linear(d, m.w[l], m.b[l], at.h[l], c, at.h[l + 1], c, kResidualRelu);
      Linear(d, m.wo, m.bo, at.h[hidden], c, at.out, 2, kPlain);
      Linear(d, m.ws, static_cast<const float*>(nullptr), at.h[0], c, at.gout, 2, kPlain);
      for (size_t t = 0; t < 2 * kT; t += kN)
        hn::Store(hn::Add(hn::Load(d, at.out + t), hn::Load(d, at.gout + t)), d, at.out + t);
      bits += Cost(d, row + x0, m.probe ? m.probe + y * m.pitch + x0 : nullptr, at.out, n, wants ? m.weight : 0.0f, at.gout, gx);
      if (!wants) continue;

      float* acc = at.acc;
      float* const acc_out = acc + shape.output * kN;
      if (learns) {
        Outer(d, at.gout, 2, at.h[hidden], c, acc_out);
        Outer(d, at.gout, 2, at.h[0], c, acc_out + 2 * c * kN);
        BiasSum(d, at.gout, 2, acc_out + 4 * c * kN);
      }
      float *g = at.ga, *next = at.gb;
      Transposed(d, m.wo, at.gout, 2, nullptr, hidden ? at.h[hidden] : nullptr, g, c);
      for (int32_t l = hidden - 1; l >= 0; l--) {
        float* a = acc + l * (c + 1) * c * kN;
        if (learns) {
          Outer(d, g, c, at.h[l], c, a);
          BiasSum(d, g, c, a + c * c * kN);
        }
        Transposed(d, m.w[l], g, c, g, l ? at.h[l] : nullptr, next, c);
        std::swap(g, next);
      }
      Transposed(d, m.ws, at.gout, 2, g, nullptr, g, c);

      float* own = m.gx + y * m.pitch + x0;
      for (int32_t t = 0; t < n; t++) own[t] += gx[t];
      for (int32_t k = 0; k < m.spatial; k++) {
        const int32_t target = y + m.dy[k];
        float* to = target >= row0 ? m.gx + target * m.pitch : halo + (target - row0 + NC_CONTEXT_ROWS) * m.pitch;
        to += x0 + m.dx[k];
        const float* from = g + k * kT;
        for (int32_t t = 0; t < n; t++) to[t] += from[t];
      }
      if (raw) {
        const float* gf = g + m.spatial * kT;
        float* a = acc + shape.feature * kN;
        if (learns) {
          Outer(d, gf, m.features, at.r, raw, a);
          BiasSum(d, gf, m.features, a + m.features * raw * kN);
        }
        Transposed(d, m.wf, gf, m.features, nullptr, nullptr, at.gr, raw);
        ScatterStack(m, y, row0, row1, x0, n, at.gr, halo_s);
      }
    }
  }
  if (learns) SumLanes(d, at.acc, shape.parameters, gradient);
  return bits;
}

}  // namespace

void InstallContext(nc_tiles* table) { table->context_band = ContextBand<hn::ScalableTag<float>>; }
}  // namespace HWY_NAMESPACE
}  // namespace nc
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nc {

ContextShape::ContextShape(const nc_context_model& m) {
  width = static_cast<size_t>(m.spatial + m.features);
  raw = m.stack && m.features ? static_cast<size_t>(m.stack + (m.mirrored ? 3 : 0)) : 0;
  output = static_cast<size_t>(m.hidden) * (width + 1) * width;
  feature = output + 4 * width + 2;
  parameters = feature + (raw ? static_cast<size_t>(m.features) * (raw + 1) : 0);
}

void InstallContext(int64_t target, nc_tiles* table) {
  table->context_band = HWY_NAMESPACE::ContextBand<hwy::HWY_NAMESPACE::CappedTag<float, 1>>;
  NC_INSTALL(InstallContext, target, table);
}

}  // namespace nc

size_t nc_context_parameters(const nc_context_model* m) { return nc::ContextShape(*m).parameters; }

size_t nc_context_scratch(const nc_context_model* m) {
  const nc::ContextShape s(*m);
  return (2 * s.raw + (m->hidden + 3) * s.width + 4) * NC_TILE + s.parameters * nc::kMaxLanes;
}

size_t nc_context_halo(const nc_context_model* m) {
  return static_cast<size_t>(NC_CONTEXT_ROWS * m->pitch + 2 * m->s_pitch);
}

void nc_context_merge(const nc_context_model* m, int32_t row0, int32_t row1, const float* halo) {
  for (int32_t r = 0; r < NC_CONTEXT_ROWS; r++) {
    const int32_t y = row0 - NC_CONTEXT_ROWS + r;
    if (y < 0) continue;
    const float* from = halo + NC_MARGIN + r * m->pitch;
    float* to = m->gx + y * m->pitch;
    for (int32_t x = 0; x < m->width; x++) to[x] += from[x];
  }
  if (!m->stack || !m->features || !m->mirrored) return;
  const float* from = halo + NC_CONTEXT_ROWS * m->pitch;
  const int32_t rows[2] = {row0 / 2 - 1, (row1 + 1) / 2};
  for (int32_t k = 0; k < 2; k++) {
    if (rows[k] < 0 || rows[k] >= m->s_height) continue;
    float* to = m->gs + rows[k] * m->s_pitch;
    for (int32_t x = 0; x < m->s_width; x++) to[x] += from[k * m->s_pitch + x];
  }
}
#endif  // HWY_ONCE
