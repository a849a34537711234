// The perceptrons over tiles of one level against the scalar table's.
#include "tiles.h"

#include <cmath>
#include <cstdlib>
#include <memory>

#include "support.h"

namespace {

// Planes with the margins that tiles.h asks for.
struct Grid {
  int32_t height, width;
  ptrdiff_t pitch, stride;
  std::vector<float> memory;

  Grid(int32_t planes, int32_t height, int32_t width)
      : height(height), width(width), pitch((width + 15) / 16 * 16 + NC_MARGIN),
        stride((height + NC_CONTEXT_ROWS) * pitch), memory(NC_CONTEXT_ROWS * pitch + planes * stride + 2 * NC_MARGIN) {}
  float* at() { return memory.data() + NC_CONTEXT_ROWS * pitch + NC_MARGIN; }
  void Fill(Random& random, int32_t planes, float scale) {
    for (int32_t p = 0; p < planes; p++)
      for (int32_t y = 0; y < height; y++)
        for (int32_t x = 0; x < width; x++) at()[p * stride + y * pitch + x] = scale * random.Unit();
  }
  void Append(std::vector<float>& all, int32_t planes) {
    for (int32_t p = 0; p < planes; p++)
      for (int32_t y = 0; y < height; y++) {
        const float* row = at() + p * stride + y * pitch;
        all.insert(all.end(), row, row + width);
      }
  }
};

// Scratch memory at a 64-byte boundary.
using Memory = std::unique_ptr<float, decltype(&std::free)>;
Memory Aligned(size_t floats) {
  return Memory(static_cast<float*>(std::aligned_alloc(64, (floats * sizeof(float) / 64 + 1) * 64)), std::free);
}

struct Shape {
  int32_t spatial, features, stack, hidden;
  bool mirrored;
};

class Context {
 public:
  Context(const Shape& shape, int32_t height, int32_t width)
      : random_(height * 1000 + width), x_(1, height, width), gx_(1, height, width),
        s_(shape.stack, (height + 1) / 2, (width + 1) / 2), gs_(shape.stack, (height + 1) / 2, (width + 1) / 2) {
    const int32_t c = shape.spatial + shape.features, r = shape.stack + (shape.mirrored ? 3 : 0);
    x_.Fill(random_, 1, 3);
    s_.Fill(random_, shape.stack, 3);
    // All before this position, in raster order from the nearest row.
    for (int32_t dy = 0; dy >= -NC_CONTEXT_ROWS; dy--)
      for (int32_t dx = -NC_CONTEXT_ROWS; dx <= NC_CONTEXT_ROWS; dx++)
        if (dy < 0 || dx < 0) dx_.push_back(dx), dy_.push_back(dy);
    const float spread = 1 / std::sqrt(float(c));
    nc_context_model& m = model_;
    m.height = height, m.width = width, m.pitch = x_.pitch, m.x = x_.at(), m.gx = gx_.at();
    m.spatial = shape.spatial, m.dx = dx_.data(), m.dy = dy_.data();
    m.features = shape.features, m.stack = shape.stack, m.mirrored = shape.mirrored;
    m.s = s_.at(), m.gs = gs_.at(), m.s_pitch = s_.pitch, m.s_plane = s_.stride;
    m.s_height = s_.height, m.s_width = s_.width;
    m.wf = Weights(shape.features * r, 0.3f), m.bf = Weights(shape.features, 0.3f);
    m.hidden = shape.hidden;
    for (int32_t l = 0; l < shape.hidden; l++) m.w[l] = Weights(c * c, spread), m.b[l] = Weights(c, 0.3f);
    m.wo = Weights(2 * c, spread), m.ws = Weights(2 * c, spread), m.bo = Weights(2, 0.3f);
    m.weight = 0.5f;
    scratch_ = Aligned(nc_context_scratch(&m));
    gradient_.resize(nc_context_parameters(&m));
  }

  // Cost and all gradients, in bands of 8 rows.
  std::vector<float> Run(const nc_tiles* tiles) {
    std::fill(gx_.memory.begin(), gx_.memory.end(), 0.0f);
    std::fill(gs_.memory.begin(), gs_.memory.end(), 0.0f);
    std::vector<std::vector<float>> halos;
    std::vector<float> total(gradient_.size());
    double bits = 0;
    for (int32_t y = 0; y < model_.height; y += 8) {
      halos.emplace_back(nc_context_halo(&model_));
      bits += Band(tiles, y, gradient_.data(), halos.back().data());
      for (size_t i = 0; i < total.size(); i++) total[i] += gradient_[i];
    }
    for (size_t b = 0; b < halos.size(); b++)
      nc_context_merge(&model_, int32_t(8 * b), std::min(int32_t(8 * b + 8), model_.height), halos[b].data());
    gx_.Append(total, 1);
    gs_.Append(total, model_.stack);
    total.push_back(static_cast<float>(bits));
    return total;
  }

  // Gradients of values are the same without those of parameters, and bits without any.
  bool Leaves(const nc_tiles* tiles) {
    std::vector<float> halo[2], planes[2];
    double bits[3] = {};
    for (int run = 0; run < 2; run++) {
      std::fill(gx_.memory.begin(), gx_.memory.end(), 0.0f);
      std::fill(gs_.memory.begin(), gs_.memory.end(), 0.0f);
      halo[run].resize(nc_context_halo(&model_));
      bits[run] = Band(tiles, 0, run ? nullptr : gradient_.data(), halo[run].data());
      gx_.Append(planes[run], 1);
      gs_.Append(planes[run], model_.stack);
    }
    bits[2] = Band(tiles, 0, nullptr, nullptr);
    return halo[0] == halo[1] && planes[0] == planes[1] && bits[0] == bits[1] && bits[0] == bits[2];
  }

  double Band(const nc_tiles* tiles, int32_t row, float* gradient, float* halo) {
    return tiles->context_band(&model_, row, std::min(row + 8, model_.height), gradient, halo, scratch_.get());
  }

  nc_context_model model_ = {};
  std::vector<float> gradient_;

 private:
  const float* Weights(size_t count, float scale) {
    weights_.push_back(RandomFloats(random_, count));
    for (auto& w : weights_.back()) w *= scale;
    return weights_.back().data();
  }

  Random random_;
  Grid x_, gx_, s_, gs_;
  std::vector<int32_t> dx_, dy_;
  std::vector<std::vector<float>> weights_;
  Memory scratch_{nullptr, std::free};
};

class Pointwise {
 public:
  Pointwise(int32_t inputs, int32_t width, int32_t outputs, int32_t linear, int32_t height, int32_t columns)
      : height_(height), random_(inputs * 100 + columns), x_(inputs, height, columns), gx_(inputs, height, columns),
        y_(outputs, height, columns), gy_(outputs, height, columns), l_(linear, height, columns),
        gl_(linear, height, columns) {
    x_.Fill(random_, inputs, 1);
    gy_.Fill(random_, outputs, 1);
    gl_.Fill(random_, linear, 1);
    for (int32_t i = 0; i < inputs; i++) in_.push_back(x_.at() + i * x_.stride), gin_.push_back(gx_.at() + i * gx_.stride);
    weights_ = RandomFloats(random_, size_t(inputs + 1) * width + size_t(width + 1) * outputs + size_t(linear) * inputs);
    nc_perceptron& p = model_;
    p.inputs = inputs, p.width = width, p.outputs = outputs, p.linear = linear;
    p.w1 = weights_.data(), p.b1 = p.w1 + inputs * width, p.w2 = p.b1 + width, p.b2 = p.w2 + width * outputs;
    p.a = p.b2 + outputs;
    p.columns = columns, p.x_pitch = x_.pitch, p.y_pitch = y_.pitch, p.l_pitch = l_.pitch;
    p.y_plane = y_.stride, p.l_plane = l_.stride;
    p.x = in_.data(), p.gx = gin_.data(), p.y = y_.at(), p.gy = gy_.at(), p.l = l_.at(), p.gl = gl_.at();
    scratch_ = Aligned(nc_perceptron_scratch(&p));
    gradient_.resize(nc_perceptron_parameters(&p));
  }

  std::vector<float> Run(const nc_tiles* tiles, bool overwrite) {
    std::fill(gx_.memory.begin(), gx_.memory.end(), 0.5f);
    model_.overwrite = overwrite;
    Forward(tiles, 0, height_);
    Backward(tiles, 0, height_);
    std::vector<float> all = gradient_;
    y_.Append(all, model_.outputs);
    l_.Append(all, model_.linear);
    gx_.Append(all, model_.inputs);
    return all;
  }

  // Gradients of inputs are the same without those of parameters.
  bool Leaves(const nc_tiles* tiles) {
    std::vector<float> planes[2];
    model_.overwrite = true;
    for (int run = 0; run < 2; run++) {
      std::fill(gx_.memory.begin(), gx_.memory.end(), 0.5f);
      tiles->perceptron_backward(&model_, 0, height_, run ? nullptr : gradient_.data(), scratch_.get());
      gx_.Append(planes[run], model_.inputs);
    }
    return planes[0] == planes[1];
  }

  void Forward(const nc_tiles* tiles, int32_t row0, int32_t row1) {
    tiles->perceptron_forward(&model_, row0, row1, scratch_.get());
  }
  void Backward(const nc_tiles* tiles, int32_t row0, int32_t row1) {
    tiles->perceptron_backward(&model_, row0, row1, gradient_.data(), scratch_.get());
  }

 private:
  int32_t height_;
  Random random_;
  Grid x_, gx_, y_, gy_, l_, gl_;
  std::vector<const float*> in_;
  std::vector<float*> gin_;
  std::vector<float> weights_, gradient_;
  nc_perceptron model_ = {};
  Memory scratch_{nullptr, std::free};
};

}  // namespace

void CheckTiles(int32_t level, bool quick, Tally& tally) {
  const nc_tiles *tiles = nc_tiles_at(level), *scalar = nc_tiles_at(NC_LEVEL_SCALAR);
  const std::string name = std::string(nc_level_name(level)) + " tiles ";
  const Shape shapes[] = {{14, 6, 5, 2, true}, {6, 2, 3, 2, true}, {1, 1, 1, 1, false}, {5, 3, 0, 2, false},
                          {40, 15, 9, 4, true}, {3, 0, 0, 0, false}, {9, 4, 2, 3, false}};
  for (const Shape& shape : shapes)
    for (int32_t width : {1, 2, 7, 48, 49, 131})
      for (int32_t height : {1, 3, 18}) {
        if (quick && (width + height) % 3 == 0) continue;
        Context context(shape, height, width);
        const auto want = context.Run(scalar);
        // Gradients of parameters are sums over positions.
        const float bound = 2e-6f * (8 + std::sqrt(float(width * height))) * (1 + std::fabs(want.back()) / (width * height));
        tally.Near(name + "context " + std::to_string(shape.spatial) + "+" + std::to_string(shape.features) + " " +
                       std::to_string(height) + " " + std::to_string(width),
                   context.Run(tiles), want, bound * 4);
        tally.compared++;
        if (!context.Leaves(tiles)) tally.Fail(name + "context without gradients of parameters");
      }
  for (int32_t width : {1, 2, 5, 8, 48, 71})
    for (int32_t columns : {1, 7, 48, 131})
      for (bool overwrite : {false, true}) {
        if (quick && (width + columns) % 3 == 0) continue;
        Pointwise pointwise(1 + width % 7, width, 1 + columns % 4, columns % 3, 5, columns);
        tally.Near(name + "perceptron " + std::to_string(width) + " " + std::to_string(columns),
                   pointwise.Run(tiles, overwrite), pointwise.Run(scalar, overwrite), 2e-5f * std::sqrt(float(columns)));
        tally.compared++;
        if (!pointwise.Leaves(tiles)) tally.Fail(name + "perceptron without gradients of parameters");
      }
}

// Sizes of the overfitted codec's 2000 MAC/pixel: one picture's finest grid, and its synthesis.
std::vector<TileLine> TileLines() {
  auto context = std::make_shared<Context>(Shape{14, 6, 9, 2, true}, 128, 768);
  auto halo = std::make_shared<std::vector<float>>(nc_context_halo(&context->model_));
  const double macs = 128.0 * 768 * (12 * 6 + 2 * 20 * 20 + 4 * 20);
  auto pointwise = std::make_shared<Pointwise>(7, 48, 3, 3, 128, 768);
  const double perceptron = 128.0 * 768 * (7 * 48 + 48 * 3 + 7 * 3);
  return {
      {"context 14+6 128x768", macs,
       [=](int32_t level, size_t b) { context->Band(nc_tiles_at(level), int32_t(8 * b), nullptr, nullptr); }},
      {"context, with gradients", 3 * macs,
       [=](int32_t level, size_t b) {
         context->Band(nc_tiles_at(level), int32_t(8 * b), context->gradient_.data(), halo->data());
       }},
      {"perceptron 7-48-3 128x768", perceptron,
       [=](int32_t level, size_t b) { pointwise->Forward(nc_tiles_at(level), int32_t(8 * b), int32_t(8 * b + 8)); }},
      {"perceptron, gradients", 3 * perceptron - 128.0 * 768 * (48 * 3 + 7 * 3),
       [=](int32_t level, size_t b) { pointwise->Backward(nc_tiles_at(level), int32_t(8 * b), int32_t(8 * b + 8)); }},
  };
}
