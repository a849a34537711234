// What is compared: codecs and published curves, measures, and the curves over the rate.

const points = listOf(results.points);
const files = listOf(results.files);
const goodFiles = files.filter((f) => !f.error);
const summary = mapOf(results.summary);

/** Everything that has a curve; `key` is unique, `name` is what the summary uses. */
const codecs = listOf(results.codecs).map((c, i) => ({ ...c, key: `codec ${c.name}`, isReference: false, style: i }));
/** A published curve of several measures is one; `curves` are its points by measure. */
const references = [...new Map(listOf(results.references).map((r) => [r.name, r])).values()].map((r, i) => ({
  ...r, key: `reference ${i}`, isReference: true, style: codecs.length + i,
  curves: new Map(listOf(results.references).filter((other) => other.name === r.name).map((other) => [other.measure, listOf(other.points)])),
}));
const pointsOf = new Map(codecs.map((c) => [c.name, points.filter((p) => p.codec === c.name)]));
const measuredCodecs = codecs.filter((c) => pointsOf.get(c.name).some((p) => !p.error));
const fileNamed = new Map(files.map((f) => [f.name, f]));

/** Decibels of what is left to 1: SSIM and MS-SSIM crowd below 1 otherwise. */
const decibels = (value) => (value >= 1 ? Infinity : -10 * Math.log10(1 - value));
const inDecibels = new Set(["ssim", "msssim"]);

/** The measures one can choose, those missing on this machine too. `base` is the key in the results. */
const measures = listOf(results.measures).flatMap((m) => {
  const isLarge = m.unit === "dB" || points.some((p) => has(p.measures, m.name) && Math.abs(p.measures[m.name]) > 2);
  const plain = { ...m, key: m.name, base: m.name, unit: m.unit ?? "", of: (v) => v, places: isLarge ? 2 : 4 };
  if (!inDecibels.has(m.name)) return [plain];
  return [{ ...plain, key: `${m.name} dB`, unit: "dB", of: decibels, places: 2 }, plain];
});
const unitOf = (measure) => (measure.unit ? ` ${measure.unit}` : "");
const titleOf = (measure) => measure.title + (measure.unit ? ` (${measure.unit})` : "");

function valueOf(map, measure) {
  const value = has(map, measure.base) ? map[measure.base] : null;
  if (value === "inf") return Infinity;
  return typeof value === "number" ? measure.of(value) : null;
}
const showValue = (value, measure) =>
  value === Infinity ? "\u221e (lossless)" : isNumber(value) ? digits[measure.places](value) + unitOf(measure) : "\u2013";

const rateOf = (point) => point.bpp ?? point.bits ?? point.kbps ?? null;
/** Megapixels, million elements, seconds of sound or frames of video. */
const sizeOf = (file) => (file ? (isNumber(file.duration) ? file.duration : isNumber(file.frames) ? file.frames : file.width && file.height ? (file.width * file.height) / 1e6 : file.elements ? file.elements / 1e6 : null) : null);

/** Seconds per unit of size of the fastest repetition; `clock` is "Seconds" (wall) or "CPUSeconds". Null where not measured. */
function costOf(point, way, clock) {
  const times = listOf(point[way + clock]).filter(isNumber);
  const size = sizeOf(fileNamed.get(point.file));
  return times.length && size ? Math.min(...times) / size : null;
}
const repetitions = (point, way, clock) => listOf(point[way + clock]).length;

/** Median and quartiles; null of nothing. */
function spread(values) {
  if (!values.length) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const at = (part) => {
    const place = part * (sorted.length - 1), below = Math.floor(place), above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
  };
  return { median: at(0.5), low: at(0.25), high: at(0.75), samples: sorted.length };
}

const inScope = (codec, scope) => pointsOf.get(codec.name).filter((p) => !p.error && (!scope || p.file === scope));

/** A codec's time over all its points of the scope. */
const timeOf = (codec, scope, way, clock) => spread(inScope(codec, scope).map((p) => costOf(p, way, clock)).filter((v) => v !== null));

/** Largest of the scope, in bytes; null where not measured. */
function peakOf(codec, scope, way) {
  const peaks = inScope(codec, scope).map((p) => p[`${way}PeakBytes`]).filter(isNumber);
  return peaks.length ? Math.max(...peaks) : null;
}

/**
 * The points of a codec or of a published curve with finite values, by rising rate:
 * {rate, value, setting, bytes, files, index}. `scope` is a file's name, or "" for the mean.
 */
function curve(item, scope, measure) {
  let found;
  if (item.isReference) {
    if (scope) return [];
    found = (item.curves.get(measure.base) ?? []).map((p, i) => ({ rate: rateOf(p), value: measure.of(p.value), index: i }));
  } else if (scope) {
    found = inScope(item, scope).map((p) => ({ rate: rateOf(p), value: valueOf(p.measures, measure), setting: p.setting, bytes: p.bytes, index: p.point }));
  } else {
    const means = listOf(summary.curves).find((c) => c.codec === item.name);
    found = listOf(means?.points).map((p) => ({ rate: rateOf(p), value: valueOf(p.measures, measure), setting: p.setting, files: p.files, index: p.point }));
  }
  return found.filter((p) => isNumber(p.rate) && p.rate > 0 && isNumber(p.value)).sort((a, b) => a.rate - b.rate);
}

/** The measured points behind one of a codec's curve. */
const pointsBehind = (codec, scope, p) => inScope(codec, scope).filter((q) => q.point === p.index && q.setting === p.setting);

/** PCHIP as in Sources/Metrics/Bjontegaard.swift; null for fewer than two different places. Points are [x, y]. */
function pchip(pairs) {
  const sorted = [...pairs].sort((a, b) => a[0] - b[0]);
  const x = sorted.map((p) => p[0]), y = sorted.map((p) => p[1]), n = x.length;
  if (n < 2 || x.some((v, i) => i > 0 && v <= x[i - 1])) return null;
  const h = x.slice(1).map((v, i) => v - x[i]), m = h.map((w, i) => (y[i + 1] - y[i]) / w);
  const slopes = n === 2 ? [m[0], m[0]] : new Array(n).fill(0);
  if (n > 2) {
    for (let k = 1; k < n - 1; k++) {
      if (m[k - 1] * m[k] <= 0) continue;
      const w1 = 2 * h[k] + h[k - 1], w2 = h[k] + 2 * h[k - 1];
      slopes[k] = (w1 + w2) / (w1 / m[k - 1] + w2 / m[k]);
    }
    const end = (h0, h1, m0, m1) => {
      const d = ((2 * h0 + h1) * m0 - h0 * m1) / (h0 + h1);
      return d * m0 <= 0 ? 0 : m0 * m1 <= 0 && Math.abs(d) > 3 * Math.abs(m0) ? 3 * m0 : d;
    };
    slopes[0] = end(h[0], h[1], m[0], m[1]);
    slopes[n - 1] = end(h[n - 2], h[n - 3], m[n - 2], m[n - 3]);
  }
  const cubic = (k) => ({ c: (3 * m[k] - 2 * slopes[k] - slopes[k + 1]) / h[k], b: (slopes[k] + slopes[k + 1] - 2 * m[k]) / h[k] ** 2 });
  const primitive = (k, at) => {
    const { c, b } = cubic(k), s = at - x[k];
    return s * (y[k] + s * (slopes[k] / 2 + s * (c / 3 + (s * b) / 4)));
  };
  return {
    low: x[0],
    high: x[n - 1],
    at(v) {
      if (!(v >= x[0] && v <= x[n - 1])) return null;
      const k = Math.min(n - 2, Math.max(0, x.findIndex((w) => w > v) < 0 ? n - 2 : x.findIndex((w) => w > v) - 1));
      const { c, b } = cubic(k), s = v - x[k];
      return y[k] + s * (slopes[k] + s * (c + s * b));
    },
    integral(low, high) {
      let sum = 0;
      for (let k = 0; k < n - 1; k++) {
        const from = Math.max(low, x[k]), to = Math.min(high, x[k + 1]);
        if (from < to) sum += primitive(k, to) - primitive(k, from);
      }
      return sum;
    },
  };
}

/** Rate over quality, or quality over rate, both with the logarithm of the rate. */
const curveOver = (list, isRate) => pchip(list.map((p) => (isRate ? [p.value, Math.log(p.rate)] : [Math.log(p.rate), p.value])));

/** Bjontegaard delta of two curves: {value} in percent or in the measure's unit, or {value: null, reason}. */
function bjontegaard(anchor, test, isRate) {
  const [a, t] = [anchor, test].map((list) => curveOver(list, isRate));
  if (!a || !t) {
    const short = [anchor, test].some((list) => list.length < 2);
    return { value: null, reason: short ? "a curve needs two points or more" : "two points of a curve are equal" };
  }
  const low = Math.max(a.low, t.low), high = Math.min(a.high, t.high);
  if (high <= low) return { value: null, reason: `no ${isRate ? "quality" : "rate"} that both curves reach` };
  const mean = (t.integral(low, high) - a.integral(low, high)) / (high - low);
  return { value: isRate ? (Math.exp(mean) - 1) * 100 : mean };
}

/** The summary works with SSIM and MS-SSIM in dB; so does everything here that compares curves. */
const comparing = (measure) => measures.find((m) => m.base === measure.base);

/** The summary's row of an anchor; without members where it has none. */
function summaryRow(anchor, measure, isRate) {
  const tables = mapOf(isRate ? summary.bdRate : summary.bdPSNR), table = has(tables, measure.base) ? tables[measure.base] : null;
  return has(table, anchor.name) ? mapOf(table[anchor.name]) : {};
}

/**
 * Bjontegaard delta of the codec `test` against `anchor`: the summary's for means, and of one file worked out here. Only the
 * summary knows whether a published curve is over the same files.
 */
function delta(anchor, test, scope, measure, isRate) {
  const over = comparing(measure);
  const own = () => bjontegaard(curve(anchor, scope, over), curve(test, scope, over), isRate);
  if (scope) return anchor.isReference ? { value: null, reason: "published as a mean only" } : own();
  const row = summaryRow(anchor, over, isRate);
  if (!has(row, test.name)) return anchor.isReference ? { value: null, reason: "published over other files" } : own();
  const value = row[test.name];
  if (!isNumber(value)) return { value: null, reason: own().reason ?? "too few files that both codecs have all points of" };
  // The summary counts quality upwards; here a difference is one of the measure itself.
  return { value: isRate || over.isHigherBetter ? value : -value };
}

/** Codecs, and for means the published curves that the summary compares them with. */
const anchors = (scope, measure) => [...measuredCodecs, ...(scope ? [] : references.filter((r) => Object.keys(summaryRow(r, comparing(measure), true)).length > 0))];
