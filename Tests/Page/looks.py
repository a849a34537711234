"""Checks of how the page looks: widths, contrast, accessibility, themes, printing; and its screenshots."""
import os
import re
import time

from parts import COLOURS, no_problems, opened, show

# Contrast of each visible text with what is behind it, by WCAG 2; the worst, below 4.5 or for large text 3.
CONTRAST = """(() => {
  const parse = (c) => { const m = c.match(/[\\d.]+/g).map(Number); return [m[0], m[1], m[2], m[3] ?? 1]; };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const behind = (e) => { const layers = []; for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); layers.push(c); if (c[3] === 1) break; }
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]); };
  const poor = []; let count = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    const e = node.parentElement;
    if (!node.textContent.trim() || !e.checkVisibility?.({ checkOpacity: true, checkVisibilityCSS: true }) || e.closest('script, style, noscript, option, .visually-hidden, .absent')) continue;
    const style = getComputedStyle(e), ground = behind(e), size = parseFloat(style.fontSize), need = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    const got = ratio(over(parse(style.color), ground), ground);
    count++;
    if (got < need) poor.push(`${got.toFixed(2)}: ${node.textContent.trim().slice(0, 40)}`);
  }
  for (const select of document.querySelectorAll('select')) { const s = getComputedStyle(select); if (select.offsetParent && ratio(parse(s.color), behind(select)) < 4.5) poor.push(select.id); }
  const ground = behind(document.body);
  for (const item of comparable) { const c = styleOf(item).colour, rgb = [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16)); if (ratio(rgb, ground) < 3) poor.push(`${ratio(rgb, ground).toFixed(2)}: curve of ${item.title}`); }
  return { poor, count };
})()"""
NAMES = {"button", "combobox", "slider", "radio", "link", "checkbox"}


def widths(browser, report):
    for width in (360, 390, 600, 768, 1024, 1280):
        page = opened(browser, report, width=width, height=844, phone=width < 700)
        for name in ("stage", "points-table"):
            if page.run(f"Boolean(byId('{name}'))"):
                show(page, name)
        got = page.run("[document.documentElement.scrollWidth, innerWidth]")
        assert got == [width, width], f"{width} pixels: {got[0]} are taken"
        outside = page.run("""[...document.querySelectorAll('body *')].filter((e) => !e.closest('.scroll, .stage, .visually-hidden, .skip, option, script') && e.getBoundingClientRect().right > innerWidth + 1)
            .slice(0, 3).map((e) => `${e.tagName}#${e.id}.${e.className.baseVal ?? e.className}`)""")
        assert not outside, f"{width} pixels: {outside} reach out"
        small = page.run("""[...document.querySelectorAll('button, select, .choice label')].filter((e) => e.offsetParent && e.getBoundingClientRect().height < 24).map((e) => e.textContent)""")
        assert not small, f"{width} pixels: {small} are too small to touch"
        page.close()


def contrast(browser, report):
    for dark in (False, True):
        page = opened(browser, report, dark=dark)
        if page.run("Boolean(byId('stage'))"):
            show(page, "stage")
            time.sleep(0.2)
        page.run("[...document.querySelectorAll('.chip')][1].click(); document.getElementsByName('against')[1].click()")
        page.settle()
        found = page.run(CONTRAST)
        assert found["count"] > 200, found["count"]
        assert not found["poor"], f"{'dark' if dark else 'light'}: {found['poor'][:5]}"
        page.close()


def access(browser, report):
    page = opened(browser, report)
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    controls = [n for n in tree if n.get("role", {}).get("value") in NAMES and not n.get("ignored")]
    assert len(controls) > 20, len(controls)
    for node in controls:
        # A select without a label is named by nothing, or by what is chosen.
        assert node.get("name", {}).get("value", "").strip(), f"a {node['role']['value']} has no name: {node.get('value')}"
    for name in page.run("[...document.querySelectorAll('select, input[type=range]')].filter((s) => !s.labels.length && !s.ariaLabel).map((s) => s.id)"):
        raise AssertionError(f"#{name} has no label")
    assert page.run("document.querySelectorAll('h1').length") == 1 and page.run("document.documentElement.lang") == "en"
    # By Tab alone through the page: the focus is always to be seen, and reaches the end.
    page.run("byId('points-table').querySelector('tbody').replaceChildren(); document.body.focus(); scrollTo(0, 0)")
    seen, places = set(), page.run("document.querySelectorAll('a[href], button, select, input, [tabindex=\"0\"]').length")
    for _ in range(places + 5):
        page.call("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
        page.call("Input.dispatchKeyEvent", type="keyUp", key="Tab", code="Tab", windowsVirtualKeyCode=9)
        at = page.run("""(() => { const e = document.activeElement; if (!e || e === document.body) return null;
            const shown = e.matches('.choice input') ? e.nextElementSibling : e.matches('.divider') ? e.querySelector('.grip') : e, s = getComputedStyle(shown);
            return { what: e.tagName + (e.id ? '#' + e.id : '') + ' ' + e.textContent.slice(0, 20), outline: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 1 }; })()""")
        if at is None:
            break
        assert at["outline"], f"the focus on {at['what']} cannot be seen"
        seen.add(at["what"])
    for part in ("SELECT#measure", "CANVAS#rd-plot", "CANVAS#speed-plot", *(["DIV#divider", "DIV#stage"] if report.results["kind"] == "image" else [])):
        assert any(s.startswith(part) for s in seen), f"Tab does not reach {part}"
    page.media(still=True)
    page.run("document.documentElement.style.scrollBehavior = ''; 1")
    assert page.run("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    moving = page.run("[...document.querySelectorAll('*')].filter((e) => { const s = getComputedStyle(e); return parseFloat(s.transitionDuration) > 0 || s.animationName !== 'none'; }).length")
    assert moving == 0, f"{moving} elements move although motion is to be reduced"
    page.close()


def theme(browser, report):
    page = opened(browser, report)
    state = lambda: (page.run("document.documentElement.dataset.theme"), page.run("getComputedStyle(document.body).backgroundColor"), page.run("byId('rd-plot').toDataURL()"))
    light = state()
    page.run("byId('theme').click()")
    page.settle()
    dark = state()
    assert light[0] == "light" and dark[0] == "dark" and all(a != b for a, b in zip(light, dark)), (light[:2], dark[:2])
    drawn = page.run(COLOURS % "rd-plot")
    key = page.run("measuredCodecs[0].key")
    assert drawn[key] >= 25, "the plot is not in dark colours"
    page.run("byId('theme').click()")
    page.settle()
    assert state() == light
    page.run("localStorage.removeItem('nccodec-bench-theme')")
    page.close()
    page = opened(browser, report, dark=True)
    assert page.run("document.documentElement.dataset.theme") == "dark", "the system's choice is not taken"
    page.close()


def printing(browser, report):
    page = opened(browser, report, dark=True)
    pdf = page.pdf()
    sheets = len(re.findall(rb"/Type\s*/Page[^s]", pdf))
    assert pdf.startswith(b"%PDF") and len(pdf) > 20000, len(pdf)
    assert 2 <= sheets <= 30, f"{sheets} sheets"
    page.settle()
    assert page.run("document.documentElement.dataset.theme") == "dark", "the theme does not come back after printing"
    page.call("Emulation.setEmulatedMedia", media="print")
    hidden = page.run("['.bar', '.tools', '.chip.all', '#theme'].filter((s) => getComputedStyle(document.querySelector(s)).display !== 'none')")
    assert not hidden, f"{hidden} are printed"
    assert page.run("getComputedStyle(document.querySelector('.scroll.tall')).overflowY") == "visible"
    assert page.run("getComputedStyle(document.querySelector('.chip')).display") != "none", "the plot has no legend on paper"
    no_problems(page)
    page.close()


def shots(browser, report, folder, label):
    for name, width, height, phone in (("wide", 1280, 900, False), ("phone", 390, 844, True)):
        for dark in (False, True):
            page = opened(browser, report, width=width, height=height, dark=dark, phone=phone)
            for part in ("top", "summary", "rd", "speed", "matrix", "viewer", "points", "failures"):
                if part != "top" and not page.run(f"Boolean(byId('{part}'))"):
                    continue
                page.run("scrollTo(0, 0)" if part == "top" else f"byId('{part}').scrollIntoView()")
                page.settle()
                time.sleep(0.15)
                path = os.path.join(folder, f"{label}-{name}-{'dark' if dark else 'light'}-{part}.png")
                page.picture(path)
                assert os.path.getsize(path) > 8000, f"{path} is blank"
            no_problems(page)
            page.close()
