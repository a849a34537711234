// A perceptron of one hidden layer per position, with a linear map beside it. The hidden layer never leaves the cache: the
// backward pass computes it again.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tiles_perceptron.cpp"
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

// n values into a tile row whose rest is zero.
HWY_INLINE void LoadRow(const float* from, int32_t n, float* to) {
  if (n == static_cast<int32_t>(kT)) {
    std::memcpy(to, from, kT * sizeof(float));
  } else {
    std::memcpy(to, from, n * sizeof(float));
    std::memset(to + n, 0, (kT - n) * sizeof(float));
  }
}

template <class D>
void Forward(const nc_perceptron* pp, int32_t row0, int32_t row1, float* memory) {
  const D d;
  const nc_perceptron& p = *pp;
  float* const in = memory;
  float* const h = in + p.inputs * kT;
  float* const out = h + p.width * kT;
  for (int32_t y = row0; y < row1; y++) {
    for (int32_t x0 = 0; x0 < p.columns; x0 += static_cast<int32_t>(kT)) {
      const int32_t n = p.columns - x0 < static_cast<int32_t>(kT) ? p.columns - x0 : static_cast<int32_t>(kT);
      for (int32_t i = 0; i < p.inputs; i++) LoadRow(p.x[i] + y * p.x_pitch + x0, n, in + i * kT);
      Linear(d, p.w1, p.b1, in, p.inputs, h, p.width, kRelu);
      Linear(d, p.w2, p.b2, h, p.width, out, p.outputs, kPlain);
      for (int32_t o = 0; o < p.outputs; o++)
        std::memcpy(p.y + o * p.y_plane + y * p.y_pitch + x0, out + o * kT, n * sizeof(float));
      if (!p.linear) continue;
      Linear(d, p.a, static_cast<const float*>(nullptr), in, p.inputs, out, p.linear, kPlain);
      for (int32_t o = 0; o < p.linear; o++)
        std::memcpy(p.l + o * p.l_plane + y * p.l_pitch + x0, out + o * kT, n * sizeof(float));
    }
  }
}

template <class D>
void Backward(const nc_perceptron* pp, int32_t row0, int32_t row1, float* gradient, float* memory) {
  const D d;
  constexpr size_t kN = hn::MaxLanes(D());
  const nc_perceptron& p = *pp;
  float* const in = memory;
  float* const gin = in + p.inputs * kT;
  float* const h = gin + p.inputs * kT;
  float* const gh = h + p.width * kT;
  float* const gout = gh + p.width * kT;
  float* const gl = gout + p.outputs * kT;
  float* const acc = gl + p.linear * kT;
  float* const acc2 = acc + (p.inputs + 1) * p.width * kN;
  float* const acc3 = acc2 + (p.width + 1) * p.outputs * kN;
  const size_t parameters = nc_perceptron_parameters(pp);
  const bool learns = gradient != nullptr;
  if (learns) std::memset(acc, 0, parameters * kN * sizeof(float));
  for (int32_t y = row0; y < row1; y++) {
    for (int32_t x0 = 0; x0 < p.columns; x0 += static_cast<int32_t>(kT)) {
      const int32_t n = p.columns - x0 < static_cast<int32_t>(kT) ? p.columns - x0 : static_cast<int32_t>(kT);
      for (int32_t i = 0; i < p.inputs; i++) LoadRow(p.x[i] + y * p.x_pitch + x0, n, in + i * kT);
      for (int32_t o = 0; o < p.outputs; o++) LoadRow(p.gy + o * p.y_plane + y * p.y_pitch + x0, n, gout + o * kT);
      for (int32_t o = 0; o < p.linear; o++) LoadRow(p.gl + o * p.l_plane + y * p.l_pitch + x0, n, gl + o * kT);
      Linear(d, p.w1, p.b1, in, p.inputs, h, p.width, kRelu);
      Transposed(d, p.w2, gout, p.outputs, nullptr, h, gh, p.width);
      Transposed(d, p.w1, gh, p.width, nullptr, nullptr, gin, p.inputs);
      if (p.linear) Transposed(d, p.a, gl, p.linear, gin, nullptr, gin, p.inputs);
      if (learns) {
        Outer(d, gout, p.outputs, h, p.width, acc2);
        BiasSum(d, gout, p.outputs, acc2 + p.width * p.outputs * kN);
        Outer(d, gh, p.width, in, p.inputs, acc);
        BiasSum(d, gh, p.width, acc + p.inputs * p.width * kN);
        if (p.linear) Outer(d, gl, p.linear, in, p.inputs, acc3);
      }
      for (int32_t i = 0; i < p.inputs; i++) {
        float* to = p.gx[i] + y * p.x_pitch + x0;
        const float* from = gin + i * kT;
        if (p.overwrite) {
          std::memcpy(to, from, n * sizeof(float));
        } else {
          for (int32_t t = 0; t < n; t++) to[t] += from[t];
        }
      }
    }
  }
  if (learns) SumLanes(d, acc, parameters, gradient);
}

}  // namespace

void InstallPerceptron(nc_tiles* table) {
  table->perceptron_forward = Forward<hn::ScalableTag<float>>;
  table->perceptron_backward = Backward<hn::ScalableTag<float>>;
}
}  // namespace HWY_NAMESPACE
}  // namespace nc
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nc {

void InstallPerceptron(int64_t target, nc_tiles* table) {
  using Scalar = hwy::HWY_NAMESPACE::CappedTag<float, 1>;
  table->perceptron_forward = HWY_NAMESPACE::Forward<Scalar>;
  table->perceptron_backward = HWY_NAMESPACE::Backward<Scalar>;
  NC_INSTALL(InstallPerceptron, target, table);
}

}  // namespace nc

size_t nc_perceptron_parameters(const nc_perceptron* p) {
  return static_cast<size_t>((p->inputs + 1) * p->width + (p->width + 1) * p->outputs + p->linear * p->inputs);
}

size_t nc_perceptron_scratch(const nc_perceptron* p) {
  return static_cast<size_t>(2 * p->inputs + 2 * p->width + p->outputs + p->linear + 4) * NC_TILE +
         nc_perceptron_parameters(p) * nc::kMaxLanes;
}
#endif  // HWY_ONCE
