// What is shown: measure, files and anchor for the whole page, and which curves.

const available = measures.filter((m) => !m.missing);
const comparable = [...measuredCodecs, ...references];
const state = {
  measure: available[0] ?? null,
  scope: goodFiles.length === 1 ? goodFiles[0].name : "",
  anchor: null,
  // More published curves than these hide what was measured.
  hidden: new Set(references.slice(4).map((r) => r.key)),
};
/** The curve that the pointer is on, in a plot or a button; others step back. */
let emphasised = null;

const scopeText = () => (state.scope ? state.scope : `the mean of ${show.counted(goodFiles.length, words.file, words.files)}`);
const isShown = (item) => !state.hidden.has(item.key);
const radio = (name) => document.querySelector(`input[name="${name}"]:checked`).value;

function options(id, entries, chosen) {
  fill(id, entries.map(({ value, text, disabled }) => el("option", { value, disabled, selected: value === chosen }, text)));
}

function fillBar() {
  byId("scope-label").textContent = words.Files;
  options("measure", measures.map((m) => ({ value: m.key, text: titleOf(m) + (m.missing ? " \u2013 not measured" : ""), disabled: Boolean(m.missing) })), state.measure?.key);
  const each = goodFiles.map((f) => ({ value: `file ${f.name}`, text: f.name }));
  options("scope", goodFiles.length === 1 ? each : [{ value: "", text: `Mean of ${digits[0](goodFiles.length)}` }, ...each], state.scope ? `file ${state.scope}` : "");
  fillAnchors();
  byId("measure").addEventListener("change", (e) => { state.measure = measures.find((m) => m.key === e.target.value); changed(); });
  byId("scope").addEventListener("change", (e) => { state.scope = e.target.value.replace(/^file /, ""); changed(); });
  byId("anchor").addEventListener("change", (e) => { state.anchor = comparable.find((c) => c.key === e.target.value); changed(); });
}

function fillAnchors() {
  const possible = anchors(state.scope, state.measure);
  if (!possible.includes(state.anchor)) {
    // What people know, as far as it has a curve.
    const curved = measuredCodecs.filter((c) => curve(c, state.scope, state.measure).length > 1);
    state.anchor = curved.find((c) => c.name === "jpeg") ?? curved.find((c) => c.family === "peer") ?? curved[0] ?? measuredCodecs[0] ?? null;
  }
  options("anchor", possible.map((c) => ({ value: c.key, text: titled(c) })), state.anchor?.key);
}

function changed() {
  fillAnchors();
  renderAll();
}

/** A button for each curve, in both plots; they switch together. */
function renderChips() {
  for (const group of document.querySelectorAll("[data-chips]")) {
    const items = group.dataset.chips === "references" ? references : measuredCodecs;
    group.hidden = items.length === 0;
    const focused = group.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const chip = (item) =>
      el("button", {
        type: "button", class: "chip", "data-key": item.key, "aria-pressed": isShown(item) ? "true" : "false",
        onclick: () => { isShown(item) ? state.hidden.add(item.key) : state.hidden.delete(item.key); renderChips(); renderPlots(); },
        onpointerenter: (e) => { if (e.pointerType === "mouse") emphasise(item); },
        onpointerleave: () => emphasise(null),
      }, swatch(item), titled(item));
    const all = items.every(isShown);
    group.replaceChildren(...items.map(chip), el("button", {
      type: "button", class: "chip all", "data-key": "all",
      onclick: () => { for (const item of items) all ? state.hidden.add(item.key) : state.hidden.delete(item.key); renderChips(); renderPlots(); },
    }, all ? "Hide all" : "Show all"));
    if (focused) [...group.children].find((c) => c.dataset.key === focused)?.focus();
  }
}

function emphasise(item) {
  if (emphasised === item) return;
  emphasised = item;
  renderPlots();
}

// The pointer may leave a plot without moving.
addEventListener("scroll", () => emphasise(null), { passive: true });

function renderPlots() {
  renderRates();
  renderSpeed();
}

function renderAll() {
  if (!state.measure || !measuredCodecs.length) return;
  renderHeadline();
  renderChips();
  renderPlots();
  renderSummary();
  renderMatrix();
  renderCodecs();
}
