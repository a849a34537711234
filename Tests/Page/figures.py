"""Checks that what the page shows is what results.json says."""
import math
import re

from parts import no_problems, opened

MINUS = "\u2212"


def plain(text):
    """A shown number as a float."""
    return float(re.sub(r"[^\d.\-]", "", text.replace(MINUS, "-")))


def rate_of(point):
    return next((point[k] for k in ("bpp", "bits", "kbps") if point.get(k) is not None), None)


def facts(browser, report):
    page = opened(browser, report)
    results, text = report.results, page.run("document.body.innerText")
    good = [f for f in results["files"] if not f["error"]]
    measured = {p["codec"] for p in results["points"] if not p["error"]}
    headline = page.run("byId('headline').innerText")
    assert f"{len(measured)} codecs on {len(good)} " in headline, headline
    facts = page.run("byId('facts').innerText")
    run = results["run"]
    for part in (run["command"], run["nccodec"], run["machine"]["cpu"], run["machine"]["os"], "29 November 2026", f"{len(good)} files"):
        assert part in facts, f"{part!r} is not among the facts"
    failures = page.run("byId('failures').innerText")
    for kind, entries in (("codec", results["codecs"]), ("measure", results["measures"])):
        for entry in entries:
            if entry["missing"]:
                assert entry["title"] in failures and entry["missing"] in failures, f"the missing {kind} {entry['title']} is not told"
    for entry in results["files"] + results["points"]:
        if entry["error"]:
            assert entry["error"] in failures, f"{entry['error']!r} is not told"
    for codec in results["codecs"]:
        assert not codec["version"] or codec["version"] in text, codec["version"]
        assert codec["missing"] or codec["settings"] in text, codec["settings"]
    assert (run["finished"] is None) == ("was stopped" in text)
    no_problems(page)
    page.close()


def plotted(browser, report):
    """Of every measure: means against the summary, one file's values against its points."""
    page = opened(browser, report)
    results = report.results
    decibels = lambda v: -10 * math.log10(1 - v)
    file = next(f["name"] for f in results["files"] if not f["error"])
    compared = 0
    for measure in results["measures"]:
        if measure["missing"]:
            continue
        for key, of in ((measure["name"], lambda v: v), *([(measure["name"] + " dB", decibels)] if measure["name"] in ("ssim", "msssim") else [])):
            for scope in ("", file):
                page.run(f"""(() => {{ byId('measure').value = {key!r}; byId('measure').dispatchEvent(new Event('change'));
                    byId('scope').value = {('file ' + scope) if scope else ''!r}; byId('scope').dispatchEvent(new Event('change')); }})()""")
                drawn = page.run("Chart.getChart('rd-plot').data.datasets.map((d) => [d.item.name, d.data.map((p) => [p.x, p.y])])")
                drawn = dict((name, data) for name, data in drawn)
                for codec in {p["codec"] for p in results["points"] if not p["error"]}:
                    if scope:
                        wanted = [(rate_of(p), p["measures"]) for p in results["points"] if p["codec"] == codec and p["file"] == scope and not p["error"]]
                    else:
                        wanted = [(rate_of(p), p["measures"]) for c in results["summary"]["curves"] if c["codec"] == codec for p in c["points"]]
                    wanted = sorted((r, of(m[measure["name"]])) for r, m in wanted)
                    got = drawn.get(codec, [])
                    assert len(got) == len(wanted), f"{key}, {codec}, {scope or 'mean'}: {len(got)} points for {len(wanted)}"
                    for (x, y), (r, v) in zip(got, wanted):
                        assert abs(x - r) <= 1e-9 * r and abs(y - v) <= 1e-9 * max(1, abs(v)), (key, codec, scope, x, r, y, v)
                        compared += 1
    assert compared > 50, compared
    no_problems(page)
    page.close()


def matrix(browser, report):
    page = opened(browser, report)
    results = report.results
    title = {c["name"]: c["title"] for c in results["codecs"]}
    measured = [c["name"] for c in results["codecs"] if any(p["codec"] == c["name"] and not p["error"] for p in results["points"])]
    for measure in results["measures"]:
        if measure["missing"]:
            continue
        page.run(f"byId('measure').value = {measure['name']!r}; byId('measure').dispatchEvent(new Event('change'))")
        for choice, deltas in ((0, "bdRate"), (1, "bdPSNR")):
            page.run(f"document.getElementsByName('delta')[{choice}].click()")
            page.settle()
            heads = page.run("[...document.querySelectorAll('#matrix-table thead th')].map((t) => t.textContent)")[1:]
            rows = page.run("[...document.querySelectorAll('#matrix-table tbody tr')].map((r) => [r.querySelector('th .name > span').firstChild.textContent.trim(), [...r.querySelectorAll('td')].map((d) => d.textContent)])")
            shown = {(row, head): cell for row, cells in rows for head, cell in zip(heads, cells)}
            table, nulls = results["summary"][deltas][measure["name"]], 0
            published = {r["name"]: r["title"] for r in results["references"] if r["measure"] == measure["name"]}
            title |= published
            assert len(rows) == len(measured) + len(published), (measure["name"], len(rows))
            for anchor in [*measured, *published]:
                for test in measured:
                    cell = shown[title.get(anchor, anchor), title[test]]
                    if anchor == test:
                        continue
                    value = table[anchor][test]
                    # Quality is counted upwards there, and as what it is on the page.
                    value = -value if value and choice == 1 and not measure["isHigherBetter"] else value
                    if value is None:
                        nulls += 1
                        assert cell.startswith("\u2013") and len(cell) > 8, f"{anchor}, {test}: {cell!r} for null"
                    else:
                        places = len(cell.rstrip(" %").split(".")[1])
                        assert places >= (1 if choice == 0 else 2), cell
                        assert abs(plain(cell) - value) <= 0.51 * 10 ** -places, f"{deltas} of {anchor}, {test}: {cell!r} for {value}"
            if nulls:
                assert page.run("byId('matrix-reasons').children.length") > 0, "no reasons for the dashes"
    no_problems(page)
    page.close()


def own_deltas(browser, report):
    """The page works out single files; over means without failures it must come to what the summary says."""
    page = opened(browser, report)
    results = report.results
    failed = {p["codec"] for p in results["points"] if p["error"]}
    compared = 0
    for deltas, is_rate, tolerance in (("bdRate", "true", 1.0), ("bdPSNR", "false", 0.05)):
        for anchor, row in results["summary"][deltas]["psnr"].items():
            for test, value in row.items():
                if value is None or anchor in failed or test in failed:
                    continue
                got = page.run(f"""bjontegaard(curve(comparable.find((c) => c.name === {anchor!r}), '', measures[0]), curve(codecs.find((c) => c.name === {test!r}), '', measures[0]), {is_rate}).value""")
                assert abs(got - value) <= tolerance, f"{deltas} of {anchor}, {test}: {got} for {value}"
                compared += 1
    assert compared >= 10, compared
    page.close()


def table(browser, report):
    page = opened(browser, report)
    points = report.results["points"]
    while page.run("!byId('points-more').hidden"):
        page.run("byId('points-more').click()")
        page.settle()
    rows = page.run("[...document.querySelectorAll('#points-table tbody tr')].map((r) => [...r.cells].map((c) => c.textContent))")
    assert len(rows) == len(points), (len(rows), len(points))
    title = {c["name"]: c["title"] for c in report.results["codecs"]}
    for row, point in zip(rows, points):
        assert row[:3] == [point["file"], title[point["codec"]], point["setting"]], (row, point)
        if point["error"]:
            assert point["error"] in row[3], row
        else:
            assert plain(row[3]) == point["bytes"], (row, point["bytes"])
            assert abs(plain(row[4]) - rate_of(point)) <= (0.0006 if rate_of(point) < 10 else 0.006), (row, rate_of(point))
    show = "[...document.querySelectorAll('#points-table tbody tr')].filter((r) => !r.classList.contains('failed')).map((r) => r.cells[3].textContent)"
    head = "document.querySelector('#points-table th[data-key=bytes]')"
    # By the keyboard, as anyone may.
    page.run(f"{head}.querySelector('button').focus()")
    for order, wanted in (("ascending", sorted), ("descending", lambda v: sorted(v, reverse=True))):
        page.key("Enter")
        values = [plain(v) for v in page.run(show)]
        assert page.run(f"{head}.getAttribute('aria-sort')") == order
        assert values == wanted(values) and len(set(values)) > 5, f"not {order}"
    no_problems(page)
    page.close()
