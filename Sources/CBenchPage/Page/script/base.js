"use strict";
// Scripts of the report page of `nccodec bench`. They run as one, in the order of benchpage.c. What results.json says goes into
// the page through textContent and setAttribute alone, never as HTML: file names may hold anything.

const byId = (id) => document.getElementById(id);

/** Says above everything else that the page does not work, rather than showing half of it. */
function broken(text) {
  byId("broken").hidden = false;
  byId("broken").textContent += `This page does not work: ${text}\n`;
}
addEventListener("error", (event) => { if (event.error) broken(event.message); });

const results = JSON.parse(byId("results").textContent);
const isKV = results.kind === "kv", isAudio = results.kind === "audio", isVideo = results.kind === "video";
const listOf = (value) => (Array.isArray(value) ? value : []);
const mapOf = (value) => (value !== null && typeof value === "object" ? value : {});
const has = (object, key) => Object.prototype.hasOwnProperty.call(mapOf(object), key);

const words = isAudio
  ? { file: "sound", files: "sounds", File: "Sound", Files: "Sounds", rate: "kilobits per second", rateShort: "kbps", size: "second of sound", sizeShort: "s" }
  : isKV
  ? { file: "cache", files: "caches", File: "Cache", Files: "Caches", rate: "bits per element", rateShort: "b/element", size: "million elements", sizeShort: "M" }
  : isVideo
  ? { file: "clip", files: "clips", File: "Clip", Files: "Clips", rate: "bits per pixel", rateShort: "bpp", size: "frame", sizeShort: "frame" }
  : { file: "picture", files: "pictures", File: "Picture", Files: "Pictures", rate: "bits per pixel", rateShort: "bpp", size: "megapixel", sizeShort: "MP" };

/** An element with attributes, and children that are elements or text. `onclick` and the like are functions. */
function el(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  element.append(...children.flat(2).filter((c) => c !== null && c !== undefined && c !== ""));
  return element;
}

function fill(id, ...children) { byId(id).replaceChildren(...children.flat().filter((c) => c !== null && c !== undefined && c !== "")); }

/** Shows a paragraph with this content, or hides it where there is none. */
function say(id, ...children) {
  const content = children.flat().filter(Boolean);
  byId(id).hidden = content.length === 0;
  fill(id, content);
}

const number = (digits) => {
  const format = new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  // A true minus sign; the thin space keeps long numbers apart without being a decimal comma anywhere.
  return (value) => format.format(value).replace(/-/g, "\u2212").replace(/,/g, "\u202f");
};
const digits = [0, 1, 2, 3, 4].map(number);
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

const show = {
  count: (value) => (isNumber(value) ? digits[0](value) : "\u2013"),
  counted: (n, one, many) => `${digits[0](n)} ${n === 1 ? one : many}`,
  rate: (value) => (!isNumber(value) ? "\u2013" : value < 0.1 ? digits[4](value) : value < 10 ? digits[3](value) : digits[2](value)),
  /** With a unit that keeps the number between 1 and 1000. */
  seconds(value) {
    if (!isNumber(value)) return "\u2013";
    const [scale, unit] = value >= 1 ? [1, "s"] : value >= 1e-3 ? [1e3, "ms"] : [1e6, "\u00b5s"];
    return `${show.three(value * scale)} ${unit}`;
  },
  three: (value) => (value >= 100 ? digits[0] : value >= 10 ? digits[1] : digits[2])(value),
  bytes(value) {
    if (!isNumber(value)) return "\u2013";
    const [scale, unit] = value >= 1e9 ? [1e9, "GB"] : value >= 1e6 ? [1e6, "MB"] : value >= 1e3 ? [1e3, "kB"] : [1, "B"];
    return `${scale === 1 ? digits[0](value) : show.three(value / scale)} ${unit}`;
  },
  signed: (value, places) => (value > 0 ? "+" : "") + digits[places](Math.abs(value) < 0.5 * 10 ** -places ? 0 : value),
  percent: (value) => (isNumber(value) ? `${show.signed(value, 1)} %` : "\u2013"),
  /** "1 January 2026, 13:05 UTC"; what is no date is shown as it is. */
  date(text) {
    const date = new Date(text);
    if (Number.isNaN(date.getTime())) return String(text ?? "unknown");
    const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" }).format(date);
    return `${day}, ${date.toISOString().slice(11, 16)} UTC`;
  },
  duration(seconds) {
    if (seconds < 90) return `${digits[0](seconds)} s`;
    if (seconds < 5400) return `${digits[0](seconds / 60)} min`;
    return `${digits[1](seconds / 3600)} h`;
  },
};
