"""Checks of what the page does. Each takes (browser, report) and fails with AssertionError."""
import os
import time

QUIET = "byId('broken').hidden"
CHART = "Chart.getChart({})"
# Which of the curves' colours there are in a canvas, by key, in numbers of pixels that are near.
COLOURS = """(() => {
  const canvas = byId('%s'), data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data, found = {};
  const seen = new Map();
  for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 250) { const k = data[i] << 16 | data[i + 1] << 8 | data[i + 2]; seen.set(k, (seen.get(k) ?? 0) + 1); }
  for (const item of comparable) found[item.key] = seen.get(parseInt(styleOf(item).colour.slice(1), 16)) ?? 0;
  return found;
})()"""
FINGERPRINT = """(() => {
  const text = document.body.innerText + [...document.querySelectorAll('canvas')].map((c) => c.toDataURL()).join() +
    [...document.querySelectorAll('#stage img')].map((i) => i.getAttribute('src') + i.style.transform).join() + (byId('stage')?.className ?? '');
  let hash = 5381;
  for (let i = 0; i < text.length; i++) hash = (hash * 33 + text.charCodeAt(i)) | 0;
  return hash;
})()"""


def opened(browser, report, **more):
    page = browser.open(report.url, **more)
    # Scrolling in one go, for what measures places afterwards.
    page.run("document.documentElement.style.scrollBehavior = 'auto'; 1")
    return page


def show(page, name):
    page.run(f"byId('{name}').scrollIntoView({{ block: 'center' }}); 1")
    page.settle()


def no_problems(page, allowed=lambda text: False):
    page.settle()
    wrong = [p for p in page.problems if not allowed(p)]
    assert not wrong, f"the console says {wrong[:3]}"
    assert page.run(QUIET), page.run("byId('broken').textContent")


def loads(browser, report):
    page = opened(browser, report)
    time.sleep(0.3)
    no_problems(page)
    assert page.requests == [report.url], f"requests: {page.requests[:5]}"
    assert page.run("document.title").startswith("nccodec bench: "), page.run("document.title")
    page.close()


def plots(browser, report):
    page = opened(browser, report)
    codecs = page.run("measuredCodecs.map((c) => c.key)")
    drawn = page.run("comparable.filter((c) => curve(c, '', state.measure).length).map((c) => c.key)")
    assert len(codecs) >= 2 and set(codecs) <= set(drawn), (codecs, drawn)
    # One at a time, as more curves than colours share them.
    speed = {}
    for key in drawn:
        page.run(f"state.hidden = new Set(comparable.map((c) => c.key).filter((k) => k !== {key!r})); renderPlots()")
        page.settle()
        pixels = page.run(COLOURS % "rd-plot")[key]
        assert pixels >= 25, f"{key} has {pixels} pixels in the rate-distortion plot"
        if key not in codecs:
            continue
        speed[key] = page.run(COLOURS % "speed-plot")[key]
        assert speed[key] >= 25 or page.run("!byId('speed-left-out').hidden"), f"{key} has {speed[key]} pixels in the speed plot and is not said to be left out"
    assert sum(speed[k] >= 25 for k in codecs) >= 2, speed
    # Chromium warns of how this check itself reads pixels.
    no_problems(page, lambda text: "willReadFrequently" in text)
    page.close()


def chips(browser, report):
    page = opened(browser, report)
    groups = [("codecs", "rd-plot"), ("codecs", "speed-plot")] + ([("references", "rd-plot")] if report.results["references"] else [])
    for group, canvas in groups:
        buttons = page.run(f"[...document.querySelectorAll('[data-chips={group}] .chip:not(.all)')].map((b) => b.dataset.key)")
        assert len(buttons) >= 2, buttons
        before = page.run(f"Chart.getChart('{canvas}').data.datasets.map((d) => d.item.key)")
        key = next(k for k in before if k in buttons)
        press = f"[...document.querySelectorAll('[data-chips={group}] .chip')].find((b) => b.dataset.key === {key!r})"
        page.run(f"{press}.click()")
        page.settle()
        now = page.run(f"Chart.getChart('{canvas}').data.datasets.map((d) => d.item.key)")
        assert now == [k for k in before if k != key], f"{canvas}: {now} after switching off {key}"
        assert page.run(f"{press}.getAttribute('aria-pressed')") == "false"
        page.run(f"{press}.click()")
        page.settle()
        assert page.run(f"Chart.getChart('{canvas}').data.datasets.length") == len(before)
        own = [k for k in before if k in buttons]
        everything = f"[...document.querySelectorAll('[data-chips={group}] .chip.all')][0].click()"
        page.run(everything)
        page.settle()
        assert page.run(f"Chart.getChart('{canvas}').data.datasets.length") == len(before) - len(own)
        page.run(everything)
        page.settle()
        assert page.run(f"Chart.getChart('{canvas}').data.datasets.length") == len(before)
    no_problems(page)
    page.close()


def controls(browser, report):
    """Chooses every option of every select, radio group and slider; each must change the page."""
    page = opened(browser, report)
    if page.run("Boolean(byId('stage'))"):
        show(page, "stage")
        time.sleep(0.3)
    seen = page.run(FINGERPRINT)
    selects = page.run("[...document.querySelectorAll('select')].map((s) => s.id)")
    assert len(selects) >= 5, selects
    for select in selects:
        count = page.run(f"byId('{select}').options.length")
        first = page.run(f"byId('{select}').selectedIndex")
        for index in [*(i for i in range(count) if i != first), first] if count > 1 else []:
            if page.run(f"byId('{select}').options[{index}].disabled"):
                continue
            page.run(f"byId('{select}').selectedIndex = {index}; byId('{select}').dispatchEvent(new Event('change', {{ bubbles: true }}))")
            page.settle()
            now = page.run(FINGERPRINT)
            assert now != seen, f"option {index} of #{select} changes nothing"
            seen = now
            assert page.run(QUIET), f"option {index} of #{select}: {page.run('byId(`broken`).textContent')}"
    for group in page.run("[...new Set([...document.querySelectorAll('input[type=radio]')].filter((i) => i.offsetParent).map((i) => i.name))]"):
        for index in [*range(1, page.run(f"document.getElementsByName('{group}').length")), 0]:
            page.run(f"document.getElementsByName('{group}')[{index}].click()")
            page.settle()
            now = page.run(FINGERPRINT)
            # Published curves may lie within what was measured.
            assert now != seen or group == "extent", f"choice {index} of {group} changes nothing"
            seen = now
    page.run("document.getElementsByName('against')[1].click()")
    for slider in page.run("[...document.querySelectorAll('input[type=range]')].filter((i) => i.offsetParent).map((i) => i.id)"):
        seen = page.run(FINGERPRINT)
        page.run(f"byId('{slider}').value = byId('{slider}').max; byId('{slider}').dispatchEvent(new Event('input', {{ bubbles: true }}))")
        page.settle()
        assert page.run(FINGERPRINT) != seen, f"slider #{slider} changes nothing"
    no_problems(page, lambda text: "ERR_FILE_NOT_FOUND" in text and "/images/" in text)
    page.close()


def tooltips(browser, report):
    page = opened(browser, report)
    for canvas in ("rd-plot", "speed-plot"):
        show(page, canvas)
        place = page.run(f"""(() => {{ const chart = Chart.getChart('{canvas}'), set = chart.data.datasets[0], point = chart.getDatasetMeta(0).data[0], box = chart.canvas.getBoundingClientRect();
            return {{ x: box.x + point.x, y: box.y + point.y, title: set.item.title }}; }})()""")
        page.mouse("mouseMoved", place["x"] - 40, place["y"] - 3)
        page.mouse("mouseMoved", place["x"], place["y"])
        page.settle()
        tip = page.run(f"(() => {{ const t = Chart.getChart('{canvas}').tooltip; return {{ opacity: t.opacity, title: t.title, lines: t.body.flatMap((b) => b.lines) }}; }})()")
        assert tip["opacity"] > 0 and tip["title"] == [place["title"]], (canvas, tip, place)
        text = "\n".join(tip["lines"])
        wanted = ["dB", "encode"] if canvas == "rd-plot" else ["BD-rate", "time"]
        for word in wanted + (["bytes"] if canvas == "rd-plot" else []):
            assert word in text, f"{canvas}: no {word!r} in {text!r}"
        if canvas == "rd-plot":
            rate = {"kv": "b/element", "audio": "kbps"}.get(report.results["kind"], "bpp")
            assert rate in text and report.results["points"][0]["setting"] in text, text
    no_problems(page)
    page.close()


def plot_keys(browser, report):
    page = opened(browser, report)
    for canvas, live in (("rd-plot", "rd-live"), ("speed-plot", "speed-live")):
        show(page, canvas)
        page.run(f"byId('{canvas}').focus()")
        said = []
        for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
            page.key(key)
            said.append(page.run(f"byId('{live}').textContent"))
        assert all(said) and said[0] != said[1] and said[1] != said[2], said
        assert page.run(f"Chart.getChart('{canvas}').tooltip.opacity") > 0
    no_problems(page)
    page.close()


def viewer_pictures(browser, report):
    page = opened(browser, report)
    assert not any("/images/" in r for r in page.requests), page.requests
    show(page, "stage")
    time.sleep(0.3)
    page.settle()
    asked = [r for r in page.requests if "/images/" in r]
    assert len(asked) == 2, asked
    # The left codec's middle point, and of the right codec the nearest rate as a ratio.
    chosen = page.run("({ file: byId('view-file').value, left: codecOf('left').name, right: codecOf('right').name, step: Number(byId('view-rate').value) })")
    points = {side: sorted((p for p in report.results["points"] if p["file"] == chosen["file"] and p["codec"] == chosen[side] and not p["error"]),
                           key=lambda p: p["bpp"]) for side in ("left", "right")}
    left = points["left"][chosen["step"]]
    right = min(points["right"], key=lambda p: max(p["bpp"] / left["bpp"], left["bpp"] / p["bpp"]))
    for side, point in (("left", left), ("right", right)):
        assert page.run(f"byId('image-{side}').getAttribute('src')") == point["picture"], (side, point["picture"])
        assert page.run(f"byId('image-{side}').naturalWidth") > 0, point["picture"]
        text = page.run(f"byId('view-{side}-text').innerText")
        for part in (f"{point['bpp']:.3f} bpp", f"{point['measures']['psnr']:.2f} dB", point["setting"]):
            assert part in text, f"{part!r} is not in {text!r}"
    ratio = right["bpp"] / left["bpp"]
    assert ("nearest there is" in page.run("byId('view-right-text').innerText")) == (ratio > 1.1 or ratio < 1 / 1.1), ratio
    page.run("byId('view-right').value = 'original'; byId('view-right').dispatchEvent(new Event('change'))")
    page.settle()
    original = next(f for f in report.results["files"] if f["name"] == chosen["file"])
    assert page.run("byId('image-right').getAttribute('src')") == original["picture"]
    assert "Original" in page.run("byId('view-right-text').innerText")
    no_problems(page)
    page.close()


def viewer_divider(browser, report):
    page = opened(browser, report)
    show(page, "stage")
    time.sleep(0.3)
    at = lambda: float(page.run("byId('divider').getAttribute('aria-valuenow')"))
    clip = lambda: page.run("byId('layer-left').style.clipPath + byId('divider').style.left")
    page.run("byId('divider').focus()")
    start, before = at(), clip()
    page.key("ArrowRight")
    assert at() == start + 2 and clip() != before, (start, at(), clip())
    page.key("ArrowLeft", shift=True)
    assert at() == start - 8, at()
    page.key("Home")
    assert at() == 0
    page.key("End")
    assert at() == 100
    box = page.run("(() => { const b = byId('stage').getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; })()")
    middle = box[1] + box[3] / 2
    page.drag((box[0] + box[2] - 2, middle), (box[0] + 0.25 * box[2], middle))
    assert abs(at() - 25) <= 1, at()
    no_problems(page)
    page.close()
    phone = opened(browser, report, width=390, height=844, phone=True)
    show(phone, "stage")
    time.sleep(0.3)
    box = phone.run("(() => { const b = byId('stage').getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; })()")
    middle = box[1] + box[3] / 2
    phone.touch((box[0] + box[2] / 2, middle), (box[0] + 0.75 * box[2], middle))
    now = float(phone.run("byId('divider').getAttribute('aria-valuenow')"))
    assert abs(now - 75) <= 2, now
    no_problems(phone)
    phone.close()


def viewer_zoom(browser, report):
    page = opened(browser, report)
    show(page, "stage")
    time.sleep(0.3)
    page.settle()
    scale = lambda: page.run("new DOMMatrix(getComputedStyle(byId('image-left')).transform).a")
    place = lambda: page.run("(() => { const m = new DOMMatrix(getComputedStyle(byId('image-left')).transform); return [m.e, m.f]; })()")
    fits = scale()
    for zoom in (1, 2, 4, 8):
        page.run(f"document.querySelector('[data-zoom=\"{zoom}\"]').click()")
        page.settle()
        assert scale() == zoom, (zoom, scale())
        assert page.run("byId('image-left').style.transform === byId('image-right').style.transform")
    assert page.run("getComputedStyle(byId('image-left')).imageRendering") == "pixelated"
    box = page.run("(() => { const b = byId('stage').getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; })()")
    before, divider = place(), page.run("byId('divider').style.left")
    start = (box[0] + 0.2 * box[2], box[1] + 0.5 * box[3])
    page.drag(start, (start[0] + 60, start[1] + 30))
    moved = place()
    assert abs(moved[0] - before[0] - 60) <= 1 and abs(moved[1] - before[1] - 30) <= 1, (before, moved)
    assert page.run("byId('divider').style.left") == divider, "panning moved the divider"
    page.run("byId('stage').focus()")
    page.key("ArrowLeft")
    assert abs(place()[0] - moved[0] - 40) <= 1, (moved, place())
    page.key("-")
    assert abs(scale() - 6.4) < 1e-6, scale()
    page.key("0")
    assert scale() == fits
    no_problems(page)
    page.close()


def viewer_absent(browser, report):
    page = opened(browser, report)
    present = lambda f: f["picture"] and os.path.exists(os.path.join(report.folder, f["picture"]))
    absent = next(f["name"] for f in report.results["files"] if not f["error"] and not present(f))
    show(page, "stage")
    page.run(f"byId('view-file').value = {absent!r}; byId('view-file').dispatchEvent(new Event('change'))")
    time.sleep(0.4)
    page.settle()
    for side in ("left", "right"):
        text = page.run(f"byId('absent-{side}').offsetParent ? byId('absent-{side}').innerText : ''")
        assert "is not beside this page" in text, text
    no_problems(page, lambda text: "ERR_FILE_NOT_FOUND" in text)
    page.close()


def hostile(browser, report):
    page = opened(browser, report)
    time.sleep(0.2)
    page.run("document.getElementById('stage')?.scrollIntoView()")
    # All pictures: of every file, codec and rate.
    for file in range(page.run("byId('view-file')?.options.length ?? 0")):
        for codec in range(page.run("byId('view-left').options.length")):
            page.run(f"""(() => {{ byId('view-file').selectedIndex = {file}; byId('view-left').selectedIndex = {codec}; byId('view-left').dispatchEvent(new Event('change'));
                for (let i = 0; i <= Number(byId('view-rate').max); i++) {{ byId('view-rate').value = i; byId('view-rate').dispatchEvent(new Event('input')); }} }})()""")
    time.sleep(0.3)
    no_problems(page, lambda text: "ERR_FILE_NOT_FOUND" in text and "/images/" in text)
    assert page.run("window.hacked") is None, "a script out of a name ran"
    assert page.run("document.querySelectorAll('script').length") == 3, "scripts came in"
    assert page.run("document.querySelectorAll('img').length") == 2, "pictures came in"
    folder = os.path.dirname(report.url)
    outside = [r for r in page.requests if r != report.url and not r.startswith(folder + "/images/")]
    assert not outside, f"requests outside of the folder: {outside[:3]}"
    text = page.run("document.body.textContent.replace(byId('results').textContent, '')")
    run = report.results["run"]
    failure = next(p for p in report.results["points"] if p["error"])
    for name in (run["command"], run["nccodec"], run["note"], run["machine"]["cpu"], failure["error"], report.results["codecs"][1]["title"]):
        assert name in text, f"{name!r} is not shown as it is"
    assert "{{style}}{{results}}" in text, "a part was put in where a name stood"
    page.close()


def sparse(browser, report):
    page = opened(browser, report)
    assert page.run("document.querySelectorAll('#viewer .stage, #viewer select').length") == 0, "a viewer without pictures"
    assert "No decoded pictures were kept" in page.run("byId('viewer').innerText")
    assert "lossless: infinite" in page.run("byId('rd-left-out').innerText")
    # Any choice, whether or not it changes anything.
    page.run("""for (const select of document.querySelectorAll('select')) for (let i = 0; i < select.options.length; i++) {
        if (!select.options[i].disabled) { select.selectedIndex = i; select.dispatchEvent(new Event('change', { bubbles: true })); } }
        for (const id of ['points-file', 'points-codec', 'measure']) { if (byId(id)) { byId(id).selectedIndex = 0; byId(id).dispatchEvent(new Event('change')); } }
        for (const input of document.querySelectorAll('input[type=radio]')) input.click();
        for (const head of document.querySelectorAll('#points-table th button')) head.click();""")
    page.settle()
    assert "time not measured" in page.run("byId('speed-left-out').innerText")
    assert "a curve needs two points or more" in page.run("byId('matrix').innerText")
    assert "\u221e" in page.run("byId('points-table').innerText")
    no_problems(page)
    page.close()


def empty(browser, report):
    page = opened(browser, report)
    no_problems(page)
    text = page.run("document.body.innerText")
    assert "Nothing was measured" in text
    for file in report.results["files"]:
        assert file["error"] in text, file["error"]
    page.close()
