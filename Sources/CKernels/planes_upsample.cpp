// Doubling of planes by a separable symmetric transposed convolution, and its gradients.
//
// With the kernel k of 2 m taps, k[i] = k[2 m - 1 - i], output o = 2 p + s takes from input j = clamp(p + d):
//   s = 0: k[m - 1 - 2 d] for d in -floor(m / 2) ... floor((m - 1) / 2)
//   s = 1: k[m - 2 d] = k[m - 1 + 2 d], that is, the even taps mirrored: d in -floor((m - 1) / 2) ... floor(m / 2).
// So with e[i] the even taps, i = 0 ... m - 1 and d = i - floor(m / 2), one list of m numbers serves both phases.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "planes_upsample.cpp"
#include "planes.h"

#include <cstring>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef NC_PLANES_UPSAMPLE_ONCE
#define NC_PLANES_UPSAMPLE_ONCE
namespace nc {
namespace {

// Which of the m free numbers the even tap i is.
inline size_t FreeIndex(size_t i, size_t m) {
  const size_t d_lo = m / 2;
  const size_t k = m - 1 + 2 * d_lo - 2 * i;  // index in the kernel of 2 m taps
  return k < m ? k : 2 * m - 1 - k;
}

inline size_t Clamp(ptrdiff_t j, size_t n) {
  return j < 0 ? 0 : static_cast<size_t>(j) >= n ? n - 1 : static_cast<size_t>(j);
}

// Scratch rows start this many floats after a multiple of 16, and as many lie beyond their ends.
constexpr size_t kEdge = 16;
static_assert(kEdge > NC_MAX_TAPS, "taps reach less far than the edge");

}  // namespace
}  // namespace nc
#endif

HWY_BEFORE_NAMESPACE();
namespace nc {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

template <class D, size_t M>
struct Doubling {
  using V = hn::Vec<D>;
  static constexpr size_t n = hn::MaxLanes(D());
  static constexpr ptrdiff_t lo = -static_cast<ptrdiff_t>(M / 2);  // d of the even tap 0

  // t[c] = sum over taps of x[clamp(row)][c] for output row o, c in [0, width), zeros behind.
  static HWY_INLINE void Vertical(const float* e, const float* x, size_t height, size_t width, size_t pitch, size_t o,
                                  float* t) {
    const D d;
    const float* rows[M];
    V w[M];
    HWY_UNROLL(8)
    for (size_t i = 0; i < M; i++) {
      const ptrdiff_t shift = lo + static_cast<ptrdiff_t>(i);
      rows[i] = x + Clamp(static_cast<ptrdiff_t>(o / 2) + (o % 2 ? -shift : shift), height) * pitch;
      w[i] = hn::Set(d, e[i]);
    }
    for (size_t c = 0; c < width; c += n) {
      V sum = hn::Mul(w[0], hn::Load(d, rows[0] + c));
      HWY_UNROLL(8)
      for (size_t i = 1; i < M; i++) sum = hn::MulAdd(w[i], hn::Load(d, rows[i] + c), sum);
      hn::Store(sum, d, t + c);
    }
  }

  static void Forward(const float* w, const float* x, size_t in_height, size_t in_width, size_t x_pitch, float* y,
                      size_t height, size_t width, size_t y_pitch, size_t row_begin, size_t row_end) {
    const D d;
    (void)height;
    float e[M];
    for (size_t i = 0; i < M; i++) e[i] = w[FreeIndex(i, M)];
    const size_t t_floats = RoundUp16(in_width) + 2 * kEdge;
    float* t = PlaneScratch(t_floats) + kEdge;
    std::memset(t - kEdge, 0, t_floats * sizeof(float));
    V taps[M];
    for (size_t i = 0; i < M; i++) taps[i] = hn::Set(d, e[i]);
    for (size_t o = row_begin; o < row_end; o++) {
      Vertical(e, x, in_height, in_width, x_pitch, o, t);
      for (size_t i = 1; i <= M; i++) {
        t[-static_cast<ptrdiff_t>(i)] = t[0];
        t[in_width - 1 + i] = t[in_width - 1];
      }
      float* to = y + o * y_pitch;
      for (size_t c = 0; c < in_width; c += n) {
        V even = hn::Mul(taps[0], hn::LoadU(d, t + c + lo)), odd = hn::Mul(taps[0], hn::LoadU(d, t + c - lo));
        HWY_UNROLL(8)
        for (size_t i = 1; i < M; i++) {
          const ptrdiff_t shift = lo + static_cast<ptrdiff_t>(i);
          even = hn::MulAdd(taps[i], hn::LoadU(d, t + c + shift), even);
          odd = hn::MulAdd(taps[i], hn::LoadU(d, t + c - shift), odd);
        }
        if (c + n > in_width) {
          const auto inside = hn::FirstN(d, in_width - c);
          even = hn::IfThenElseZero(inside, even);
          odd = hn::IfThenElseZero(inside, odd);
        }
        hn::StoreInterleaved2(even, odd, d, to + 2 * c);
      }
      to[width] = 0;  // cropped where the width is odd
    }
  }

  // One row of gy split in even and odd columns with zeros all around: ge, go, [in_width] each.
  static HWY_INLINE void Split(const float* gy, size_t width, size_t in_width, float* ge, float* go) {
    const D d;
    for (size_t c = 0; c < in_width; c += n) {
      V a, b;
      hn::LoadInterleaved2(d, gy + 2 * c, a, b);
      hn::Store(a, d, ge + c);
      hn::Store(b, d, go + c);
    }
    const size_t half = width / 2;
    std::memset(ge + in_width, 0, kEdge * sizeof(float));
    std::memset(go + half, 0, kEdge * sizeof(float));
  }

  // h = the horizontal pass's adjoint of (ge, go), in [0, width), zeros behind up to a multiple of 16. With t (or NULL),
  // sums[i] += the products of the even tap i along the row: those of ge[c] with t[c + d] and of go[c] with t[c - d],
  // added up by t's column instead, which takes what the adjoint adds up anyway.
  template <bool with_sums>
  static HWY_INLINE void Adjoint(const float* e, const float* ge, const float* go, const float* t, size_t width,
                                 float* h, double* sums) {
    const D d;
    V taps[M], products[M];
    for (size_t i = 0; i < M; i++) {
      taps[i] = hn::Set(d, e[i]);
      products[i] = hn::Zero(d);
    }
    for (size_t c = 0; c < width; c += n) {
      V sum = hn::Zero(d);
      const V value = with_sums ? hn::Load(d, t + c) : sum;  // zeros behind the row
      HWY_UNROLL(8)
      for (size_t i = 0; i < M; i++) {
        const ptrdiff_t shift = lo + static_cast<ptrdiff_t>(i);
        const V both = hn::Add(hn::LoadU(d, ge + c - shift), hn::LoadU(d, go + c + shift));
        sum = hn::MulAdd(taps[i], both, sum);
        if (with_sums) products[i] = hn::MulAdd(value, both, products[i]);
      }
      if (c + n > width) sum = hn::IfThenElseZero(hn::FirstN(d, width - c), sum);
      hn::Store(sum, d, h + c);
    }
    // What the forward pass took from replicated columns.
    const ptrdiff_t w = static_cast<ptrdiff_t>(width);
    for (size_t i = 0; i < M; i++) {
      const ptrdiff_t shift = lo + static_cast<ptrdiff_t>(i);
      float left = 0, right = 0;
      for (ptrdiff_t p = 0; p < w && p < static_cast<ptrdiff_t>(M); p++) {
        if (p + shift < 0) left += ge[p];
        if (p - shift < 0) left += go[p];
        const ptrdiff_t q = w - 1 - p;
        if (q + shift >= w) right += ge[q];
        if (q - shift >= w) right += go[q];
      }
      h[0] += e[i] * left;
      h[width - 1] += e[i] * right;
      if (with_sums) sums[i] += hn::GetLane(hn::SumOfLanes(d, products[i])) + left * t[0] + right * t[width - 1];
    }
  }

  // Input row j from the rows of h in the ring: gx (or NULL), and kernel_sums[k], k < m, the products of x with what
  // goes through the kernel's taps k and 2 m - 1 - k. For rows that stand for no others.
  static HWY_INLINE void Gather(const float* w, const float* const* rows, const float* x, size_t width, float* gx,
                                bool accumulate, double* kernel_sums) {
    const D d;
    V products[M];
    HWY_UNROLL(8)
    for (size_t k = 0; k < M; k++) products[k] = hn::Zero(d);
    for (size_t c = 0; c < width; c += n) {
      V sum = gx && accumulate ? hn::Load(d, gx + c) : hn::Zero(d);
      const V value = hn::Load(d, x + c);
      HWY_UNROLL(8)
      for (size_t k = 0; k < M; k++) {
        const V both = hn::Add(hn::Load(d, rows[k] + c), hn::Load(d, rows[2 * M - 1 - k] + c));
        sum = hn::MulAdd(hn::Set(d, w[k]), both, sum);
        products[k] = hn::MulAdd(value, both, products[k]);
      }
      if (gx) hn::Store(sum, d, gx + c);
    }
    for (size_t k = 0; k < M; k++) kernel_sums[k] += hn::GetLane(hn::SumOfLanes(d, products[k]));
  }

  // As Gather for the first or last row, which also stand for the rows beyond: tap k + 2 of row j is tap k of row j + 1.
  static void GatherEdge(const float* w, const float* const* rows, const float* x, size_t width, float* gx,
                         bool accumulate, bool first, bool last, double* kernel_sums) {
    const D d;
    if (gx && !accumulate) std::memset(gx, 0, width * sizeof(float));
    for (size_t i = 0; i < 2 * M; i++) {
      float weight = 0;
      const auto product = [&] {
        V sum = hn::Zero(d);
        for (size_t c = 0; c < width; c += n) sum = hn::MulAdd(hn::Load(d, x + c), hn::Load(d, rows[i] + c), sum);
        return hn::GetLane(hn::SumOfLanes(d, sum));
      }();
      for (size_t k = 0; k < 2 * M; k++) {
        if (k != i && !(first && k > i && (k - i) % 2 == 0) && !(last && k < i && (i - k) % 2 == 0)) continue;
        const size_t free = k < M ? k : 2 * M - 1 - k;
        weight += w[free];
        kernel_sums[free] += product;
      }
      if (!gx) continue;
      for (size_t c = 0; c < width; c += n)
        hn::Store(hn::MulAdd(hn::Set(d, weight), hn::Load(d, rows[i] + c), hn::Load(d, gx + c)), d, gx + c);
    }
  }

  static void Backward(const float* w, const float* x, float* gx, size_t in_height, size_t in_width, size_t x_pitch,
                       const float* gy, size_t height, size_t width, size_t y_pitch, size_t row_begin, size_t row_end,
                       double* gw, bool accumulate) {
    constexpr size_t ring = 2 * M;
    float e[M];
    double sums[M] = {}, kernel_sums[M] = {};
    for (size_t i = 0; i < M; i++) e[i] = w[FreeIndex(i, M)];
    const size_t stride = RoundUp16(in_width) + 2 * kEdge;
    float* base = PlaneScratch((4 + ring) * stride);
    std::memset(base, 0, (4 + ring) * stride * sizeof(float));
    float *ge = base + kEdge, *go = ge + stride, *t = go + stride, *zeros = t + stride, *h = zeros + stride;
    const ptrdiff_t last = static_cast<ptrdiff_t>(height) - 1, m = M;
    ptrdiff_t next = 2 * static_cast<ptrdiff_t>(row_begin) - m + 1;  // the first output row not in the ring
    if (next < 0) next = 0;
    for (size_t j = row_begin; j < row_end; j++) {
      // Input row j appears in the output rows o with a kernel index o + m - 1 - 2 j in [0, 2 m).
      const ptrdiff_t begin = 2 * static_cast<ptrdiff_t>(j) - m + 1;
      for (; next <= last && next <= begin + 2 * m - 1; next++) {
        const size_t o = static_cast<size_t>(next);
        float* row = h + o % ring * stride;
        Split(gy + o * y_pitch, width, in_width, ge, go);
        if (o / 2 >= row_begin && o / 2 < row_end) {
          Vertical(e, x, in_height, in_width, x_pitch, o, t);
          Adjoint<true>(e, ge, go, t, in_width, row, sums);
        } else {  // another band's
          Adjoint<false>(e, ge, go, nullptr, in_width, row, nullptr);
        }
      }
      const float* rows[ring];
      for (size_t i = 0; i < ring; i++) {
        const ptrdiff_t o = begin + static_cast<ptrdiff_t>(i);
        rows[i] = o < 0 || o > last ? zeros : h + static_cast<size_t>(o) % ring * stride;
      }
      float* to = gx ? gx + j * x_pitch : nullptr;
      const bool top = j == 0, bottom = j + 1 == in_height;
      if (top || bottom)
        GatherEdge(w, rows, x + j * x_pitch, in_width, to, accumulate, top, bottom, kernel_sums);
      else
        Gather(w, rows, x + j * x_pitch, in_width, to, accumulate, kernel_sums);
    }
    for (size_t i = 0; i < M; i++) {
      gw[FreeIndex(i, M)] += sums[i];
      gw[i] += kernel_sums[i];
    }
  }
};

#define NC_FOR_M(CALL)           \
  switch (m) {                   \
    case 1: CALL(1); break;      \
    case 2: CALL(2); break;      \
    case 3: CALL(3); break;      \
    case 4: CALL(4); break;      \
    case 5: CALL(5); break;      \
    case 6: CALL(6); break;      \
    case 7: CALL(7); break;      \
    default: CALL(8); break;     \
  }

template <class D>
void Upsample(const float* w, size_t m, const float* x, size_t in_height, size_t in_width, size_t x_pitch, float* y,
              size_t height, size_t width, size_t y_pitch, size_t row_begin, size_t row_end) {
#define NC_CALL(M) \
  Doubling<D, M>::Forward(w, x, in_height, in_width, x_pitch, y, height, width, y_pitch, row_begin, row_end)
  NC_FOR_M(NC_CALL)
#undef NC_CALL
}

template <class D>
void UpsampleBack(const float* w, size_t m, const float* x, float* gx, size_t in_height, size_t in_width,
                  size_t x_pitch, const float* gy, size_t height, size_t width, size_t y_pitch, size_t row_begin,
                  size_t row_end, double* gw, bool accumulate) {
#define NC_CALL(M)                                                                                            \
  Doubling<D, M>::Backward(w, x, gx, in_height, in_width, x_pitch, gy, height, width, y_pitch, row_begin, row_end, gw, \
                           accumulate)
  NC_FOR_M(NC_CALL)
#undef NC_CALL
}

template <class D>
void Fill(nc_planes* table) {
  table->upsample = Upsample<D>;
  table->upsample_back = UpsampleBack<D>;
}

HWY_MAYBE_UNUSED void Install(nc_planes* table) { Fill<hn::ScalableTag<float>>(table); }
HWY_MAYBE_UNUSED void InstallScalar(nc_planes* table) { Fill<hn::CappedTag<float, 1>>(table); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace nc
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nc {
void InstallPlanesUpsampleScalar(nc_planes* table) { HWY_STATIC_DISPATCH(InstallScalar)(table); }
void InstallPlanesUpsample(int64_t target, nc_planes* table) { NC_INSTALL(Install, target, table) }
}  // namespace nc
#endif
