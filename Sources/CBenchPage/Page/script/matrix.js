// Bjontegaard deltas of every pair.

function renderMatrix() {
  const { measure, scope } = state, isRate = radio("delta") === "rate", over = comparing(measure);
  byId("delta-quality").textContent = over.title + (over.unit ? ` (${over.unit})` : "");
  const rows = anchors(scope, measure), columns = measuredCodecs;
  const cells = rows.map((anchor) => columns.map((test) => (test === anchor ? null : delta(anchor, test, scope, measure, isRate))));
  // More quality is good, fewer bits are; measures whose small values are good turn round.
  const sign = isRate ? -1 : over.isHigherBetter ? 1 : -1;
  const sizes = cells.flat().filter((d) => d && d.value !== null).map((d) => Math.abs(d.value));
  const full = Math.max(isRate ? 20 : 0, ...sizes.map((v) => Math.min(v, isRate ? 100 : v)), 1e-9);
  const reasons = new Map();
  const cell = (d, anchor, test) => {
    if (!d) return el("td", { class: "self" }, "\u00b7");
    if (d.value === null) {
      if (!reasons.has(d.reason)) reasons.set(d.reason, []);
      reasons.get(d.reason).push(`${titled(test)} against ${titled(anchor)}`);
      return el("td", { title: d.reason }, el("span", { "aria-hidden": "true" }, "\u2013"), el("span", { class: "visually-hidden" }, `none: ${d.reason}`));
    }
    const td = el("td", null, isRate ? show.percent(d.value) : show.signed(d.value, over.places)), good = sign * d.value > 0;
    const share = Math.min(1, Math.abs(d.value) / full) * (isDark() ? 0.42 : 0.38);
    td.style.backgroundColor = `rgba(${cssColour(good ? "--saves" : "--costs")}, ${share.toFixed(3)})`;
    return td;
  };
  fill("matrix-table",
    el("thead", null, el("tr", null, el("th", { scope: "col", class: "corner" }, "anchor \u2193, test \u2192"), columns.map((c) => el("th", { scope: "col" }, titled(c))))),
    el("tbody", null, rows.map((anchor, i) => el("tr", null,
      el("th", { scope: "row" }, nameOf(anchor, anchor === state.anchor ? [" ", el("span", { class: "tag" }, "anchor")] : "")), columns.map((test, k) => cell(cells[i][k], anchor, test))))));
  say("matrix-hint", isRate
    ? `How many more or fewer bits the column\u2019s codec takes than the row\u2019s at equal ${over.title}, over the qualities that both reach. Blue saves, orange costs.`
    : `How much more or less ${over.title} the column\u2019s codec has than the row\u2019s at the same rate. Blue is better, orange worse.`);
  say("matrix-source", scope ? `For ${scope}, worked out by this page.` : `For ${scopeText()}: the curves of means, over the files that both codecs coded at all their points.`);
  fill("matrix-reasons", [...reasons].map(([reason, pairs]) => el("li", null, `\u2013 ${reason}: ${shortened(pairs)}.`)));
}

/** A list that names the first few. */
function shortened(texts, count = 6) {
  return texts.length <= count + 1 ? texts.join(", ") : `${texts.slice(0, count).join(", ")} and ${digits[0](texts.length - count)} more pairs`;
}
