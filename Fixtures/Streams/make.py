#!/usr/bin/env python3
"""Makes the conformance streams and their manifest with the nccodec that stands in .build/release.

Released streams are never made again: later versions add streams, and must decode these to the same samples. Only streams
that are not in the manifest yet are made. Python's standard library is enough.

    python3 Fixtures/Streams/make.py
"""

import hashlib
import os
import struct
import subprocess
import tempfile
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
IMAGES = os.path.join(HERE, "..", "Images")
NCCODEC = os.path.join(HERE, "..", "..", ".build", "release", "nccodec")


def png(path, width, height, channels, sample):
    """An 8-bit PNG of sample(x, y) -> tuple of channels values."""
    rows = b"".join(b"\0" + bytes(v & 255 for x in range(width) for v in sample(x, y)) for y in range(height))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def unpng(path):
    """-> width, height, channels, samples of an 8-bit PNG without interlacing."""
    data, at, body = open(path, "rb").read(), 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        content = data[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", content[:10])
            assert depth == 8 and content[12] == 0
        elif kind == b"IDAT":
            body += content
        at += 12 + size
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    raw, line, out = zlib.decompress(body), width * channels, []
    above = bytearray(line)
    for y in range(height):
        rule, row = raw[y * (line + 1)], bytearray(raw[y * (line + 1) + 1 : (y + 1) * (line + 1)])
        for i in range(line):
            a = row[i - channels] if i >= channels else 0
            b, c = above[i], above[i - channels] if i >= channels else 0
            p = a + b - c
            paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            row[i] = (row[i] + (0, a, b, (a + b) // 2, paeth)[rule]) & 255
        out.append(bytes(row))
        above = row
    return width, height, channels, b"".join(out)


def noise(x, y):
    v = (x * 0x9E3779B1 ^ y * 0x85EBCA77) & 0xFFFFFFFF
    v = (v ^ v >> 15) * 0x2C1B3C6D & 0xFFFFFFFF
    return v ^ v >> 12


def wave(x, y):
    return (x * 5 + y * 3) // 2, 255 - x * 2, 60 + (x * y) // 16


PICTURES = {  # name: (file, or width, height, channels, sample), quality
    "rgb-1x1-q50": ((1, 1, 3, lambda x, y: (200, 30, 90)), 50),
    "grey-1x1-q0": ((1, 1, 1, lambda x, y: (77,)), 0),
    "rgb-17x1-q100": ((17, 1, 3, wave), 100),
    "rgb-1x65-q30": ((1, 65, 3, wave), 30),
    "rgb-16x16-q70": ((16, 16, 3, wave), 70),
    "rgb-64x64-q50": ((64, 64, 3, wave), 50),
    "rgb-65x31-q90": ((65, 31, 3, wave), 90),
    "rgb-noise-48x40-q100": ((48, 40, 3, lambda x, y: (noise(x, y), noise(x, y + 99), noise(x + 99, y))), 100),
    "grey-noise-33x47-q60": ((33, 47, 1, lambda x, y: (noise(x, y),)), 60),
    "rgb-checks-40x24-q100": ((40, 24, 3, lambda x, y: (255 * ((x + y) % 2),) * 3), 100),
    "greyalpha-35x27-q40": ("greyalpha8.png", 40),
    "rgba-noise-19x23-q20": ((19, 23, 4, lambda x, y: (*wave(x, y), noise(x, y))), 20),
    "metadata-q50": ("metadata.png", 50),
    "photo-q0": ("photo.png", 0),
    "photo-q50": ("photo.png", 50),
    "photo-q100": ("photo.png", 100),
}

OVERFIT = {  # name: (file, or width, height, channels, sample), lambda, decoder cost, effort if not 1
    "overfit-500-photo": ("photo.png", 0.001, 500),
    "overfit-1000-photo": ("photo.png", 0.004, 1000),
    "overfit-2000-photo": ("photo.png", 0.0004, 2000),
    "overfit-2000-photo-low": ("photo.png", 0.02, 2000),
    "overfit-2000-photo-high": ("photo.png", 0.0001, 2000),
    "overfit-3000-photo": ("photo.png", 0.001, 3000),
    "overfit-rgb-1x1": ((1, 1, 3, lambda x, y: (200, 30, 90)), 0.001, 2000),
    "overfit-rgb-17x5": ((17, 5, 3, wave), 0.001, 500),
    "overfit-rgb-1x400": ((1, 400, 3, wave), 0.0001, 1000),
    "overfit-grey-33x47": ((33, 47, 1, lambda x, y: (noise(x, y),)), 0.001, 1000),
    "overfit-rgba-19x23": ((19, 23, 4, lambda x, y: (*wave(x, y), noise(x, y))), 0.0004, 2000),
    "overfit-greyalpha": ("greyalpha8.png", 0.001, 2000),
    # From here on colour pictures of 2000 and 3000 MAC/pixel have joined hyper-latents.
    "overfit-2000-joined": ("photo.png", 0.001, 2000),
    "overfit-2000-joined-low": ("photo.png", 0.02, 2000),
    "overfit-2000-joined-high": ("photo.png", 0.0001, 2000),
    "overfit-3000-joined": ("photo.png", 0.004, 3000),
    "overfit-2000-joined-second": ("photo.png", 0.02, 2000, 5),  # a model of the second set
    "overfit-rgb-joined-9x21": ((9, 21, 3, wave), 0.001, 2000),
}


def main():
    manifest = os.path.join(HERE, "manifest.txt")
    with open(manifest) as f:
        lines = f.read().splitlines()
    made = {line.split(".ncb")[0] for line in lines}
    todo = {name: (source, ["--quality", str(quality)]) for name, (source, quality) in PICTURES.items()}
    for name, (source, weight, cost, *effort) in OVERFIT.items():
        options = ["--codec", "overfit", "--effort", str(*effort or [1]), "--lambda", str(weight), "--decoder-cost", str(cost)]
        todo[name] = (source, options)
    with tempfile.TemporaryDirectory() as work:
        for name, (source, options) in todo.items():
            if name in made:
                continue
            picture, stream, back = f"{work}/in.png", os.path.join(HERE, name + ".ncb"), f"{work}/back.png"
            if isinstance(source, str):
                picture = os.path.join(IMAGES, source)
            else:
                png(picture, *source)
            run = lambda *words: subprocess.run([NCCODEC, *words, "--force", "--quiet"], check=True)
            run("encode", picture, stream, *options)
            run("decode", stream, back)
            width, height, channels, samples = unpng(back)
            alpha = channels in (2, 4)
            colours = channels - alpha
            planes = [samples[c::channels] for c in range(channels)]
            merged = bytearray(len(planes[0]) * colours)
            for c in range(colours):
                merged[c::colours] = planes[c]
            digest = hashlib.md5(bytes(merged) + (planes[-1] if alpha else b"")).hexdigest()
            lines.append(f"{name}.ncb {width} {height} {colours} {int(alpha)} {digest}")
    with open(manifest, "w") as f:
        f.write("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
