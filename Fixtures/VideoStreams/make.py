"""Makes the conformance streams of codec 8 and their manifest.

    python3 make.py NCCODEC     # the program of the codec's release, for example ../../.build/release/nccodec

Made once: later encoders may write other files, and these still have to decode to the same samples, so that those which
are there stay. The videos are formulas of ours, CC0 1.0. Needs nothing but Python.
"""

import hashlib
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))

# name, width, height, frames, options of the encoder
STREAMS = [
    ("small-20x12-5frames", 20, 12, 5, ["--epochs", "20", "--params", "2000"]),
    ("odd-33x17-7frames-segments3", 33, 17, 7, ["--epochs", "20", "--params", "4000", "--segment-frames", "3"]),
    ("one-1x1-1frame", 1, 1, 1, ["--epochs", "5", "--params", "500"]),
    ("wide-160x90-6frames", 160, 90, 6, ["--epochs", "10", "--params", "20000"]),
    ("rate-64x48-8frames-2bpp", 64, 48, 8, ["--epochs", "20", "--bpp", "2"]),
    ("best-48x64-4frames-quality100", 48, 64, 4, ["--epochs", "20", "--quality", "100"]),
    ("nerv-33x17-7frames-segments3", 33, 17, 7, ["--codec", "nerv", "--epochs", "20", "--params", "4000", "--segment-frames", "3"]),
    ("nerv-160x90-6frames", 160, 90, 6, ["--codec", "nerv", "--epochs", "10", "--params", "20000"]),
    ("nervpp-33x17-7frames-segments3", 33, 17, 7, ["--codec", "nervpp", "--epochs", "20", "--params", "4000", "--segment-frames", "3"]),
    ("nervpp-160x90-6frames", 160, 90, 6, ["--codec", "nervpp", "--epochs", "10", "--params", "20000"]),
    ("nirvana-33x17-20frames", 33, 17, 20, ["--codec", "nirvana", "--epochs", "60", "--params", "4000"]),
    ("nirvana-160x90-12frames", 160, 90, 12, ["--codec", "nirvana", "--epochs", "60", "--params", "20000"]),
]


def y4m(path, width, height, frames):
    """Planes of 4:4:4: gradients that move, and a block."""
    with open(path, "wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 C444\n".encode())
        for n in range(frames):
            file.write(b"FRAME\n")
            for plane in range(3):
                rows = bytearray()
                for y in range(height):
                    for x in range(width):
                        inside = (x - 2 * n) % width < width / 4 and y < height / 3
                        value = 200 - 60 * plane if inside else 60 + (3 * x + 2 * y * (plane + 1) + 5 * n) % 120
                        rows.append(value)
                file.write(rows)


def main():
    command = sys.argv[1]
    with open(f"{HERE}/manifest.txt") as file:
        lines = file.read().splitlines()
    with tempfile.TemporaryDirectory() as folder:
        for name, width, height, frames, options in STREAMS:
            target = f"{HERE}/{name}.ncb"
            if os.path.exists(target):
                continue
            source = f"{folder}/{name}.y4m"
            y4m(source, width, height, frames)
            subprocess.run([command, "encode", "--quiet", *options, source, target], check=True)
            digest = subprocess.run([command, "verify", target], check=True, capture_output=True, text=True).stdout
            print(digest.strip(), file=sys.stderr)
            pictures = f"{folder}/{name}"
            os.mkdir(pictures)
            subprocess.run([command, "decode", "--quiet", target, f"{pictures}/%d.png"], check=True)
            md5 = hashlib.md5()
            for n in range(1, frames + 1):
                md5.update(planes(f"{pictures}/{n}.png"))
            lines.append(f"{name}.ncb {width} {height} {frames} {md5.hexdigest()}")
    with open(f"{HERE}/manifest.txt", "w") as file:
        file.write("\n".join(lines) + "\n")


def planes(path):
    """The samples of an RGB PNG of 8 bits, as planes."""
    import struct
    import zlib

    with open(path, "rb") as file:
        data = file.read()
    place, compressed, width, height = 8, b"", 0, 0
    while place < len(data):
        size, kind = struct.unpack(">I4s", data[place : place + 8])
        body = data[place + 8 : place + 8 + size]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            assert (depth, colour) == (8, 2), path
        if kind == b"IDAT":
            compressed += body
        place += size + 12
    raw, stride = zlib.decompress(compressed), 3 * width
    before, pixels = bytearray(stride), bytearray()
    for y in range(height):
        kind = raw[y * (stride + 1)]
        row = bytearray(raw[y * (stride + 1) + 1 : (y + 1) * (stride + 1)])
        for i in range(stride):
            a, b, c = (row[i - 3] if i > 2 else 0), before[i], (before[i - 3] if i > 2 else 0)
            if kind == 1:
                guess = a
            elif kind == 2:
                guess = b
            elif kind == 3:
                guess = (a + b) // 2
            elif kind == 4:
                p = a + b - c
                guess = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            else:
                guess = 0
            row[i] = (row[i] + guess) & 255
        pixels += row
        before = row
    return bytes(pixels[0::3]) + bytes(pixels[1::3]) + bytes(pixels[2::3])


if __name__ == "__main__":
    main()
