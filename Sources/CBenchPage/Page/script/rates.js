// The rate-distortion plot.

let ratePlot = null;

function renderRates() {
  ratePlot ??= makePlot("rd-plot", "rd-live");
  const { measure, scope } = state, isLog = radio("axis") === "log", extent = radio("extent");
  const shown = comparable.filter(isShown).map((item) => ({ item, list: curve(item, scope, measure) })).filter((c) => c.list.length);
  const sets = shown.map(({ item, list }) =>
    dataset(item, list.map((p) => ({ x: p.rate, y: p.value, words: wordsOf(item, p, measure, scope) })), { showLine: true, cubicInterpolationMode: "monotone" }));

  const measured = shown.filter((c) => !c.item.isReference).flatMap((c) => c.list);
  const all = shown.flatMap((c) => c.list);
  const span = extent === "measured" && measured.length ? measured : all;
  let x = span.length ? padded(span.map((p) => p.rate), isLog) : [isLog ? 0.1 : 0, 1];
  if (!isLog) x = [0, x[1]];
  const inside = all.filter((p) => p.rate >= x[0] && p.rate <= x[1]);
  const y = inside.length ? padded(inside.map((p) => p.value), false) : [0, 1];

  const better = measure.isHigherBetter ? "higher is better" : "lower is better";
  fill("rd-axis", el("b", null, titleOf(measure)), ` of ${scopeText()}; ${better}`);
  fill("rd-under", el("b", null, `Rate (${words.rate})`), isLog ? ", logarithmic" : "");
  redraw(ratePlot, sets, axis(isLog, ...x, plainNumber), axis(false, ...y, plainNumber),
    `Plot of ${titleOf(measure)} over rate in ${words.rate}, ${scopeText()}: ${shown.map((c) => titled(c.item)).join(", ") || "nothing shown"}`);

  say("rd-hint", references.length
    ? "Solid lines were measured in this run, ours thicker; dashed lines are published elsewhere, and compare only where these are the same pictures."
    : "All curves were measured in this run; ours are thicker.");
  leftOut(shown.map((c) => c.item));
}

/** Tooltip of a point. */
function wordsOf(item, p, measure, scope) {
  const lines = [`${show.rate(p.rate)} ${words.rateShort}`, `${measure.title} ${showValue(p.value, measure)}`];
  if (item.isReference) return [titled(item), [...lines, `published: ${item.source}`]];
  lines.unshift(p.setting);
  if (scope) lines.push(`${show.count(p.bytes)} bytes`);
  else {
    const mine = pointsBehind(item, "", p).filter((q) => isNumber(q.bytes));
    if (mine.length) lines.push(`${show.count(mine.reduce((sum, q) => sum + q.bytes, 0) / mine.length)} bytes on average`);
    lines.push(p.files < goodFiles.length ? `mean of only ${p.files} of ${show.counted(goodFiles.length, words.file, words.files)}` : `mean of ${show.counted(p.files, words.file, words.files)}`);
  }
  const times = ["encode", "decode"].map((way) => {
    const costs = pointsBehind(item, scope, p).map((q) => costOf(q, way, "Seconds")).filter((v) => v !== null);
    return costs.length ? `${way} ${show.seconds(spread(costs).median)}/${words.sizeShort}` : null;
  }).filter(Boolean);
  return [item.title, times.length ? [...lines, times.join(", ")] : lines];
}

/** Names the curves that are not there although they are switched on, and why. */
function leftOut(drawn) {
  const missing = comparable.filter((c) => isShown(c) && !drawn.includes(c));
  const lossless = (c) => !c.isReference && inScope(c, state.scope).some((p) => valueOf(p.measures, state.measure) === Infinity);
  const why = (c) => (c.isReference ? (state.scope ? "published as a mean only" : "published without this measure") : lossless(c) ? "lossless: infinite" : "no value of this measure");
  say("rd-left-out", missing.length ? `Not drawn: ${missing.map((c) => `${titled(c)} (${why(c)})`).join(", ")}.` : "");
}
