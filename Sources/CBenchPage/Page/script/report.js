// What does not change: the facts above, failures, and how it was measured.

const run = mapOf(results.run);
const machine = mapOf(run.machine);
const missingCodecs = codecs.filter((c) => c.missing);
const emptyCodecs = codecs.filter((c) => !c.missing && !measuredCodecs.includes(c));
const failedFiles = files.filter((f) => f.error);
const failedPoints = points.filter((p) => p.error);
const missingMeasures = measures.filter((m) => m.missing && m.key === m.base);

function renderFacts() {
  byId("eyebrow").textContent = `nccodec bench ${results.kind}`;
  const fact = (name, value, isWhole) => el("div", { class: isWhole ? "whole" : null }, el("dt", null, name), el("dd", null, value));
  const seconds = run.finished ? (Date.parse(run.finished) - Date.parse(run.started)) / 1000 : NaN;
  const amount = goodFiles.reduce((sum, f) => sum + (sizeOf(f) ?? 0), 0);
  fill("facts",
    fact("Measured", show.date(run.started) + (seconds >= 0 ? `, ${show.duration(seconds)}` : "")),
    fact("Machine", [machine.cpu, machine.cores ? show.counted(machine.cores, "core", "cores") : null, machine.simd, machine.os].filter(Boolean).join(", ")),
    fact("Software", [/^nccodec\b/.test(run.nccodec) ? run.nccodec : `nccodec ${run.nccodec ?? "unknown"}`, run.workers ? show.counted(run.workers, "worker", "workers") : null].filter(Boolean).join(", ")),
    fact(words.Files, [show.counted(goodFiles.length, "file", "files"), amount ? (isVideo ? show.counted(amount, "frame", "frames") : `${show.three(amount)} ${words.sizeShort}${isKV ? " elements" : ""}`) : null].filter(Boolean).join(", ")),
    fact("Command", el("code", null, run.command ?? "unknown"), true));
  say("note", run.note ?? "");
  say("unfinished", run.finished ? "" : "This run was stopped before all was measured. The same command goes on where it stopped.");
  const parts = [
    missingCodecs.length && `${show.counted(missingCodecs.length, "codec is", "codecs are")} missing: ${missingCodecs.map((c) => c.title).join(", ")}`,
    missingMeasures.length && `not measured: ${missingMeasures.map((m) => m.title).join(", ")}`,
    failedFiles.length && `${show.counted(failedFiles.length, "file", "files")} could not be read`,
    failedPoints.length && `${show.counted(failedPoints.length, "point", "points")} failed`,
    emptyCodecs.length && `without any point: ${emptyCodecs.map((c) => c.title).join(", ")}`,
  ].filter(Boolean);
  if (parts.length) {
    const text = parts.join("; ");
    say("trouble", `${text[0].toUpperCase()}${text.slice(1)}. `, el("a", { href: "#failures" }, "What and why"));
  }
}

function renderFailures() {
  const group = (title, entries) => (entries.length ? [el("h3", null, title), el("ul", null, entries.map((e) => el("li", null, e)))] : []);
  const strong = (text) => el("b", null, text);
  const content = [
    ...group("Codecs that are missing", [...missingCodecs.map((c) => [strong(c.title), `: ${c.missing}`]), ...emptyCodecs.map((c) => [strong(c.title), ": no point succeeded"])]),
    ...group("Measures that are missing", missingMeasures.map((m) => [strong(m.title), `: ${m.missing}`])),
    ...group("Files that could not be read", failedFiles.map((f) => [strong(f.name), `: ${f.error}`])),
    ...group("Points that failed", failedPoints.map((p) => [strong(`${codecs.find((c) => c.name === p.codec)?.title ?? p.codec} on ${p.file}`), `, ${p.setting}: ${p.error}`])),
  ];
  fill("failures-body", content.length ? content : el("p", { class: "hint" }, "Nothing failed, and nothing that was asked for is missing."));
}

function renderMethod() {
  const text = [
    isAudio
      ? "Rates are kilobits per second of whole files, of all channels together. Quality is of the decoded sound against the original, at the original\u2019s sample rate and length."
      : isKV
      ? "Rates are bits per element of keys and values, of whole files. SNR is of the decoded cache against the original."
      : isVideo
      ? "Rates are bits per pixel of all frames that were measured, without sound: of our whole files, and of the peers\u2019 packets without a container. Quality is of the decoded frames in 8-bit RGB against what every codec got, as the mean over the frames."
      : "Rates are bits per pixel of the original picture, of whole files with their headers. Quality is of the decoded picture in 8-bit RGB against the original.",
    `Means are arithmetic, over the values of each ${words.file}, at the same point of every codec. BD-rate and BD-quality are Bjontegaard deltas with PCHIP, over the logarithm of the rate and what both curves reach; of SSIM and MS-SSIM, in dB of what is left to 1.`,
    `Codecs run in one process, from memory to memory, with their repetitions one after the other; the fastest counts, per ${words.size}. Spread is the range of the middle half.`,
    references.length ? `Published curves come from: ${[...new Set(references.map((r) => r.source))].join(", ")}.` : "",
  ].filter(Boolean);
  fill("method-body", text.map((t) => el("p", null, t)));
  renderCodecs();
  const row = (m) => el("tr", null, el("td", null, m.title), el("td", null, m.unit || "\u2013"), el("td", null, m.isHigherBetter ? "higher" : "lower"),
    el("td", { class: m.missing ? "wide missing" : "wide" }, m.missing ? `missing: ${m.missing}` : m.version || "\u2013"));
  fill("measures-table", el("thead", null, el("tr", null, ["Measure", "Unit", "Better", "Computed by"].map((t) => el("th", { scope: "col" }, t)))),
    el("tbody", null, listOf(results.measures).map(row)));
}

function renderCodecs() {
  const row = (c) => el("tr", null, el("td", null, nameOf(c)), el("td", { class: "wide" }, c.version || "\u2013"),
    el("td", { class: c.missing ? "wide missing" : "wide" }, c.missing ? `missing: ${c.missing}` : c.settings || "\u2013"));
  fill("codecs-table", el("thead", null, el("tr", null, ["Codec", "Version", "Settings"].map((t) => el("th", { scope: "col" }, t)))), el("tbody", null, codecs.map(row)));
}
