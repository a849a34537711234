#!/usr/bin/env python3
"""Looks at report pages in a real Chromium and says what is wrong with them. Run by Tests/page.sh.

    check.py --image DIR --hostile DIR --kv DIR --audio DIR --video DIR --sparse DIR --empty DIR --shots DIR

Each DIR has results.json and the index.html made from it; --image also pictures. The last part damages copies of the page and
demands that the checks notice.
"""
import argparse, json, os, shutil, sys, tempfile, traceback

from browser import Browser
import figures, looks, parts

parser = argparse.ArgumentParser()
for option in ("image", "hostile", "kv", "audio", "video", "sparse", "empty", "shots"):
    parser.add_argument(f"--{option}", required=True)
parser.add_argument("--only", default="", help="run checks whose names contain this")
options = parser.parse_args()


class Report:
    def __init__(self, folder):
        self.folder, self.url = folder, "file://" + os.path.join(os.path.abspath(folder), "index.html")
        with open(os.path.join(folder, "results.json"), encoding="utf-8") as file:
            self.results = json.load(file)


passed, failed = 0, []


def outcome(name, error):
    global passed
    if error is None:
        passed += 1
        print(f"ok      {name}", flush=True)
    else:
        failed.append(name)
        print(f"FAILED  {name}: {error}", flush=True)


def run(name, check, *arguments):
    if options.only in name:
        outcome(name, complaint(check, *arguments))


def complaint(check, *arguments):
    """What a check has to say: None where all is well."""
    try:
        check(*arguments)
        return None
    except AssertionError as error:
        return str(error) or traceback.format_exc()
    except RuntimeError as error:
        return f"{error}"


image, hostile, kv, audio, video, sparse, empty = (
    Report(getattr(options, name)) for name in ("image", "hostile", "kv", "audio", "video", "sparse", "empty"))
os.makedirs(options.shots, exist_ok=True)

with Browser() as browser:
    for label, report in (("image", image), ("kv", kv), ("audio", audio), ("video", video)):
        run(f"{label}: loads quietly and asks for nothing", parts.loads, browser, report)
        run(f"{label}: plots are drawn, curve by curve", parts.plots, browser, report)
        run(f"{label}: buttons switch curves", parts.chips, browser, report)
        run(f"{label}: every select and choice changes what is shown", parts.controls, browser, report)
        run(f"{label}: tooltips say setting, rate and quality", parts.tooltips, browser, report)
        run(f"{label}: keys step through plots", parts.plot_keys, browser, report)
        run(f"{label}: headline, facts and failures are the results'", figures.facts, browser, report)
        run(f"{label}: plotted values are the results'", figures.plotted, browser, report)
        run(f"{label}: matrix is the results'", figures.matrix, browser, report)
        run(f"{label}: table has all points and sorts", figures.table, browser, report)
        run(f"{label}: fits 360 to 1280 pixels", looks.widths, browser, report)
        run(f"{label}: contrast of text and curves, light and dark", looks.contrast, browser, report)
        run(f"{label}: names, focus and motion", looks.access, browser, report)
        run(f"{label}: theme follows system and button", looks.theme, browser, report)
        run(f"{label}: prints", looks.printing, browser, report)
        run(f"{label}: screenshots", looks.shots, browser, report, options.shots, label)
    run("image: a file's BD-rate agrees with an independent one", figures.own_deltas, browser, image)
    run("image: viewer loads pictures when seen, of the nearest rate", parts.viewer_pictures, browser, image)
    run("image: viewer's divider by keys, mouse and touch", parts.viewer_divider, browser, image)
    run("image: viewer's zoom and pan", parts.viewer_zoom, browser, image)
    run("image: viewer says what is absent", parts.viewer_absent, browser, image)
    run("hostile: nothing gets out", parts.hostile, browser, hostile)
    run("hostile: every select and choice changes what is shown", parts.controls, browser, hostile)
    run("hostile: fits 360 to 1280 pixels", looks.widths, browser, hostile)
    run("sparse: says what there is not", parts.sparse, browser, sparse)
    run("sparse: fits 360 to 1280 pixels", looks.widths, browser, sparse)
    run("empty: says that nothing was measured", parts.empty, browser, empty)

    # Each damage, and the check that must notice it. The first is none: on a mere copy all of them are content.
    damages = [
        ("an outside picture", "</h1>", "</h1><img src='file:///tmp/outside.png'>", parts.loads),
        ("a console error", '"use strict";', '"use strict"; console.error("x");', parts.loads),
        ("an exception", '"use strict";', '"use strict"; setTimeout(() => { throw new Error("x"); });', parts.loads),
        ("a curve that is not drawn", "const shown = comparable.filter(isShown)", "const shown = comparable.slice(1).filter(isShown)", parts.plots),
        ("a blank plot", "chart.update(\"none\");\n}\n\n/** Dataset", "}\n\n/** Dataset", parts.plots),
        ("a select without effect", "state.measure = measures.find", "measures.find", parts.controls),
        ("a wrong number", "const value = has(map, measure.base) ? map[measure.base]", "const value = has(map, measure.base) ? 1.001 * map[measure.base]", figures.plotted),
        ("a matrix the wrong way round", "delta(anchor, test, scope, measure, isRate)", "delta(test, anchor, scope, measure, isRate)", figures.matrix),
        ("a failure that is not told", "...group(\"Points that failed\"", "...group(\"Points that failed\", []), ...[].slice(\"\"", figures.facts),
        ("a divider deaf to keys", "divider.addEventListener(\"keydown\"", "divider.addEventListener(\"keyx\"", parts.viewer_divider),
        ("a wide element", "</h1>", "</h1><div style='width:700px'>.</div>", looks.widths),
        ("faint text", "--soft: #545e6b", "--soft: #a5adb6", looks.contrast),
        ("a select without a name", "<label>Anchor <select id=\"anchor\"></select></label>", "<select id=\"anchor\"></select>", looks.access),
        ("markup from names", "element.append(...children.flat(2)", "for (const c of children.flat(2)) if (typeof c === \"string\") element.insertAdjacentHTML(\"beforeend\", c); else if (c) element.append(c); if (0) element.append(...children.flat(2)", parts.hostile),
        ("JSON that is not escaped", None, None, parts.hostile),
    ]
    for name, old, new, check in damages:
        report = hostile if check is parts.hostile else image
        label = f"damage: {name} is noticed by {check.__name__}"
        if options.only not in label:
            continue
        with tempfile.TemporaryDirectory() as folder:
            for entry in os.listdir(report.folder):
                if entry == "images":
                    os.symlink(os.path.join(os.path.abspath(report.folder), entry), os.path.join(folder, entry))
                elif entry != "index.html":
                    shutil.copy(os.path.join(report.folder, entry), folder)
            with open(os.path.join(report.folder, "index.html"), encoding="utf-8") as file:
                page = file.read()
            damaged = page.replace(old, new, 1) if old else page.replace("\\u003c", "<")
            with open(os.path.join(folder, "index.html"), "w", encoding="utf-8") as file:
                file.write(damaged)
            found = complaint(check, browser, Report(folder))
        if damaged == page:
            outcome(label, "the text to damage is not in the page")
        else:
            outcome(label, None if found else "the check passed all the same")

print(f"{passed} passed, {len(failed)} failed")
sys.exit(1 if failed or passed == 0 else 0)
