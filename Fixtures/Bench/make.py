#!/usr/bin/env python3
"""Makes the synthetic results that Tests/page.sh renders: nothing in them was measured, and they say so.

    make.py image > sample-image.json       make.py kv > sample-kv.json       make.py audio > sample-audio.json
    make.py video > sample-video.json
    make.py pictures sample-image.json DIR  the pictures that the results name, below DIR

Deterministic. Curves are PSNR = 33 + 3.6 d - 0.1 d^2 over d = log2(bpp / (codec * file * 0.6)), with a little noise.
"""
import binascii, json, math, os, random, struct, sys, zlib

NOTE = "Synthetic sample: nothing on this page was measured."
MACHINE = {"cpu": "none (synthetic sample)", "cores": 2, "simd": "avx2", "os": "Debian GNU/Linux 12"}


def run(command, finished="2026-11-29T03:08:41Z"):
    return {"started": "2026-11-29T03:00:00Z", "finished": finished, "command": command, "nccodec": "0.1.0 (sample)",
            "machine": MACHINE, "workers": 2, "note": NOTE}


def measure(name, title, unit, higher=True, version="nccodec 0.1.0", missing=None):
    return {"name": name, "title": title, "unit": unit, "isHigherBetter": higher, "version": version, "missing": missing}


def codec(name, title, family, version, settings, missing=None):
    return {"name": name, "title": title, "family": family, "version": version, "settings": settings, "missing": missing}


IMAGE_CODECS = [  # codec, rate against JPEG, seconds per megapixel to encode and decode, peak MB, setting
    (codec("overfit", "Overfitted", "ours", "0.1.0, codec 2, model 5", "effort 5, lambda 0.02 to 0.0005"), 0.50, 290, 0.21, 410, "lambda %g"),
    (codec("hyperprior", "Hyperprior", "ours", "0.1.0, codec 1, model 1", "quality 5 to 95"), 0.60, 0.52, 0.36, 260, "quality %g"),
    (codec("jpeg", "JPEG", "peer", "libavcodec 59.37.100, mjpeg", "4:2:0, optimal Huffman tables, q:v 2 to 31"), 1.0, 0.012, 0.006, 12, "q:v %g"),
    (codec("webp", "WebP", "peer", "libavcodec 59.37.100, libwebp 1.2.4", "4:2:0, compression level 6"), 0.70, 0.21, 0.011, 34, "q %g"),
    (codec("avif", "AVIF", "peer", "libavcodec 59.37.100, libaom 3.6.0", "4:2:0, cpu-used 6, all intra"), 0.55, 1.9, 0.034, 92, "crf %g"),
    (codec("jpeg2000", "JPEG 2000", "peer", "libavcodec 59.37.100, libopenjpeg 2.5.0", "9/7, one layer"), 0.82, 0.45, 0.31, 66, "rate %g"),
    (codec("vq", "VQ tokens", "ours", "0.1.0 (sample)", "codebooks of 16 to 4096"), 0.45, 0.3, 0.2, 240, "%g entries"),
    (codec("jxl", "JPEG XL", "peer", "", "effort 7", "this libavcodec has no encoder libjxl; install one that has"), 0, 0, 0, 0, ""),
]
SETTINGS = {
    "overfit": [0.02, 0.008, 0.004, 0.002, 0.001, 0.0005], "hyperprior": [5, 23, 41, 59, 77, 95],
    "jpeg": [31, 24, 14, 8, 5, 2], "webp": [5, 20, 45, 70, 85, 95], "avif": [55, 48, 40, 32, 24, 16],
    "jpeg2000": [120, 64, 36, 20, 11, 6], "vq": [16, 64, 512, 4096],
}
FILES = [("harbour", 768, 512, 1.25), ("portrait", 512, 768, 0.62), ("meadow", 768, 512, 1.7), ("facade", 768, 512, 1.45),
         ("lighthouse", 512, 768, 0.95), ("parrots", 768, 512, 0.55)]


def psnr(bpp, factor):
    d = math.log2(bpp / (0.6 * factor))
    return 33 + 3.6 * d - 0.1 * d * d


def image():
    noise = random.Random(7)
    files = [{"name": n, "path": f"sample/{n}.png", "width": w, "height": h, "bytes": int(w * h * 1.6 * c / 1.2),
              "sha256": "%064x" % noise.getrandbits(256), "picture": f"images/original/{n}.png", "error": None}
             for n, w, h, c in FILES]
    files.append({"name": "cut-off", "path": "sample/cut-off.png", "width": None, "height": None, "bytes": 731, "sha256": "0" * 64,
                  "error": "sample/cut-off.png: the file ends inside the picture"})
    points = []
    for name, w, h, complexity in FILES:
        for c, factor, encode, decode, memory, pattern in IMAGE_CODECS:
            if c["missing"]:
                continue
            for i in range(len(SETTINGS[c["name"]])):
                setting = pattern % SETTINGS[c["name"]][i]
                point = {"file": name, "codec": c["name"], "point": i, "setting": setting}
                if c["name"] == "jpeg2000" and name == "parrots" and i == 0:
                    points.append(point | {"bytes": None, "bpp": None, "measures": {}, "encodeSeconds": [], "decodeSeconds": [],
                                           "encodeCPUSeconds": [], "decodeCPUSeconds": [], "encodePeakBytes": None, "decodePeakBytes": None, "picture": None,
                                           "error": "libopenjpeg: rate 120 is below what the headers take"})
                    continue
                size = int(w * h / 8 * (0.06 * 1.25 ** i if c["name"] == "vq" else 0.11 * 1.82 ** i) * math.sqrt(factor * complexity) * noise.uniform(0.95, 1.05))
                bpp = 8 * size / (w * h)
                q = (19.6 + 0.7 * i if c["name"] == "vq" else psnr(bpp, factor * complexity)) + noise.uniform(-0.12, 0.12)
                ms = 1 - 0.055 * 10 ** (-(q - 27) / 12.5) * (0.9 if c["family"] == "ours" else 1)
                e = [encode * w * h / 1e6 * noise.uniform(0.85, 1.2) * (0.8 + 0.07 * i) for _ in range(2)]
                d = [decode * w * h / 1e6 * noise.uniform(0.9, 1.15) * (0.8 + 0.07 * i) for _ in range(2)]
                points.append(point | {
                    "bytes": size, "bpp": round(bpp, 6),
                    "measures": {"psnr": round(q, 4), "psnrYUV": round(q + 1.1, 4), "ssim": round(1 - 2.4 * (1 - ms), 6),
                                 "msssim": round(ms, 6), "butteraugli": round(9 * math.exp(-(q - 24) / 8), 4)},
                    "encodeSeconds": [round(x, 5) for x in e], "decodeSeconds": [round(x, 5) for x in d],
                    "encodeCPUSeconds": [round(x * 0.97, 5) for x in e], "decodeCPUSeconds": [round(x * 0.97, 5) for x in d],
                    "encodePeakBytes": int(memory * 1e6), "decodePeakBytes": int(memory * 4e5) if c["name"] != "jpeg" else None,
                    "picture": f"images/{c['name']}/{name}-{i}.png", "error": None})
    references = [{"name": n, "title": t, "source": "references/kodak-rd.json (here: synthetic)", "measure": m,
                   "points": [{"bpp": round(0.07 * 1.7 ** i, 4), "value": of(psnr(0.07 * 1.7 ** i, f))} for i in range(9)]}
                  for n, t, f in [("vtm (published)", "VTM (published)", 0.44), ("bpg (published)", "BPG 4:4:4 (published)", 0.57)]
                  for m, of in [("psnr", lambda q: round(q, 3)), ("msssim", lambda q: round(1 - 0.055 * 10 ** (-(q - 27) / 12.5), 5))]]
    measures = [measure("psnr", "PSNR", "dB"), measure("psnrYUV", "PSNR YUV 6:1:1", "dB"), measure("ssim", "SSIM", ""),
                measure("msssim", "MS-SSIM", ""), measure("butteraugli", "Butteraugli", "", False, "butteraugli_main 0.7.0"),
                measure("vmaf", "VMAF", "", True, "", "libvmaf is not packaged for Debian 12")]
    codecs = [c[0] for c in IMAGE_CODECS]
    return finish("image", run("nccodec bench image sample/ --codecs overfit,hyperprior,jpeg,webp,avif,jpeg2000,jxl --points 6 --out report/"),
                  measures, codecs, files, points, references, "bpp", {f["name"]: (f["width"] or 0) * (f["height"] or 0) for f in files})


def kv():
    noise = random.Random(8)
    files = [{"name": n, "path": f"caches/{n}.safetensors", "width": None, "height": None, "elements": e, "bytes": 2 * e,
              "sha256": "%064x" % noise.getrandbits(256), "error": None}
             for n, e in [("story-512", 6291456), ("code-512", 6291456), ("chat-1024", 12582912)]]
    codecs = [(codec("kv-fast", "kv, effort 4", "ours", "0.1.0, codec 3", "quality 20 to 90"), 0.0, 0.02, 0.012),
              (codec("kv-profile", "kv, effort 9", "ours", "0.1.0, codec 3", "quality 20 to 90, profile"), 1.55, 0.09, 0.05),
              (codec("ggml", "q8_0, q5_0, q4_0", "peer", "ggml's formats", "blocks of 32"), -1.0, 0.004, 0.002)]
    points = []
    for f in files:
        for c, gain, encode, decode in codecs:
            for i in range(3 if c["name"] == "ggml" else 5):
                bits = [4.5, 5.5, 8.5][i] if c["name"] == "ggml" else 1.6 + 1.35 * i + noise.uniform(-0.05, 0.05)
                snr = 6.02 * (bits - 1.1 + gain) + noise.uniform(-0.2, 0.2)
                e = f["elements"] / 1e6
                points.append({"file": f["name"], "codec": c["name"], "point": i,
                               "setting": ["q4_0", "q5_0", "q8_0"][i] if c["name"] == "ggml" else f"quality {20 + 17 * i}",
                               "bytes": int(bits * f["elements"] / 8), "bits": round(bits, 5),
                               "measures": {"snrK": round(snr + 0.8, 3), "snrV": round(snr - 0.7, 3)},
                               "encodeSeconds": [round(encode * e * noise.uniform(0.9, 1.1), 5) for _ in range(3)],
                               "decodeSeconds": [round(decode * e * noise.uniform(0.9, 1.1), 5) for _ in range(3)],
                               "encodeCPUSeconds": [], "decodeCPUSeconds": [],
                               "encodePeakBytes": None, "decodePeakBytes": None, "picture": None, "error": None})
    measures = [measure("snrK", "SNR of keys", "dB"), measure("snrV", "SNR of values", "dB")]
    return finish("kv", run("nccodec bench kv caches/ --out report/", None), measures, [c[0] for c in codecs], files, points, [],
                  "bits", {f["name"]: f["elements"] for f in files})


def audio():
    noise = random.Random(9)
    files = [{"name": n, "path": f"sounds/{n}.wav", "width": None, "height": None, "duration": d, "sampleRate": 24000, "bytes": int(48000 * d),
              "sha256": "%064x" % noise.getrandbits(256), "error": None}
             for n, d in [("speech-reading", 5.06), ("speech-asking", 8.4), ("music-piano", 10.0), ("music-drums", 10.0)]]
    codecs = [(codec("mdct", "mdct", "ours", "0.1.0 (sample)", "target perceptual, one thread; kbps as asked"), 1.0, 4.0, 0.05, 0.01),
              (codec("mp3", "MP3", "peer", "libavcodec 59.37.100, LAME 3.100", "constant rate; kbps as asked"), 1.02, 0.0, 0.012, 0.002),
              (codec("opus", "Opus", "peer", "libavcodec 59.37.100, libopus 1.3.1", "variable rate; kbps as asked"), 1.1, -2.0, 0.03, 0.006)]
    points = []
    for f in files:
        for c, excess, gain, encode, decode in codecs:
            for i, wanted in enumerate([16, 24, 48, 64, 96]):
                size = int(wanted * excess * noise.uniform(0.98, 1.02) * f["duration"] * 125)
                kbps = size * 8 / f["duration"] / 1000
                sdr = 5 * math.log2(kbps / 6) + gain + noise.uniform(-0.3, 0.3)
                e, d = (x * f["duration"] * noise.uniform(0.9, 1.1) for x in (encode, decode))
                points.append({"file": f["name"], "codec": c["name"], "point": i, "setting": f"{wanted} kbps", "bytes": size, "kbps": round(kbps, 4),
                               "measures": {"sisdr": round(sdr, 3), "lsd": round(12 - 0.3 * sdr, 3), "visqol": round(4.7 - 3 * math.exp(-kbps / 18), 3)},
                               "encodeSeconds": [round(e, 5)], "decodeSeconds": [round(d, 5)],
                               "encodeCPUSeconds": [round(e * 0.98, 5)], "decodeCPUSeconds": [round(d * 0.98, 5)],
                               "encodePeakBytes": None, "decodePeakBytes": None, "picture": None, "error": None})
    measures = [measure("sisdr", "SI-SDR", "dB"), measure("lsd", "Log-spectral distance", "dB", False), measure("visqol", "ViSQOL", ""),
                measure("pesq", "PESQ-WB", "", True, "", "no program pesq on the PATH")]
    return finish("audio", run("nccodec bench audio sounds/ --kbps 16,24,48,64,96 --out report/"), measures, [c[0] for c in codecs], files,
                  points, [], "kbps", {f["name"]: f["duration"] * 1e6 for f in files})


def video():
    noise = random.Random(10)
    files = [{"name": n, "path": f"clips/{n}.mp4", "width": w, "height": h, "frames": f, "bytes": int(w * h * f * 0.02),
              "sha256": "%064x" % noise.getrandbits(256), "error": None}
             for n, w, h, f in [("bunny", 1280, 640, 132), ("bikes", 640, 272, 250), ("phone", 352, 288, 120)]]
    crf = [46, 40, 35, 29, 24, 18]
    codecs = [(codec("hnerv", "hnerv", "ours", "0.1.0 (sample)", "epochs 30, all threads"), 2.1, 3.0, 0.05, [f"params {p}M" for p in (0.35, 0.75, 1.5)], 0.012, 2.0),
              (codec("x264", "x264", "peer", "libavcodec 59.37.100, x264 - core 164", "preset medium, one thread"), 1.0, 0.05, 0.012, [f"crf {c}" for c in crf], 0.005, 1.9),
              (codec("x265", "x265", "peer", "libavcodec 59.37.100, x265 (build 199)", "preset medium, one worker"), 0.72, 0.09, 0.014, [f"crf {c}" for c in crf], 0.004, 1.9),
              (codec("svtav1", "SVT-AV1", "peer", "", "preset 8", "this libavcodec has no encoder of video named libsvtav1"), 1, 1, 1, [], 1, 1)]
    points = []
    for f in files:
        area = f["width"] * f["height"]
        for c, excess, encode, decode, settings, lowest, ratio in codecs:
            for i, setting in enumerate(settings):
                size = int(lowest * ratio ** i * area * f["frames"] / 8 * noise.uniform(0.97, 1.03))
                bpp = 8 * size / (area * f["frames"])
                q = 37 + 3.1 * math.log2(bpp / (0.03 * excess)) + noise.uniform(-0.1, 0.1)
                e, d = (x * area * f["frames"] / 8e5 * noise.uniform(0.9, 1.1) for x in (encode, decode))
                points.append({"file": f["name"], "codec": c["name"], "point": i, "setting": setting, "bytes": size, "bpp": round(bpp, 6),
                               "measures": {"psnr": round(q, 3), "msssim": round(1 - 0.05 * 10 ** (-(q - 27) / 12.5), 5)},
                               "encodeSeconds": [round(e, 5)], "decodeSeconds": [round(d, 5)],
                               "encodeCPUSeconds": [round(e * 1.1, 5)], "decodeCPUSeconds": [round(d * 1.1, 5)],
                               "encodePeakBytes": None, "decodePeakBytes": None, "picture": None, "error": None})
    measures = [measure("psnr", "PSNR", "dB"), measure("msssim", "MS-SSIM", "")]
    return finish("video", run("nccodec bench video clips/ --params 0.35M,0.75M,1.5M --epochs 30 --out report/"), measures, [c[0] for c in codecs],
                  files, points, [], "bpp", {f["name"]: f["frames"] * 1e6 for f in files})


def finish(kind, about, measures, codecs, files, points, references, rate, sizes):
    """Adds the summary: means, and BD-rate by plain trapezia over 200 steps of piecewise linear curves, which is near PCHIP."""
    names = [m["name"] for m in measures if not m["missing"]]
    curves = []
    for c in codecs:
        rows = []
        for i in sorted({p["point"] for p in points if p["codec"] == c["name"]}):
            mine = [p for p in points if p["codec"] == c["name"] and p["point"] == i and not p["error"]]
            row = {"point": i, "setting": mine[0]["setting"], "files": len(mine), rate: mean([p[rate] for p in mine]),
                   "measures": {n: mean([p["measures"][n] for p in mine]) for n in names}}
            for key in ("encodeSeconds", "decodeSeconds", "encodeCPUSeconds", "decodeCPUSeconds"):
                times = sorted(min(p[key]) / sizes[p["file"]] * 1e6 for p in mine if p[key])
                row[key + "PerMegapixel"] = {"median": quantile(times, 0.5), "low": quantile(times, 0.25), "high": quantile(times, 0.75),
                                             "samples": len(times)} if times else None
            rows.append(row)
        if rows:
            curves.append({"codec": c["name"], "points": rows})
    rates, gains = {}, {}
    have = [c["codec"] for c in curves]
    for n in names:
        # Of SSIM and MS-SSIM in dB, with less is better turned round, and over the files that all points of both have.
        of = lambda codec, other: common(points, codec, other, rate, n)
        upwards = 1 if next(m for m in measures if m["name"] == n)["isHigherBetter"] else -1
        rates[n] = {a: {t: delta(of(a, t), of(t, a), True) for t in have if t != a} for a in have}
        gains[n] = {a: {t: scaled(delta(of(a, t), of(t, a), False), upwards) for t in have if t != a} for a in have}
        for reference in references:
            if reference["measure"] == n:
                line = [(p["bpp"], quality(n, p["value"])) for p in reference["points"]]
                rates[n][reference["name"]] = {t: delta(line, of(t, t), True) for t in have}
                gains[n][reference["name"]] = {t: delta(line, of(t, t), False) for t in have}
    return {"format": "nccodec-bench", "version": 1, "kind": kind, "run": about, "measures": measures, "codecs": codecs, "files": files,
            "points": points, "references": references, "summary": {"curves": curves, "bdRate": rates, "bdPSNR": gains}}


def common(points, codec, other, rate, name):
    """Points of the mean of `codec`, over the files on which neither codec failed."""
    failed = {p["file"] for p in points if p["error"] and p["codec"] in (codec, other)}
    mine = [p for p in points if p["codec"] == codec and p["file"] not in failed]
    result = []
    for i in sorted({p["point"] for p in mine}):
        at = [p for p in mine if p["point"] == i]
        q = mean([p["measures"][name] for p in at])
        result.append((mean([p[rate] for p in at]), quality(name, q)))
    return result


def quality(name, value):
    return -10 * math.log10(1 - value) if name in ("ssim", "msssim") else value


def scaled(value, factor):
    return value and round(value * factor, 4)


def quantile(sorted_values, part):
    place = part * (len(sorted_values) - 1)
    below = int(place)
    above = min(below + 1, len(sorted_values) - 1)
    return round(sorted_values[below] + (place - below) * (sorted_values[above] - sorted_values[below]), 6)


def mean(values):
    return round(sum(values) / len(values), 6)


def delta(anchor, test, of_rate):
    lines = [sorted((q, math.log(r)) if of_rate else (math.log(r), q) for r, q in points) for points in (anchor, test)]
    low, high = max(l[0][0] for l in lines), min(l[-1][0] for l in lines)
    if high <= low:
        return None
    at = [[interpolate(l, low + (high - low) * k / 200) for k in range(201)] for l in lines]
    d = sum(b - a for a, b in zip(*at)) / 201
    return round(100 * (math.exp(d) - 1), 3) if of_rate else round(d, 4)


def interpolate(line, x):
    for (x0, y0), (x1, y1) in zip(line, line[1:]):
        if x <= x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return line[-1][1]


def base(width, height, phase):
    """RGB samples of a picture, a row at a time."""
    across = [(math.sin((x + phase) / 9), x) for x in range(width)]
    for y in range(height):
        down, green, row = 40 * math.sin(y / 13), 70 + y * 120 / height, bytearray()
        for wave, x in across:
            v = wave * down + (18 if (x // 16 + y // 16) % 2 else 0)
            row += bytes((int(90 + x * 100 / width + v), int(green + v), int(150 - x * 70 / width + v / 2)))
        yield bytes(row)


def png(path, width, height, rows, levels):
    """Samples rounded to `levels` steps: few look like a strong compression."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    step = 256 / levels
    table = bytes(min(255, int((int(v / step) + 0.5) * step)) for v in range(256)) if levels < 256 else bytes(range(256))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", binascii.crc32(kind + data))
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
                   + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + r.translate(table) for r in rows), 3)) + chunk(b"IEND", b""))


def pictures(results, folder, files=2):
    """Of the first files only, so that the page's words about absent pictures are there to see too."""
    for number, file in enumerate(results["files"][:files]):
        w, h = file["width"], file["height"]
        rows = list(base(w, h, 31 * number))
        png(os.path.join(folder, file["picture"]), w, h, rows, 256)
        for p in results["points"]:
            if p["file"] == file["name"] and p["picture"]:
                png(os.path.join(folder, p["picture"]), w, h, rows, 4 + 4 * p["point"] + len(p["codec"]))


if __name__ == "__main__":
    if sys.argv[1] == "pictures":
        with open(sys.argv[2]) as file:
            pictures(json.load(file), sys.argv[3])
    else:
        made = {"image": image, "kv": kv, "audio": audio, "video": video}[sys.argv[1]]()
        # One point a line.
        head = {k: v for k, v in made.items() if k != "points"}
        text = json.dumps(head, indent=1, ensure_ascii=False)
        lines = ",\n  ".join(json.dumps(p, ensure_ascii=False) for p in made["points"])
        print(text.replace('\n "references":', '\n "points": [\n  ' + lines + '\n ],\n "references":', 1))
