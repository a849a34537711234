// The table of all points.

const pageLength = 150;
const table = { key: "order", rising: true, length: pageLength };

/** {key, title, value (to sort by), text, isText} */
const columns = [
  { key: "file", title: words.File, isText: true, value: (p) => p.file },
  { key: "codec", title: "Codec", isText: true, value: (p) => codecs.find((c) => c.name === p.codec)?.title ?? p.codec },
  { key: "setting", title: "Setting", isText: true, value: (p) => p.setting },
  { key: "bytes", title: "Bytes", value: (p) => p.bytes, text: show.count },
  { key: "rate", title: isAudio ? "kbps" : isKV ? "Bits per element" : "bpp", value: rateOf, text: show.rate },
  ...measures.filter((m) => !m.missing && m.key === m.base).map((m) => ({
    key: `measure ${m.key}`, title: titleOf(m), value: (p) => valueOf(p.measures, m),
    text: (v) => (v === Infinity ? "\u221e" : isNumber(v) ? digits[m.places](v) : "\u2013"),
  })),
  ...["encode", "decode"].map((way) => ({
    key: `${way} time`, title: way === "encode" ? "Encode" : "Decode", text: show.seconds,
    value: (p) => (repetitions(p, way, "Seconds") ? Math.min(...p[`${way}Seconds`]) : null),
  })),
  ...["encode", "decode"].map((way) => ({ key: `${way} peak`, title: `Peak, ${way}`, value: (p) => p[`${way}PeakBytes`], text: show.bytes })),
].filter((c) => !/peak|time/.test(c.key) || points.some((p) => isNumber(c.value(p))));

function setUpPoints() {
  byId("points-file-label").textContent = words.File;
  const named = [...new Set([...files.map((f) => f.name), ...points.map((p) => p.file)])];
  options("points-file", [{ value: "", text: `All ${words.files}` }, ...named.map((f) => ({ value: `file ${f}`, text: f }))], "");
  options("points-codec", [{ value: "", text: "All codecs" }, ...codecs.map((c) => ({ value: c.key, text: c.title }))], "");
  for (const id of ["points-file", "points-codec"]) byId(id).addEventListener("change", () => { table.length = pageLength; renderPoints(); });
  byId("points-more").addEventListener("click", () => { table.length += pageLength; renderPoints(); });
  fill("points-table", el("thead", null, el("tr", null, columns.map((c) =>
    el("th", { scope: "col", class: c.isText ? "text" : null, "data-key": c.key }, el("button", { type: "button", onclick: () => sortBy(c.key) }, c.title))))), el("tbody"));
  say("points-hint", `Every file that was made. Times are of the fastest repetition, of the whole ${words.file}. The same numbers are in results.csv and results.json, beside this page.`);
  renderPoints();
}

function sortBy(key) {
  table.rising = table.key === key ? !table.rising : true;
  table.key = key;
  renderPoints();
}

function renderPoints() {
  const file = byId("points-file").value, codec = byId("points-codec").value, column = columns.find((c) => c.key === table.key);
  let rows = points.filter((p) => (!file || `file ${p.file}` === file) && (!codec || `codec ${p.codec}` === codec));
  if (column) {
    const compare = (a, b) => (column.isText ? String(a).localeCompare(String(b), "en", { numeric: true }) : a - b);
    const isNone = (v) => v === null || v === undefined;
    // Rows without a value stay last either way.
    rows = [...rows].sort((p, q) => {
      const [a, b] = [column.value(p), column.value(q)];
      return isNone(a) || isNone(b) ? isNone(a) - isNone(b) : a === b ? 0 : (table.rising ? 1 : -1) * compare(a, b);
    });
  }
  for (const th of byId("points-table").querySelectorAll("th")) {
    if (th.dataset.key === table.key) th.setAttribute("aria-sort", table.rising ? "ascending" : "descending");
    else th.removeAttribute("aria-sort");
    th.firstElementChild.textContent = columns.find((c) => c.key === th.dataset.key).title + (th.dataset.key === table.key ? (table.rising ? " \u2191" : " \u2193") : "");
  }
  byId("points-table").querySelector("tbody").replaceChildren(...rows.slice(0, table.length).map(rowOf));
  byId("points-count").textContent = rows.length > table.length ? `${digits[0](table.length)} of ${show.counted(rows.length, "point", "points")} shown` : show.counted(rows.length, "point", "points");
  byId("points-more").hidden = rows.length <= table.length;
  byId("points-more").textContent = `Show ${digits[0](Math.min(pageLength, rows.length - table.length))} more`;
}

function rowOf(p) {
  const texts = columns.filter((c) => c.isText).map((c) => el("td", { class: "text", title: c.value(p) }, String(c.value(p) ?? "\u2013")));
  if (p.error) return el("tr", { class: "failed" }, texts, el("td", { class: "error", colspan: columns.length - texts.length }, `failed: ${p.error}`));
  return el("tr", null, texts, columns.filter((c) => !c.isText).map((c) => el("td", null, c.text(c.value(p)))));
}
