// Light and dark, and how curves look: colours after Okabe and Ito, darkened or lightened to 3:1 against the ground, and a shape
// for each, so that nothing hangs on colour alone.

const palettes = {
  light: ["#0072b2", "#d55e00", "#00835f", "#b5508b", "#a86c00", "#2f86bd", "#15191e", "#6d7885"],
  dark: ["#4c9be0", "#f07b3a", "#2bc194", "#de93be", "#e9b03e", "#8fd0f5", "#e7eaee", "#98a3af"],
};
/** Names of Chart.js, and the same in a box of 14 by 14. */
const shapes = [
  ["circle", "M7 2.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9z"], ["rect", "M3 3h8v8h-8z"], ["triangle", "M7 2L12 11H2z"],
  ["rectRot", "M7 1.5L12.5 7L7 12.5L1.5 7z"], ["crossRot", "M3 3L11 11M11 3L3 11"], ["star", "M7 2V12M2 7H12M3.5 3.5L10.5 10.5M10.5 3.5L3.5 10.5"],
  ["cross", "M7 2V12M2 7H12"], ["line", "M1 7H13"],
];

/** What the reader chose here, "light" or "dark", or null for what the system says. */
let chosenTheme = null;
try { chosenTheme = localStorage.getItem("nccodec-bench-theme"); } catch { /* no storage for files: the choice lasts as long as the page */ }
const systemDark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => document.documentElement.dataset.theme === "dark";

function applyTheme() {
  const dark = chosenTheme ? chosenTheme === "dark" : systemDark.matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  byId("theme-text").textContent = dark ? "Light" : "Dark";
  byId("theme").setAttribute("aria-label", `Use ${dark ? "light" : "dark"} colours`);
}
applyTheme();
systemDark.addEventListener("change", () => { applyTheme(); renderAll(); });
byId("theme").addEventListener("click", () => {
  chosenTheme = isDark() ? "light" : "dark";
  try { localStorage.setItem("nccodec-bench-theme", chosenTheme); } catch { /* as above */ }
  applyTheme();
  renderAll();
});
// Paper is white.
addEventListener("beforeprint", () => { document.documentElement.dataset.theme = "light"; renderAll(); resizePlots(); });
addEventListener("afterprint", () => { applyTheme(); renderAll(); resizePlots(); });

const cssColour = (variable) => getComputedStyle(document.documentElement).getPropertyValue(variable).trim();

/** {colour, point, path, rotation, dash, width, isOurs} of a codec or a published curve. */
function styleOf(item) {
  const palette = palettes[isDark() ? "dark" : "light"], round = Math.floor(item.style / palette.length);
  const [point, path] = shapes[(item.style + 3 * round) % shapes.length];
  const isOurs = item.family === "ours";
  return { colour: palette[item.style % palette.length], point, path, isOurs, dash: item.isReference ? [7, 5] : [], width: isOurs ? 3 : item.isReference ? 1.5 : 1.75 };
}

/** The line and the shape of a curve, as a picture for buttons and tables. */
function swatch(item, width = 26) {
  const space = "http://www.w3.org/2000/svg", style = styleOf(item), svg = document.createElementNS(space, "svg");
  const add = (name, attributes) => {
    const shape = document.createElementNS(space, name);
    for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, value);
    svg.append(shape);
  };
  for (const [key, value] of Object.entries({ width, height: 14, viewBox: `0 0 ${width} 14`, "aria-hidden": "true" })) svg.setAttribute(key, value);
  const dash = item.isReference ? { "stroke-dasharray": "4 3" } : {};
  add("path", { d: `M0 7H${width}`, stroke: style.colour, "stroke-width": Math.max(1.5, style.width), ...dash });
  const strokes = ["crossRot", "star", "cross", "line"].includes(style.point);
  add("path", {
    d: style.path, transform: `translate(${width / 2 - 7} 0)`, stroke: style.colour, "stroke-width": strokes ? 2 : 1.5,
    fill: strokes ? "none" : item.isReference ? cssColour("--ground") : style.colour,
  });
  return svg;
}

const nameOf = (item, ...more) =>
  el("span", { class: "name" }, swatch(item), el("span", null, item.title, item.isReference && !/published/i.test(item.title) ? " (published)" : "", more));
const titled = (item) => item.title + (item.isReference && !/published/i.test(item.title) ? " (published)" : "");
