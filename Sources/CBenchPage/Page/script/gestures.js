// Mouse, touch and keys on the viewer's stage.

/** Pointers that are down, by id: [x, y] in the stage. */
const pointers = new Map();

function setUpGestures() {
  const stage = byId("stage"), divider = byId("divider");
  const inStage = (event) => {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const moveDivider = (x) => { view.divider = clamp((100 * x) / stage.clientWidth, 0, 100); layOut(); };
  let onDivider = false;

  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    pointers.set(event.pointerId, inStage(event));
    stage.setPointerCapture(event.pointerId);
    stage.classList.add("dragging");
    if (pointers.size > 1) { onDivider = false; return; }
    // All of a picture that fits is there to compare; one that is larger can be moved.
    onDivider = divider.contains(event.target) || view.fits;
    if (onDivider) { divider.focus({ preventScroll: true }); moveDivider(inStage(event)[0]); } else stage.focus({ preventScroll: true });
    event.preventDefault();
  });
  stage.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = inStage(event);
    if (pointers.size === 2) {
      const other = [...pointers].find(([id]) => id !== event.pointerId)[1];
      const apart = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]);
      zoomTo((view.scale * apart(now)) / Math.max(1, apart(before)), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    } else if (onDivider) {
      moveDivider(now[0]);
    } else {
      view.x += now[0] - before[0];
      view.y += now[1] - before[1];
      layOut();
    }
    pointers.set(event.pointerId, now);
  });
  const up = (event) => {
    pointers.delete(event.pointerId);
    if (pointers.size === 0) stage.classList.remove("dragging");
  };
  stage.addEventListener("pointerup", up);
  stage.addEventListener("pointercancel", up);

  // A wheel that only passes by scrolls the page.
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !stage.contains(document.activeElement)) return;
    event.preventDefault();
    zoomTo(view.scale * Math.exp(-clamp(event.deltaY, -60, 60) / 200), ...inStage(event));
  }, { passive: false });

  divider.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 10 : 2;
    const next = { ArrowLeft: view.divider - step, ArrowDown: view.divider - step, ArrowRight: view.divider + step, ArrowUp: view.divider + step,
      PageDown: view.divider - 10, PageUp: view.divider + 10, Home: 0, End: 100 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    view.divider = clamp(next, 0, 100);
    layOut();
  });
  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const pan = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] }[event.key];
    if (event.key === "+" || event.key === "=") zoomTo(view.scale * 1.25);
    else if (event.key === "-") zoomTo(view.scale / 1.25);
    else if (event.key === "0") fit();
    else if (pan && !view.fits) { view.x += pan[0]; view.y += pan[1]; layOut(); } else return;
    event.preventDefault();
  });
}
