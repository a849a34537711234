// Two decoded pictures, or one and the original, with a divider between them. Pictures are files beside the page and are asked
// for only when the viewer comes into sight.

const view = { scale: 1, x: 0, y: 0, fits: true, divider: 50, inSight: false, sides: {} };
const sideNames = ["left", "right"];
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** A path below the page's folder as a URL; null for what would lead elsewhere. */
function pictureURL(path) {
  if (typeof path !== "string" || path === "" || /^[/\\]|^[a-z][a-z0-9+.-]*:|\\/i.test(path)) return null;
  const parts = path.split("/");
  return parts.includes("..") ? null : parts.map(encodeURIComponent).join("/");
}

const viewable = () => goodFiles.filter((f) => pictureURL(f.picture) || points.some((p) => p.file === f.name && p.picture));

function setUpViewer() {
  if (isKV || isAudio || isVideo) { byId("viewer").remove(); return; }
  const kept = viewable();
  say("viewer-hint", kept.length
    ? "The right picture is the one whose rate is nearest to the left one\u2019s; captions state what each really takes."
    : "No decoded pictures were kept in this run, so there is nothing to compare here.");
  if (!kept.length) {
    for (const part of byId("viewer").querySelectorAll(".tools, .captions, .stage, .keys")) part.remove();
    return;
  }
  options("view-file", kept.map((f) => ({ value: f.name, text: f.name })), kept[0].name);
  const ours = measuredCodecs.find((c) => c.family === "ours") ?? measuredCodecs[0];
  const other = measuredCodecs.find((c) => c.name === "jpeg" && c !== ours) ?? measuredCodecs.find((c) => c !== ours);
  const entries = [...measuredCodecs.map((c) => ({ value: c.key, text: c.title })), { value: "original", text: "Original" }];
  options("view-left", entries, ours.key);
  options("view-right", entries, other?.key ?? "original");
  for (const id of ["view-file", "view-left", "view-right"]) byId(id).addEventListener("change", () => { if (id !== "view-right") fillRates(); renderViewer(); });
  byId("view-rate").addEventListener("input", renderViewer);
  byId("view-mode").addEventListener("change", applyMode);
  byId("view-swap").addEventListener("click", () => {
    const [a, b] = [byId("view-left").value, byId("view-right").value];
    byId("view-left").value = b;
    byId("view-right").value = a;
    fillRates();
    renderViewer();
  });
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => (button.dataset.zoom === "fit" ? fit() : zoomTo(Number(button.dataset.zoom))));
  }
  setUpGestures();
  for (const side of sideNames) {
    const image = byId(`image-${side}`);
    image.addEventListener("load", () => { view.sides[side].failed = false; layOut(); });
    image.addEventListener("error", () => { view.sides[side].failed = true; layOut(); });
  }
  new ResizeObserver(layOut).observe(byId("stage"));
  new IntersectionObserver((seen, observer) => {
    if (!seen.some((s) => s.isIntersecting)) return;
    observer.disconnect();
    view.inSight = true;
    renderViewer();
  }, { rootMargin: "150px" }).observe(byId("stage"));
  fillRates();
  renderViewer();
}

const codecOf = (side) => measuredCodecs.find((c) => c.key === byId(`view-${side}`).value) ?? null;
const pointsIn = (codec, file) => inScope(codec, file).filter((p) => isNumber(p.bpp)).sort((a, b) => a.bpp - b.bpp);

/** Steps of the rate: the points of the left codec, or of the right one beside the original. */
function rateSteps() {
  const codec = codecOf("left") ?? codecOf("right");
  return codec ? pointsIn(codec, byId("view-file").value) : [];
}

/** Keeps the rate about where it was when another codec's points become the steps. */
function fillRates() {
  const slider = byId("view-rate"), steps = rateSteps(), before = view.rate;
  slider.max = String(Math.max(0, steps.length - 1));
  const wanted = before ?? steps[Math.floor((steps.length - 1) / 2)]?.bpp;
  const near = nearest(steps, wanted);
  slider.value = String(near ? steps.indexOf(near) : 0);
}

/** The point whose rate is nearest, as a ratio. */
function nearest(steps, rate) {
  let best = null;
  for (const p of steps) if (!best || Math.abs(Math.log(p.bpp / rate)) < Math.abs(Math.log(best.bpp / rate))) best = p;
  return best;
}

function renderViewer() {
  const file = fileNamed.get(byId("view-file").value), step = rateSteps()[Number(byId("view-rate").value)] ?? null;
  view.rate = step?.bpp ?? view.rate;
  byId("view-rate-text").textContent = step ? `${show.rate(step.bpp)} bpp` : "\u2013";
  byId("view-rate").setAttribute("aria-valuetext", step ? `${show.rate(step.bpp)} bits per pixel, ${step.setting}` : "none");
  for (const side of sideNames) {
    const codec = codecOf(side), point = codec && step ? nearest(pointsIn(codec, file.name), step.bpp) : null;
    caption(side, file, codec, point, step);
    const path = codec ? point?.picture : file.picture, url = pictureURL(path), image = byId(`image-${side}`);
    const reason = codec && !point ? `${codec.title} has no point for this picture.`
      : !path ? (codec ? "This picture was not kept." : "The original was not kept beside this page.")
      : !url ? `${path} leads out of the report\u2019s folder and is not shown.` : null;
    view.sides[side] = { path, url, reason, failed: false, text: codec ? `${codec.title}, ${point?.setting ?? ""}` : "Original" };
    image.alt = reason ? "" : `${file.name}: ${view.sides[side].text}`;
    if (!view.inSight) continue;
    if (!url || reason) image.removeAttribute("src");
    else if (image.getAttribute("src") !== url) image.src = url;
    else view.sides[side].failed = image.complete && image.naturalWidth === 0;
  }
  layOut();
}

function caption(side, file, codec, point, step) {
  if (!codec) {
    fill(`view-${side}-text`, el("b", null, "Original"), el("span", null, `${file.width}\u2009\u00d7\u2009${file.height}, ${show.bytes(file.bytes)}`));
    return;
  }
  if (!point) { fill(`view-${side}-text`, el("b", null, codec.title), el("span", null, "no point for this picture")); return; }
  const shown = measures.find((m) => m.base === "psnr") ?? state.measure, also = state.measure && state.measure.base !== shown.base ? [state.measure] : [];
  const values = [shown, ...also].map((m) => `${m.title} ${showValue(valueOf(point.measures, m), m)}`);
  const ratio = point.bpp / step.bpp;
  fill(`view-${side}-text`, el("b", null, codec.title), el("span", null, [`${show.rate(point.bpp)} bpp`, ...values, show.bytes(point.bytes), point.setting].join(" \u00b7 ")),
    ratio > 1.1 || ratio < 1 / 1.1 ? [" ", el("em", null, `nearest there is: ${digits[2](ratio)} times the rate`)] : "");
}

function applyMode() {
  const mode = byId("view-mode").value;
  byId("stage").classList.toggle("difference", mode !== "slider");
  byId("stage").classList.toggle("brightened", mode === "difference8");
  layOut();
}

/** Size of what is shown in picture pixels. */
function pictureSize() {
  for (const side of sideNames) { const image = byId(`image-${side}`); if (image.naturalWidth) return [image.naturalWidth, image.naturalHeight]; }
  const file = fileNamed.get(byId("view-file").value);
  return [file?.width || 1, file?.height || 1];
}

/** Whole multiples where the picture is smaller than the stage, so that pixels stay what they are. */
function fitScale() {
  const stage = byId("stage"), [w, h] = pictureSize(), scale = Math.min(stage.clientWidth / w, stage.clientHeight / h);
  return scale >= 1 ? Math.min(16, Math.floor(scale)) : scale;
}

function fit() { view.fits = true; layOut(); }

/** Zooms, keeping the picture's place under (atX, atY) of the stage; its middle by default. */
function zoomTo(scale, atX = byId("stage").clientWidth / 2, atY = byId("stage").clientHeight / 2) {
  const next = clamp(scale, Math.min(0.1, fitScale()), 32);
  view.x = atX - ((atX - view.x) * next) / view.scale;
  view.y = atY - ((atY - view.y) * next) / view.scale;
  view.scale = next;
  view.fits = false;
  layOut();
}

function layOut() {
  const stage = byId("stage"), [w, h] = pictureSize(), [sw, sh] = [stage.clientWidth, stage.clientHeight];
  if (view.fits) view.scale = fitScale();
  const place = (offset, picture, room) => (picture <= room || view.fits ? (room - picture) / 2 : clamp(offset, room - picture, 0));
  view.x = place(view.x, w * view.scale, sw);
  view.y = place(view.y, h * view.scale, sh);
  stage.classList.toggle("zoomed", !view.fits);
  for (const side of sideNames) {
    const image = byId(`image-${side}`), info = view.sides[side] ?? {};
    image.hidden = Boolean(info.reason || info.failed);
    image.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
    image.classList.toggle("pixels", view.scale >= 2);
    const text = info.reason ?? (info.failed ? `${info.path} is not beside this page.` : null);
    byId(`absent-${side}`).hidden = !text;
    fill(`absent-${side}`, text ? el("span", null, text) : "");
  }
  byId("layer-left").style.clipPath = `inset(0 ${100 - view.divider}% 0 0)`;
  byId("layer-right").style.clipPath = byId("view-mode").value === "slider" ? `inset(0 0 0 ${view.divider}%)` : "none";
  const divider = byId("divider");
  divider.style.left = `${view.divider}%`;
  divider.setAttribute("aria-valuenow", String(Math.round(view.divider)));
  divider.setAttribute("aria-valuetext", `${Math.round(view.divider)} % ${view.sides.left?.text ?? ""}, the rest ${view.sides.right?.text ?? ""}`);
  byId("zoom-text").textContent = `${digits[0](view.scale * 100)} %`;
  for (const button of document.querySelectorAll("[data-zoom]")) {
    const on = button.dataset.zoom === "fit" ? view.fits : !view.fits && Math.abs(Number(button.dataset.zoom) - view.scale) < 0.005;
    button.setAttribute("aria-pressed", on ? "true" : "false");
  }
}
