// The blocks of a KV cache of one level against the scalar table's, and rANS encoding against its scalar twin.
#include "kv.h"

#include <cmath>
#include <cstring>

#include "rans.h"
#include "support.h"

namespace {

size_t SizeOf(int32_t element) { return element == NC_KV_F32 ? 4 : 2; }
const char* NameOf(int32_t element) { return element == NC_KV_F16 ? "f16" : element == NC_KV_BF16 ? "bf16" : "f32"; }

// Rounds to half precision by the definition: the nearest of the two neighbours, the even one where they are as near.
uint16_t Half(float v) {
  const uint16_t sign = std::signbit(v) ? 0x8000 : 0;
  const double a = std::fmin(std::fabs(double(v)), 65504.0);
  int exponent = a < 0x1p-14 ? -14 : std::ilogb(a);
  const double unit = std::ldexp(1.0, exponent - 10);
  const double whole = std::nearbyint(a / unit);  // ties to even; at most 2048
  const double value = whole * unit;
  if (value < 0x1p-14) return uint16_t(sign | uint16_t(whole));
  exponent = std::ilogb(value);
  const double fraction = value / std::ldexp(1.0, exponent) - 1;
  return uint16_t(sign | ((exponent + 15) << 10) | uint16_t(fraction * 1024));
}

void CheckElements(const nc_kv* scalar, const nc_kv* k, bool quick, Tally& tally) {
  std::vector<uint16_t> halves(65536);
  for (size_t i = 0; i < halves.size(); i++) halves[i] = uint16_t(i);
  for (int32_t element : {NC_KV_F16, NC_KV_BF16}) {
    std::vector<float> a(halves.size()), b(halves.size());
    scalar->to_float(halves.data(), element, a.data(), a.size());
    k->to_float(halves.data(), element, b.data(), b.size());
    tally.Same(std::string("to_float ") + NameOf(element), a.data(), b.data(), 4 * a.size());
    // Every finite number comes back as it was.
    std::vector<uint16_t> back(halves.size());
    k->from_float(b.data(), back.data(), element, b.size());
    for (size_t i = 0; i < halves.size(); i++)
      if (std::isfinite(b[i]) && back[i] != halves[i]) return tally.Fail("elements do not survive");
  }
  Random random(7);
  const size_t count = quick ? 100'003 : 2'000'003;
  std::vector<float> values(count);
  for (auto& v : values) {
    const uint32_t bits = uint32_t(random.Next() >> 16);
    std::memcpy(&v, &bits, 4);
    // Most between the smallest and the largest half, some at the middle of two.
    if (random.In(0, 7) > 0) v = random.Unit() * std::ldexp(1.0f, int(random.In(-26, 17)));
    if (!std::isfinite(v)) v = 0;
    if (random.In(0, 3) == 0) v = std::ldexp(float(random.In(-4096, 4096)) + 0.5f, int(random.In(-25, 4)));
  }
  for (int32_t element : {NC_KV_F16, NC_KV_BF16, NC_KV_F32}) {
    std::vector<uint8_t> a(count * SizeOf(element)), b(a.size());
    scalar->from_float(values.data(), a.data(), element, count);
    k->from_float(values.data(), b.data(), element, count);
    tally.Same(std::string("from_float ") + NameOf(element), a.data(), b.data(), a.size());
    if (element != NC_KV_F16) continue;
    std::vector<uint16_t> expected(count);
    for (size_t i = 0; i < count; i++) expected[i] = Half(values[i]);
    tally.Same("from_float by the definition", expected.data(), b.data(), b.size());
  }
}

void CheckBlocks(const nc_kv* scalar, const nc_kv* k, bool quick, Tally& tally) {
  Random random(9);
  for (size_t channels : {size_t(1), size_t(3), size_t(8), size_t(17), size_t(64), size_t(128)}) {
    for (int32_t element : {NC_KV_F16, NC_KV_BF16, NC_KV_F32}) {
      for (int32_t low_bits : {0, 1, 5, 14}) {
        const size_t rows = quick ? 37 : 61, stride = (channels + 3) * SizeOf(element);
        std::vector<uint8_t> x(rows * stride);
        for (auto& byte : x) byte = uint8_t(random.Next() >> 30);  // NaNs and infinities among them
        std::vector<float> step(channels), inverse(channels);
        std::vector<int32_t> middle(channels);
        for (size_t c = 0; c < channels; c++) {
          step[c] = std::ldexp(1 + 0.3f * random.Unit(), int(random.In(-12, 4)));
          inverse[c] = 0.25f / step[c];
          middle[c] = int32_t(random.In(-1000, 1000));
        }
        // Some rows that are mostly within reach.
        for (size_t r = 0; r + 1 < rows; r += 2)
          for (size_t c = 0; c < channels; c++) {
            const float v = step[c] * float(middle[c] + random.In(-(560 << low_bits), 560 << low_bits));
            scalar->from_float(&v, x.data() + r * stride + c * SizeOf(element), element, 1);
          }
        const nc_kv_steps steps = {channels, step.data(), inverse.data(), middle.data(), low_bits};
        const std::string what = std::string(NameOf(element)) + " " + std::to_string(channels);
        std::vector<uint8_t> sa(rows * channels), sb(sa.size());
        // Columns in some other order than the channels'.
        std::vector<uint8_t*> ca(channels), cb(channels);
        for (size_t c = 0; c < channels; c++) {
          const size_t place = (c * 5 + 2) % channels;
          const size_t free = channels % 5 == 0 ? c : place;
          ca[c] = &sa[free * rows], cb[c] = &sb[free * rows];
        }
        std::vector<uint16_t> la(sa.size()), lb(sa.size());
        const size_t ea = scalar->quantise(&steps, x.data(), element, rows, ptrdiff_t(stride), ca.data(), la.data());
        const size_t eb = k->quantise(&steps, x.data(), element, rows, ptrdiff_t(stride), cb.data(), lb.data());
        tally.Same("quantise escapes " + what, &ea, &eb, sizeof ea);
        tally.Same("quantise symbols " + what, sa.data(), sb.data(), sa.size());
        tally.Same("quantise low " + what, la.data(), lb.data(), 2 * la.size());
        std::vector<uint8_t> ya(x.size()), yb(x.size());
        scalar->restore(&steps, ca.data(), la.data(), rows, ya.data(), element, ptrdiff_t(stride));
        k->restore(&steps, ca.data(), la.data(), rows, yb.data(), element, ptrdiff_t(stride));
        tally.Same("restore " + what, ya.data(), yb.data(), ya.size());
        std::vector<float> ma(3 * channels), mb(3 * channels);
        scalar->moments(x.data(), element, channels, rows, ptrdiff_t(stride), &ma[0], &ma[channels], &ma[2 * channels]);
        k->moments(x.data(), element, channels, rows, ptrdiff_t(stride), &mb[0], &mb[channels], &mb[2 * channels]);
        tally.Same("moments " + what, ma.data(), mb.data(), 4 * ma.size());
      }
    }
  }
}

void CheckEncode(int32_t level, Tally& tally) {
  Random random(11);
  for (int round = 0; round < 40 + 4097; round++) {
    // Random widths of at most 256 symbols; every width comes up in some round.
    std::vector<uint32_t> widths(256), table(512), used;
    uint32_t left = 4096;
    for (size_t s = 0; s < 256 && left > 0; s++) {
      uint32_t width = round == 0 || s == 255 ? left : uint32_t(random.In(0, int64_t(left) >> (round % 6)));
      if (round >= 40 && s < 2) width = s == 0 ? uint32_t(round - 40) : left;
      if (width == 0) continue;
      widths[s] = width;
      used.push_back(uint32_t(s));
      left -= width;
    }
    rans_encode_table(widths.data(), widths.size(), table.data());
    std::vector<uint8_t> symbols(32 * size_t(random.In(0, round < 40 ? 200 : 20)));
    for (auto& s : symbols) s = uint8_t(used[size_t(random.In(0, int64_t(used.size()) - 1))]);
    std::vector<uint32_t> lanes(32), other;
    for (auto& x : lanes) x = random.In(0, 7) > 0 ? uint32_t(random.In(65536, 0xFFFFFFFF)) : 0xFFFFFFFFu;
    // Just below and at multiples of the widths.
    for (size_t i = 0; i < 32 && !symbols.empty(); i += 3) {
      const uint64_t width = widths[symbols[symbols.size() - 32 + i]];
      const uint64_t x = width * uint64_t(random.In(0, 1 << 20)) - uint64_t(random.In(0, 1));
      if (x >= 65536 && x <= 0xFFFFFFFFu) lanes[i] = uint32_t(x);
    }
    other = lanes;
    const size_t room = symbols.size() + 8;
    std::vector<uint16_t> a(room), b(room);
    const size_t na =
        rans_encode_scalar(table.data(), lanes.data(), 32, symbols.data(), symbols.size(), a.data() + room);
    const size_t nb = rans_encode_32(level, table.data(), other.data(), symbols.data(), symbols.size(), b.data() + room);
    tally.Same("rANS words", &na, &nb, sizeof na);
    if (na == nb) tally.Same("rANS words' values", a.data() + room - na, b.data() + room - na, 2 * na);
    tally.Same("rANS lanes", lanes.data(), other.data(), 4 * 32);
  }
}

void CheckCount(Tally& tally) {
  Random random(13);
  for (size_t count : {0, 1, 7, 8, 1001}) {
    std::vector<uint8_t> x(count);
    std::vector<uint32_t> counts(256), expected(256);
    for (auto& byte : x) byte = uint8_t(random.In(0, 3) ? random.Next() >> 20 : 5);
    for (const uint8_t byte : x) expected[byte]++;
    nc_kv_count(x.data(), count, counts.data());
    tally.Same("count", expected.data(), counts.data(), 4 * counts.size());
  }
}

// A matrix whose rows begin at whole lines, as the kernels want them, zeros behind the columns.
template <class T>
struct Matrix {
  Matrix(size_t rows, size_t columns) : pitch((columns + 15) / 16 * 16), store(rows * pitch + 16) {
    at = store.data();
    while (reinterpret_cast<uintptr_t>(at) % 64 != 0) at++;
  }
  // The columns alone: what scalar code leaves behind them need not be what vectors do.
  std::vector<T> Columns(size_t rows, size_t columns, bool upper = false) const {
    std::vector<T> all;
    for (size_t i = 0; i < rows; i++)
      for (size_t j = upper ? i : 0; j < columns; j++) all.push_back(at[i * pitch + j]);
    return all;
  }
  size_t pitch;
  std::vector<T> store;
  T* at;
};

void CheckLinear(const nc_kv* scalar, const nc_kv* k, bool quick, Tally& tally) {
  Random random(11);
  for (int round = 0; round < (quick ? 40 : 200); round++) {
    const size_t rows = size_t(random.In(1, 40)), inner = size_t(random.In(0, 50)), columns = size_t(random.In(1, 150));
    Matrix<float> a(rows, inner + 1), b(inner + 1, columns), c(rows, columns), d(rows, columns);
    for (size_t i = 0; i < rows; i++)
      for (size_t j = 0; j < inner; j++) a.at[i * a.pitch + j] = random.Unit();
    for (size_t i = 0; i < inner; i++)
      for (size_t j = 0; j < columns; j++) b.at[i * b.pitch + j] = random.Unit();
    for (size_t i = 0; i < rows; i++)
      for (size_t j = 0; j < columns; j++) c.at[i * c.pitch + j] = d.at[i * d.pitch + j] = random.Unit();
    const bool down = random.In(0, 3) == 0 && inner > 0;
    nc_kv_product product = {rows, inner, columns, a.at, ptrdiff_t(a.pitch), 1, b.at, ptrdiff_t(b.pitch), c.at,
                             ptrdiff_t(c.pitch), int32_t(random.In(0, 1))};
    if (down) {
      product.a += inner - 1, product.a_inner = -1;
      product.b += (inner - 1) * b.pitch, product.b_pitch = -ptrdiff_t(b.pitch);
    }
    nc_kv_product other = product;
    other.c = d.at;
    scalar->product(&product);
    k->product(&other);
    auto x = c.Columns(rows, columns), y = d.Columns(rows, columns);
    tally.Same("product", x.data(), y.data(), 4 * x.size());
    // Against the definition, in wider numbers.
    for (size_t j = 0; j < 3 && round == 0; j++) {
      Matrix<float> one(1, columns);
      nc_kv_product first = {1, inner, columns, a.at, 0, 1, b.at, ptrdiff_t(b.pitch), one.at, 0, 0};
      k->product(&first);
      double sum = 0;
      for (size_t i = 0; i < inner; i++) sum += double(a.at[i]) * b.at[i * b.pitch + j % columns];
      if (std::fabs(sum - one.at[j % columns]) > 1e-4) tally.Fail("a product is not the sum of products");
    }

    // Where the sum loses digits, a product rounded by itself would show; and close to the smallest numbers.
    for (size_t j = 0; j < columns; j++) {
      const int scale = int(random.In(-130, 100));
      b.at[j] = std::ldexp(1 + float(random.In(1, 1 << 23)) * 0x1p-23f, scale);
      c.at[j] = d.at[j] = -std::ldexp(b.at[j] * a.at[0], 0) * (random.In(0, 2) ? 1.0f : 1 + 0x1p-20f);
    }
    nc_kv_product one = {1, 1, columns, a.at, 0, 0, b.at, ptrdiff_t(b.pitch), c.at, 0, 0};
    nc_kv_product other_one = one;
    other_one.c = d.at;
    if (inner > 0) scalar->product(&one), k->product(&other_one);
    x = c.Columns(1, columns), y = d.Columns(1, columns);
    tally.Same("product that cancels", x.data(), y.data(), 4 * x.size());
    std::vector<uint16_t> list;
    std::vector<float> factors;
    for (size_t i = 0; i < inner; i++)
      if (random.In(0, 2) == 0) list.push_back(uint16_t(i)), factors.push_back(random.Unit());
    scalar->sparse_row(list.data(), factors.data(), list.size(), b.at, b.pitch, columns, c.at);
    k->sparse_row(list.data(), factors.data(), list.size(), b.at, b.pitch, columns, d.at);
    x = c.Columns(1, columns), y = d.Columns(1, columns);
    tally.Same("sparse row", x.data(), y.data(), 4 * x.size());

    const size_t pairs = size_t(random.In(0, 32));
    Matrix<int32_t> p(pairs + 1, rows), q(pairs + 1, columns);
    const auto two = [&] {
      const uint16_t low = uint16_t(random.In(-4095, 4095)), high = uint16_t(random.In(-4095, 4095));
      return int32_t(low | uint32_t(high) << 16);
    };
    for (size_t i = 0; i < pairs; i++) {
      for (size_t j = 0; j < rows; j++) p.at[i * p.pitch + j] = two();
      for (size_t j = 0; j < columns; j++) q.at[i * q.pitch + j] = two();
    }
    const bool upper = random.In(0, 1) == 1;
    const size_t most = upper && rows > columns ? columns : rows;
    scalar->outer(p.at, most, p.pitch, q.at, columns, q.pitch, pairs, upper, c.at, c.pitch);
    k->outer(p.at, most, p.pitch, q.at, columns, q.pitch, pairs, upper, d.at, d.pitch);
    x = c.Columns(most, columns, upper), y = d.Columns(most, columns, upper);
    tally.Same("outer", x.data(), y.data(), 4 * x.size());

    Matrix<float> from(1, columns);
    Matrix<int32_t> whole(1, columns), other_whole(1, columns);
    for (size_t j = 0; j < columns; j++) {
      from.at[j] = std::ldexp(random.Unit(), int(random.In(-4, 20)));
      if (random.In(0, 7) == 0) from.at[j] = float(random.In(-9, 9)) / 2;
      if (random.In(0, 15) == 0) from.at[j] = random.In(0, 1) ? NAN : -INFINITY;
    }
    const float scale = random.In(0, 1) ? 1.0f : 0.5f;
    scalar->wholes(from.at, columns, scale, 4095, whole.at);
    k->wholes(from.at, columns, scale, 4095, other_whole.at);
    auto u = whole.Columns(1, columns), v = other_whole.Columns(1, columns);
    tally.Same("wholes", u.data(), v.data(), 4 * u.size());
  }
}

void CheckSymbols(const nc_kv* scalar, const nc_kv* k, Tally& tally) {
  Random random(13);
  std::vector<uint32_t> expected(64);
  std::vector<int32_t> moves(64 * 64);
  std::vector<float> thresholds(64 * 16);
  for (auto& v : expected) v = uint32_t(random.In(0, 65535));
  for (auto& v : moves) v = int32_t(random.In(-1216, 4864));
  for (size_t i = 0; i < thresholds.size(); i++) thresholds[i] = i % 16 ? float(i % 16) - 0.5f + random.Unit() / 4 : 0;
  for (int round = 0; round < 200; round++) {
    // Whole vectors, and some left behind them.
    const size_t count = size_t(random.In(0, 100));
    std::vector<int32_t> states(count), other_states;
    std::vector<int16_t> symbols(count), other_symbols;
    std::vector<float> numbers(count);
    for (size_t i = 0; i < count; i++) {
      states[i] = int32_t(random.In(0, 3) ? random.In(0, 63 << 12) : random.In(0, 1) * (63 << 12));
      symbols[i] = int16_t(random.In(0, 3) ? random.In(-2, 2) : random.In(-32767, 32767));
      if (random.In(0, 3) == 0) symbols[i] = int16_t(random.In(-17, 17));
      if (round % 4 == 0 && i / 16 % 2 == 0) symbols[i] = 0;
      numbers[i] = symbols[i] + random.Unit() / 2;
      if (random.In(0, 31) == 0) numbers[i] = NAN;
    }
    const int32_t offset = int32_t(random.In(-10, 24));
    std::vector<uint8_t> tables(count), other_tables(count);
    const uint32_t mean = scalar->scale_indices(states.data(), offset, expected.data(), count, tables.data());
    if (k->scale_indices(states.data(), offset, expected.data(), count, other_tables.data()) != mean)
      tally.Fail("sums of expected magnitudes differ");
    tally.Same("scale indices", tables.data(), other_tables.data(), count);

    other_symbols = symbols;
    scalar->lower(symbols.data(), numbers.data(), tables.data(), thresholds.data(), count);
    k->lower(other_symbols.data(), numbers.data(), tables.data(), thresholds.data(), count);
    tally.Same("lower", symbols.data(), other_symbols.data(), 2 * count);

    other_states = states;
    const uint32_t sum = scalar->adapt(states.data(), tables.data(), symbols.data(), count, moves.data());
    if (k->adapt(other_states.data(), tables.data(), symbols.data(), count, moves.data()) != sum)
      tally.Fail("sums of magnitudes differ");
    tally.Same("adapt", states.data(), other_states.data(), 4 * count);

    const size_t room = (count + 15) / 16 * 16;
    std::vector<uint16_t> list(room), other_list(room);
    std::vector<float> factors(room), other_factors(room);
    const float step = random.Unit();
    const size_t found = scalar->nonzeros(symbols.data(), count, 0.0625f, step, list.data(), factors.data());
    if (k->nonzeros(symbols.data(), count, 0.0625f, step, other_list.data(), other_factors.data()) != found)
      tally.Fail("numbers of symbols that are not 0 differ");
    tally.Same("nonzeros", list.data(), other_list.data(), 2 * found);
    tally.Same("factors", factors.data(), other_factors.data(), 4 * found);
  }
}

}  // namespace

void CheckKV(int32_t level, bool quick, Tally& tally) {
  const nc_kv *scalar = nc_kv_at(NC_LEVEL_SCALAR), *k = nc_kv_at(level);
  CheckElements(scalar, k, quick, tally);
  CheckBlocks(scalar, k, quick, tally);
  CheckLinear(scalar, k, quick, tally);
  CheckSymbols(scalar, k, tally);
  CheckEncode(level, tally);
  CheckCount(tally);
}
