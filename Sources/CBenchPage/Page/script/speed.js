// The plot of time against BD-rate, against the rate at one quality, or against the rate of every point.

let speedPlot = null;

/** Quality that the slider chooses, between the lowest and the highest that any codec reaches. */
function chosenQuality(curves, measure) {
  const values = curves.flatMap((c) => c.list.map((p) => p.value));
  const low = Math.min(...values), high = Math.max(...values), slider = byId("quality");
  if (slider.dataset.measure !== measure.key + state.scope) {
    slider.dataset.measure = measure.key + state.scope;
    // To begin with, where most codecs are: the middle of what is common to them, as far as it is.
    const lows = curves.map((c) => Math.min(...c.list.map((p) => p.value))).sort((a, b) => a - b);
    const highs = curves.map((c) => Math.max(...c.list.map((p) => p.value))).sort((a, b) => a - b);
    const middle = (lows[Math.floor(lows.length / 2)] + highs[Math.floor(highs.length / 2)]) / 2;
    slider.value = String(high > low ? Math.round((1000 * (middle - low)) / (high - low)) : 0);
  }
  const value = low + ((high - low) * Number(slider.value)) / 1000;
  byId("quality-text").textContent = showValue(value, measure);
  slider.setAttribute("aria-valuetext", showValue(value, measure));
  return value;
}

function renderSpeed() {
  speedPlot ??= makePlot("speed-plot", "speed-live");
  const { measure, scope, anchor } = state, way = radio("way"), clock = radio("clock"), against = radio("against"), isBD = against === "bd";
  const clockText = clock === "Seconds" ? "wall time" : "processor time";
  byId("quality-tool").hidden = against !== "matched";
  const curves = measuredCodecs.map((item) => ({ item, list: curve(item, scope, measure) })).filter((c) => c.list.length);
  const quality = curves.length ? chosenQuality(curves, measure) : 0;
  const sets = [], left = [];
  for (const { item, list } of curves) {
    if (!isShown(item)) continue;
    if (against === "each") {
      const data = list.map((p) => eachPoint(item, p, measure, scope, way, clock)).filter(Boolean);
      if (data.length) sets.push(dataset(item, data, { showLine: true, pointRadius: 6 }));
      else left.push(`${item.title} (time not measured)`);
      continue;
    }
    const found = isBD ? placeByBD(item, anchor, measure, scope, way, clock) : placeByRate(item, list, quality, scope, way, clock);
    if (found.reason) { left.push(`${item.title} (${found.reason})`); continue; }
    const lines = [
      isBD ? `BD-rate ${show.percent(found.y)} against ${titled(anchor)}` : `${show.rate(found.y)} ${words.rateShort} at ${showValue(quality, measure)}`,
      `${way} ${show.seconds(found.x)} per ${words.size}, ${clockText}`, found.note,
    ];
    sets.push(dataset(item, [{ x: found.x, y: found.y, range: found.range, label: item.title, words: [item.title, lines] }], { pointRadius: 7, pointHoverRadius: 9 }));
  }
  for (const item of measuredCodecs) if (isShown(item) && !curves.some((c) => c.item === item)) left.push(`${item.title} (no value of this measure)`);
  const all = sets.flatMap((s) => s.data), xs = all.flatMap((p) => [p.x, ...(p.range ?? [])]), ys = all.map((p) => p.y);
  // Room on the right for names.
  const x = xs.length ? padded(xs, true, 0.09) : [0.01, 1];
  const y = ys.length ? padded(isBD ? [...ys, 0] : ys, false, 0.1) : [0, 1];
  if (!isBD && y[0] < 0) y[0] = 0;

  const yTitle = { bd: `BD-rate against ${anchor ? titled(anchor) : "\u2013"} (%)`, matched: `Rate at ${showValue(quality, measure)} (${words.rateShort})`, each: `Rate (${words.rate})` }[against];
  const yNote = { bd: ` by ${comparingText(measure)}, ${scopeText()}; lower is better`, matched: ` of ${measure.title}, ${scopeText()}; lower is better`, each: `, ${scopeText()}; the tooltip says the quality` }[against];
  fill("speed-axis", el("b", null, yTitle), yNote);
  fill("speed-under", el("b", null, `Time to ${way} (seconds per ${words.size})`), ", logarithmic; further left is faster");
  redraw(speedPlot, sets, axis(true, ...x, plainNumber), axis(false, ...y, plainNumber),
    `Plot of ${yTitle} over time to ${way}: ${sets.map((s) => s.label).join(", ") || "nothing shown"}`);
  say("speed-hint", `${against === "each" ? "Lines join the points of a codec." : "Good codecs are at the lower left."} Points are medians of each ${words.file}\u2019s fastest repetition, of ${clockText}${against === "each" ? "" : `; whiskers span the middle half of ${isBD ? `all ${words.files} and settings` : `the ${words.files}`}`}.`);
  say("speed-left-out", left.length ? `Not drawn: ${left.join(", ")}.` : "");
}

/** A point of a codec where it lies in time and rate; null where the time was not measured. */
function eachPoint(item, p, measure, scope, way, clock) {
  const time = spread(pointsBehind(item, scope, p).map((q) => costOf(q, way, clock)).filter((v) => v !== null));
  if (!time) return null;
  const lines = [p.setting, `${show.rate(p.rate)} ${words.rateShort}`, `${measure.title} ${showValue(p.value, measure)}`, `${way} ${show.seconds(time.median)} per ${words.size}`];
  return { x: time.median, y: p.rate, words: [item.title, lines] };
}

/** BD-rate is over a whole curve, so the time is over all of its points. */
function placeByBD(item, anchor, measure, scope, way, clock) {
  const time = timeOf(item, scope, way, clock);
  if (!time) return { reason: "time not measured" };
  const bd = item === anchor ? { value: 0 } : delta(anchor, item, scope, measure, true);
  if (bd.value === null) return { reason: bd.reason };
  return { x: time.median, y: bd.value, range: [time.low, time.high], note: `middle half ${show.seconds(time.low)} to ${show.seconds(time.high)}, ${show.counted(time.samples, "sample", "samples")}` };
}

/** The rate by PCHIP between a codec's points, the time by the logarithm between the two settings around. */
function placeByRate(item, list, quality, scope, way, clock) {
  const rates = curveOver(list, true);
  const log = rates?.at(quality) ?? null;
  if (log === null) return { reason: list.length < 2 ? "a curve needs two points or more" : "does not reach this quality" };
  const sorted = [...list].sort((a, b) => a.value - b.value);
  const above = Math.max(1, sorted.findIndex((p) => p.value >= quality)), ends = [sorted[above - 1], sorted[above]];
  const times = ends.map((p) => spread(pointsBehind(item, scope, p).map((q) => costOf(q, way, clock)).filter((v) => v !== null)));
  if (!times[0] || !times[1]) return { reason: "time not measured" };
  const part = (quality - ends[0].value) / (ends[1].value - ends[0].value);
  const between = (name) => Math.exp(Math.log(times[0][name]) * (1 - part) + Math.log(times[1][name]) * part);
  return { x: between("median"), y: Math.exp(log), range: [between("low"), between("high")], note: `between ${ends[0].setting} and ${ends[1].setting}` };
}

const comparingText = (measure) => titleOf(comparing(measure));
