// What both plots share: Chart.js with our axes, colours, labels and keys.

Chart.defaults.animation = false;
Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
Chart.defaults.font.size = 12;
const plots = [];

/** Round numbers between `low` and `high`: 1, 2, 5 of each decade, or more of them where that gives too few. */
function logTicks(low, high) {
  const ticks = (mantissas) => {
    const found = [];
    for (let k = Math.floor(Math.log10(low)) - 1; k <= Math.ceil(Math.log10(high)); k++) {
      for (const m of mantissas) { const v = Number(`${m}e${k}`); if (v >= low * 0.999 && v <= high * 1.001) found.push(v); }
    }
    return found;
  };
  const decades = Math.log10(high / low);
  if (decades > 4) return ticks([1]);
  const few = ticks([1, 2, 5]);
  return few.length >= 4 ? few : ticks([1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9]);
}

/** Round numbers in steps of 1, 2 or 5 times a power of ten, about `count` of them. */
function linearTicks(low, high, count = 7) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= rough * 0.999), found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push(Number((k * step).toPrecision(12)));
  return found;
}

/** An axis from `low` to `high`; `text` makes the labels of its ticks. */
function axis(isLog, low, high, text) {
  const grid = { color: cssColour("--line"), drawTicks: false, borderColor: cssColour("--strong-line") };
  const ticks = { color: cssColour("--soft"), padding: 7, maxRotation: 0, autoSkipPadding: 14, callback: text };
  return {
    type: isLog ? "logarithmic" : "linear", min: low, max: high, grid, ticks,
    afterBuildTicks(scale) { scale.ticks = (isLog ? logTicks : linearTicks)(low, high).map((value) => ({ value })); },
  };
}

const plainNumber = (value) => String(Number(value.toPrecision(6))).replace("-", "\u2212");
const faded = (colour) => `${colour}30`;

/** Labels and ranges that datasets carry beside their points: `label` and `range: [low, high]` on the x axis. */
const annotations = {
  id: "annotations",
  beforeDatasetsDraw(chart) {
    const { ctx, scales } = chart;
    chart.data.datasets.forEach((set, index) => {
      const range = set.data[0]?.range;
      if (!range || !chart.isDatasetVisible(index)) return;
      const y = scales.y.getPixelForValue(set.data[0].y), [from, to] = range.map((v) => scales.x.getPixelForValue(v));
      ctx.save();
      ctx.strokeStyle = set.borderColor;
      ctx.lineWidth = 1.5;
      ctx.beginPath();
      ctx.moveTo(from, y); ctx.lineTo(to, y);
      for (const x of [from, to]) { ctx.moveTo(x, y - 4); ctx.lineTo(x, y + 4); }
      ctx.stroke();
      ctx.restore();
    });
  },
  afterDatasetsDraw(chart) {
    const { ctx, chartArea } = chart, taken = [];
    const labelled = chart.data.datasets.map((set, i) => [set, chart.getDatasetMeta(i).data[0]]).filter(([set, point]) => set.data[0]?.label && point);
    for (const [, point] of labelled) taken.push([point.x - 7, point.y - 7, point.x + 7, point.y + 7]);
    ctx.save();
    ctx.font = `600 12px ${Chart.defaults.font.family}`;
    ctx.textBaseline = "middle";
    for (const [set, point] of labelled) {
      const text = set.data[0].label, width = ctx.measureText(text).width;
      // Beside the point, past what its range covers.
      const [from, to] = (set.data[0].range ?? []).map((v) => chart.scales.x.getPixelForValue(v) - point.x);
      const after = Math.max(12, (to ?? 0) + 7), before = Math.min(-12, (from ?? 0) - 7) - width;
      const places = [[after, 0], [before, 0], [-width / 2, -17], [-width / 2, 17], [12, -15], [12, 15], [-12 - width, -15], [-12 - width, 15]];
      const box = ([dx, dy]) => [point.x + dx, point.y + dy - 8, point.x + dx + width, point.y + dy + 8];
      const fits = (b) => b[0] >= chartArea.left + 2 && b[2] <= chartArea.right - 2 && b[1] >= chartArea.top && b[3] <= chartArea.bottom
        && taken.every((t) => b[2] < t[0] || b[0] > t[2] || b[3] < t[1] || b[1] > t[3]);
      const place = places.find((p) => fits(box(p)));
      // Where there is no room, the tooltip and the button above have the name.
      if (!place) continue;
      taken.push(box(place));
      ctx.fillStyle = emphasised && emphasised !== set.item ? cssColour("--soft") : cssColour("--ink");
      ctx.strokeStyle = cssColour("--ground");
      ctx.lineWidth = 4;
      ctx.lineJoin = "round";
      ctx.strokeText(text, point.x + place[0], point.y + place[1]);
      ctx.fillText(text, point.x + place[0], point.y + place[1]);
    }
    ctx.restore();
  },
};

/** A plot on a canvas; `words` of a point are [title, lines], for the tooltip and for screen readers. */
function makePlot(id, live) {
  const canvas = byId(id);
  const chart = new Chart(canvas, {
    type: "scatter",
    data: { datasets: [] },
    plugins: [annotations],
    options: {
      responsive: true, maintainAspectRatio: false, layout: { padding: { top: 8, right: 12 } },
      interaction: { mode: "nearest", intersect: false, axis: "xy" },
      onHover: (event, elements) => emphasise(event.type === "mouseout" || !elements.length ? null : chart.data.datasets[elements[0].datasetIndex].item),
      plugins: {
        legend: { display: false },
        tooltip: {
          displayColors: false, padding: 10, cornerRadius: 6, caretPadding: 8, titleFont: { weight: "600" }, bodySpacing: 3,
          callbacks: { title: (found) => found[0]?.raw.words[0], label: (found) => found.raw.words[1] },
        },
      },
    },
  });
  plots.push(chart);
  canvas.addEventListener("mouseleave", () => emphasise(null));
  canvas.addEventListener("keydown", (event) => stepThrough(chart, live, event));
  canvas.addEventListener("blur", () => { activate(chart, []); });
  return chart;
}

function activate(chart, elements) {
  chart.setActiveElements(elements);
  chart.tooltip.setActiveElements(elements, { x: 0, y: 0 });
  chart.update("none");
}

/** Left and right go along a curve, up and down to the point of another curve that is nearest. */
function stepThrough(chart, live, event) {
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  const sets = chart.data.datasets;
  if (!step || !sets.length) return;
  event.preventDefault();
  const now = chart.getActiveElements()[0];
  let set = now?.datasetIndex ?? 0, index = now?.index ?? 0;
  if (now) {
    const x = sets[set].data[index].x;
    set = (set + step[0] + sets.length) % sets.length;
    const count = sets[set].data.length;
    if (step[0]) {
      const away = sets[set].data.map((d) => Math.abs(Math.log(d.x / x)));
      index = away.indexOf(Math.min(...away));
    } else if (count === 1) {
      // One point a codec: along means to the next codec.
      set = (set + step[1] + sets.length) % sets.length;
      index = 0;
    } else {
      index = Math.min(count - 1, Math.max(0, index + step[1]));
    }
  }
  activate(chart, [{ datasetIndex: set, index }]);
  const [title, lines] = sets[set].data[index].words;
  byId(live).textContent = [title, ...lines].join(". ");
}

/** Puts datasets and axes into a plot, in the colours of now. */
function redraw(chart, datasets, x, y, label) {
  chart.data.datasets = datasets;
  chart.options.scales = { x, y };
  Object.assign(chart.options.plugins.tooltip, {
    backgroundColor: isDark() ? "#e7eaee" : "#15191e", titleColor: isDark() ? "#0f1317" : "#ffffff", bodyColor: isDark() ? "#2a3139" : "#dfe4ea",
  });
  chart.canvas.setAttribute("aria-label", label);
  chart.update("none");
}

/** Dataset of an item: `data` are {x, y, words, ...}. */
function dataset(item, data, more) {
  const style = styleOf(item), dim = emphasised && emphasised !== item;
  const colour = dim ? faded(style.colour) : style.colour;
  return {
    item, label: titled(item), data, borderColor: colour, backgroundColor: item.isReference ? cssColour("--ground") : colour, pointBorderColor: colour,
    borderWidth: style.width + (emphasised === item ? 1 : 0), borderDash: style.dash, pointStyle: style.point,
    pointRadius: item.isReference ? 3 : 5, pointHoverRadius: item.isReference ? 5 : 7.5, pointBorderWidth: ["crossRot", "star", "cross", "line"].includes(style.point) ? 2 : 1.5,
    pointHoverBackgroundColor: colour, pointHoverBorderColor: colour, pointHoverBorderWidth: 2, order: item.isReference ? 3 : style.isOurs ? 1 : 2,
    ...more,
  };
}

function resizePlots() { for (const plot of plots) plot.resize(); }

/** Room around values: [low, high]. */
function padded(values, isLog, share = 0.06) {
  const low = Math.min(...values), high = Math.max(...values);
  if (isLog) {
    const factor = low === high ? 2 : (high / low) ** share;
    return [low / factor, high * factor];
  }
  const room = low === high ? Math.max(1e-3, Math.abs(low) * 0.1) : (high - low) * share;
  return [low - room, high + room];
}
