// Puts the page together.

function renderSections() {
  const names = { summary: "Summary", rd: "Rate", speed: "Speed", matrix: "BD-rate", viewer: "Viewer", points: "Points", failures: "Failures" };
  fill("sections", Object.entries(names).filter(([id]) => byId(id)).map(([id, text]) => el("a", { href: `#${id}` }, text)));
}

function start() {
  renderFacts();
  renderFailures();
  renderMethod();
  const hasCPU = points.some((p) => listOf(p.encodeCPUSeconds).length || listOf(p.decodeCPUSeconds).length);
  if (!hasCPU) byId("clock-tool").hidden = true;
  if (!state.measure || !measuredCodecs.length) {
    // Nothing to plot: what there is to say is which files and codecs failed.
    byId("headline").textContent = "Nothing was measured";
    for (const id of ["summary", "rd", "speed", "matrix", "viewer", "points"]) byId(id).remove();
    document.querySelector(".bar").remove();
    return;
  }
  byId("extent-tool").hidden = references.length === 0;
  fillBar();
  setUpViewer();
  setUpPoints();
  renderSections();
  for (const name of ["axis", "extent"]) for (const input of document.getElementsByName(name)) input.addEventListener("change", renderRates);
  for (const name of ["way", "against"]) for (const input of document.getElementsByName(name)) input.addEventListener("change", renderSpeed);
  for (const input of document.getElementsByName("clock")) input.addEventListener("change", renderAll);
  for (const input of document.getElementsByName("delta")) input.addEventListener("change", renderMatrix);
  byId("quality").addEventListener("input", renderSpeed);
  renderAll();
}

start();
