// The headline and the table at a glance.

const countedFiles = (n) => show.counted(n, words.file, words.files);

function renderHeadline() {
  const { measure, anchor, scope } = state;
  const steps = Math.max(0, ...measuredCodecs.map((c) => new Set(pointsOf.get(c.name).map((p) => p.point)).size));
  const on = goodFiles.length === 1 ? goodFiles[0].name : countedFiles(goodFiles.length);
  byId("headline").textContent = `${show.counted(measuredCodecs.length, "codec", "codecs")} on ${on}, up to ${show.counted(steps, "rate", "rates")} each`;
  document.title = `nccodec bench: ${byId("headline").textContent}`;

  // The best of ours and the best of the peers, so that neither is left out when it loses.
  const found = measuredCodecs.filter((c) => c !== anchor).map((item) => ({ item, value: delta(anchor, item, scope, measure, true).value }))
    .filter((d) => d.value !== null).sort((a, b) => a.value - b.value);
  const best = (family) => found.find((d) => d.item.family === family);
  const [first, second] = [best("ours"), best("peer")].filter(Boolean).sort((a, b) => a.value - b.value);
  const phrase = (d) => `${digits[0](Math.abs(d.value))} % ${d.value <= 0 ? "fewer" : "more"} bits`;
  const whose = (d) => (d.item.family === "ours" ? "of ours" : "of the peers");
  say("finding", !first ? "" : [
    `At equal ${comparing(measure).title}, ${scope ? "on" : "in"} ${scopeText()}, `, el("strong", null, `${first.item.title} takes ${phrase(first)}`), ` than ${titled(anchor)}`,
    second ? [`; best ${whose(second)} is `, el("strong", null, second.item.title), ` with ${phrase(second)}.`] : ".",
  ].flat());
}

function renderSummary() {
  const { measure, anchor, scope } = state, clock = radio("clock");
  const rows = measuredCodecs.map((item) => ({
    item, bd: item === anchor ? { value: 0 } : delta(anchor, item, scope, measure, true),
    encode: timeOf(item, scope, "encode", clock), decode: timeOf(item, scope, "decode", clock),
    encodePeak: peakOf(item, scope, "encode"), decodePeak: peakOf(item, scope, "decode"),
    failed: pointsOf.get(item.name).filter((p) => p.error && (!scope || p.file === scope)).length, count: inScope(item, scope).length,
  }));
  rows.sort((a, b) => (a.bd.value ?? Infinity) - (b.bd.value ?? Infinity));
  const widest = Math.max(10, ...rows.map((r) => Math.abs(r.bd.value ?? 0)));
  const lows = Math.max(0, ...rows.map((r) => -(r.bd.value ?? 0))), highs = Math.max(0, ...rows.map((r) => r.bd.value ?? 0));
  const scale = { low: lows || (highs ? 0 : widest), high: highs || (lows ? 0 : widest) };
  const time = (t) => (t ? [show.seconds(t.median), el("br"), el("small", null, `${show.seconds(t.low)} \u2013 ${show.seconds(t.high)}, n\u202f=\u202f${digits[0](t.samples)}`)] : el("span", { class: "none" }, "\u2013"));
  const hasPeaks = rows.some((r) => r.encodePeak !== null || r.decodePeak !== null);
  const head = ["Codec", `BD-rate against ${anchor ? titled(anchor) : "\u2013"}`, `Encode, per ${words.size}`, `Decode, per ${words.size}`, hasPeaks ? "Peak memory, encode / decode" : null, "Points"].filter(Boolean);
  // The roles are said, as small screens lay the table out in blocks.
  const cell = (label, ...content) => el("td", { role: "cell", "data-label": label }, ...content);
  fill("summary-table",
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, head.map((text) => el("th", { scope: "col", role: "columnheader" }, text)))),
    el("tbody", { role: "rowgroup" }, rows.map((r) => el("tr", { role: "row" },
      el("th", { scope: "row", role: "rowheader" }, nameOf(r.item, r.item.family === "ours" ? [" ", el("span", { class: "tag" }, "ours")] : "")),
      cell(null, r.bd.value === null ? el("span", { class: "none" }, `\u2013 (${r.bd.reason})`) : bar(r, scale, r.item === anchor)),
      cell("Encode", time(r.encode)), cell("Decode", time(r.decode)),
      hasPeaks ? cell("Peak memory", `${show.bytes(r.encodePeak)} / ${show.bytes(r.decodePeak)}`) : null,
      cell("Points", digits[0](r.count), r.failed ? el("small", null, `, ${digits[0](r.failed)} failed`) : ""),
    ))));
  byId("summary-table").setAttribute("role", "table");
  say("summary-hint", `BD-rate says how much more (+) or fewer (\u2212) bits a codec takes than the anchor at equal ${comparing(measure).title}. Times are medians with the middle half, of ${clock === "Seconds" ? "wall time" : "processor time"}${clock === "Seconds" && (results.run?.workers ?? 1) > 1 ? `, while ${results.run.workers} items were measured at once` : ""}.`);
}

/** A value as a bar from zero, savings to the left. */
function bar(row, scale, isAnchor) {
  const value = row.bd.value, all = scale.low + scale.high, zero = (100 * scale.low) / all, length = (100 * Math.abs(value)) / all;
  const fillBar = el("i"), line = el("i", { class: "zero" });
  fillBar.style.cssText = `left:${value < 0 ? zero - length : zero}%;width:${length}%;background:${styleOf(row.item).colour}`;
  line.style.left = `${zero}%`;
  return el("span", { class: "bd" }, el("span", { class: "bd-bar", "aria-hidden": "true" }, fillBar, line), el("span", null, isAnchor ? "anchor" : show.percent(value)));
}
