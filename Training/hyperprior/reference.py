"""A decoder of .ncb pictures written from bitstream-spec.md alone, slow and plain: the check on the Swift decoder.

    python reference.py FILE.ncb [--weights ../../Sources/CModels/Weights/hyperprior-1.ncw]

prints `FILE: WxH, CRC-32 of samples X` (samples, then the alpha plane), as `nccodec verify` does; prove.sh compares the
two on the conformance streams.
"""

import argparse
import pathlib
import sys
import zlib

import numpy as np
import torch

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))
import integer  # noqa: E402
from weights import read  # noqa: E402

M62 = 62


class Bytes:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        assert self.at + n <= len(self.data), "cut short"
        self.at += n
        return self.data[self.at - n : self.at]

    def varint(self):
        value = shift = 0
        while True:
            b = self.take(1)[0]
            value |= (b & 127) << shift
            shift += 7
            if b < 128:
                return value

    def rest(self):
        return self.take(len(self.data) - self.at)


def container(data):
    """Spec 2, 3: -> (track header bytes, payload bytes) of a file with one image track."""
    f = Bytes(data)
    head = f.take(10)
    assert head[:9] == bytes.fromhex("8E4E43420D0A1A0A01"), "magic"
    crc, track, payload = zlib.crc32(head), None, None
    while True:
        start = f.at
        kind, length = f.take(1), f.varint()
        content = f.take(length)
        crc = zlib.crc32(data[start : f.at], crc)
        assert crc == int.from_bytes(f.take(4), "little"), "checksum"
        if kind == b"T":
            track = content
        elif kind == b"P":
            payload = content
        elif kind == b"E":
            assert f.at == len(data)
            return track, payload
        else:
            assert kind.islower(), "unknown critical chunk"


# Spec 5.3

S = [int(v) for v in """7209 7976 8824 9762 10800 11948 13219 14624 16179 17900 19803 21909 24238 26815 29667 32821 36311 40172
44444 49170 54398 60182 66582 73661 81494 90159 99746 110352 122086 135068 149430 165319 182898 202346 223862 247666 274000
303135 335368 371029 410481 454128 502417 555840 614943 680332 752673 832706 921249 1019208 1127582 1247480 1380128 1526880
1689236 1868856 2067575 2287425 2530652 2799741 3097443 3426801 3791180 4194304""".split()]


def normal_grids():
    mul = lambda a, b: a * b >> M62
    g, r, u = 1839796536686825613, 4611123102832306901, 1 << 47
    b, m = [], []
    for j in range(385):
        b.append(u >> 12)
        m.append(g >> 32)
        f0 = g >> 14
        g = mul(g, r)
        r = mul(r, 4610560255948314623)
        f1 = g >> 14
        u -= (24576 * (f0 + f1) + (j + 1) * f1 - j * f0) // 3145728
    return b, m


GRIDS = normal_grids()


def tail(k, s):
    b, m = GRIDS
    n = (2 * k + 1) << 21
    j = n // s
    if j >= 384:
        return 0
    t = ((n % s) << 30) // s
    d, x, y = b[j + 1] - b[j], -m[j], -m[j + 1]
    v = x + y - 2 * d
    v = 3 * d - 2 * x - y + (v * t >> 30)
    v = x + (v * t >> 30)
    v = b[j] + (v * t >> 30)
    return max(0, v >> 4)


def table(s):
    """The normal table of scale s: -> (R, [(start, width, value)] in order of start, escape last with value None)."""
    reach = 1
    while tail(reach, s) >= 1 << 17:
        reach += 1
    a = [(tail(k, s) + 32768) >> 16 for k in range(reach + 1)]
    a[reach] = max(1, a[reach])
    for k in range(reach - 1, -1, -1):
        a[k] = max(a[k + 1] + 1, a[k])
    rows, start = [], 0
    for value, width in [(0, 65536 - 2 * a[0])] + [
        (v, a[k - 1] - a[k]) for k in range(1, reach + 1) for v in (-k, k)
    ] + [(None, 2 * a[reach])]:
        rows.append((start, width, value))
        start += width
    assert start == 65536
    return reach, rows


class Tables:
    """Spec 8.1: a model's tables from their tensor [64, columns]."""

    def __init__(self, widths):
        self.reach, self.starts, self.values = [], [], []
        for row in widths.tolist():
            reach = row.index(0, 1) - 1 if 0 in row[1:-1] else len(row) - 2
            values = [0] + [v for k in range(1, reach + 1) for v in (-k, k)] + [None]
            each = [row[0]] + [row[k] for k in range(1, reach + 1) for _ in (0, 1)] + [row[-1]]
            start = np.cumsum([0] + each)
            assert start[-1] == 65536
            self.reach.append(reach)
            self.starts.append(start[:-1])
            self.values.append((values, each))

    def find(self, index, slot):
        """-> reach, start, width, value or None"""
        i = int(np.searchsorted(self.starts[index], slot, "right")) - 1
        values, each = self.values[index]
        return self.reach[index], int(self.starts[index][i]), each[i], values[i]


class RANS:
    """Spec 5.5."""

    def __init__(self, payload):
        bits, at = int.from_bytes(payload, "little"), 0

        def take(n):
            nonlocal at
            at += n
            return bits >> (at - n) & ((1 << n) - 1)

        self.lanes = 1 << take(2)
        self.x = []
        for _ in range(self.lanes):
            b = take(6)
            self.x.append(0 if b == 0 else 1 if b == 1 else 1 << (b - 1) | take(b - 1))
        body = payload[(at + 7) // 8 :]
        self.words = [int.from_bytes(body[i : i + 4], "little") for i in range(0, len(body), 4)]
        self.next = self.step = 0

    def advance(self, j, start, width):
        x = self.x[j]
        x = width * (x >> 16) + (x & 65535) - start
        self.x[j] = x
        if x < 1 << 24 and self.next < len(self.words):
            self.x[j] = x << 32 | self.words[self.next]
            self.next += 1
            if self.next == len(self.words):
                assert min(self.x) >= 1 << 24
                self.x = [v - (1 << 24) for v in self.x]

    def bypass(self, j, count):
        width = 1 << (16 - count)
        value = (self.x[j] & 65535) // width
        self.advance(j, value * width, width)
        return value

    def value(self, tables, index):
        j = self.step % self.lanes
        self.step += 1
        reach, start, width, value = tables.find(index, self.x[j] & 65535)
        self.advance(j, start, width)
        if value is None:
            head = self.bypass(j, 6)
            length = head >> 1
            excess = 0 if length == 0 else 1 << (length - 1) | (self.bypass(j, length - 1) if length > 1 else 0)
            value = -reach - 1 - excess if head & 1 else reach + 1 + excess
        return value

    def end(self):
        assert self.next == len(self.words) and self.x == [65536] + [0] * (self.lanes - 1), "stream does not end here"


class RangeBits:
    """Spec 5.6 with the adaptive bits of 5.4."""

    def __init__(self, payload):
        self.data, self.at, self.range, self.contexts = payload, 8, 2**64 - 1, {}
        self.offset = int.from_bytes(payload[:8].ljust(8, b"\0"), "big")

    def bit(self, key):
        fast, slow = self.contexts.get(key, (32768, 32768))
        zero = (fast + slow) >> 1
        unit = self.range >> 16
        bit = int(min(self.offset // unit, 65535) >= zero)
        start, width = (zero, 65536 - zero) if bit else (0, zero)
        self.offset, self.range = (self.offset - unit * start) % 2**64, unit * width
        if self.range < 1 << 32:
            self.offset = (self.offset << 32 | int.from_bytes(self.data[self.at : self.at + 4].ljust(4, b"\0"), "big")) % 2**64
            self.at += 4
            self.range <<= 32
        if bit:
            fast, slow = fast - ((fast - 32) >> 4), slow - ((slow - 32) >> 7)
        else:
            fast, slow = fast + ((65504 - fast) >> 4), slow + ((65504 - slow) >> 7)
        self.contexts[key] = (fast, slow)
        return bit


def alpha_plane(payload, width, height):
    """Spec 8.6."""
    coder = RangeBits(payload)
    p = np.zeros((height + 2, width + 2), int)  # P(r, c) stands at [r + 2, c + 1]
    d = lambda a, b: 0 if a == b else 1 if abs(a - b) < 16 else 2
    for r in range(2, height + 2):
        p[r, 0] = p[r - 1, 1]
        for c in range(1, width + 1):
            w, n, nw, ne = (int(v) for v in (p[r, c - 1], p[r - 1, c], p[r - 1, c - 1], p[r - 1, c + 1]))
            lo, hi = min(w, n), max(w, n)
            prediction = lo if nw >= hi else hi if nw <= lo else w + n - nw
            if coder.bit(("hit", 27 * d(w, nw) + 9 * d(n, nw) + 3 * d(n, ne) + d(prediction, w))):
                node = 1
                for _ in range(8):
                    node = 2 * node + coder.bit((prediction + 8) // 16 * 256 + node)
                p[r, c] = node - 256
            else:
                p[r, c] = prediction
        p[r, width + 1] = p[r, width]
    return p[2:, 1:-1].astype(np.uint8)


def decode(data, model):
    """-> (samples uint8 [height, width, 1 or 3], alpha [height, width] or None)."""
    track, payload = container(data)
    t = Bytes(track)
    assert t.take(1) == b"\0" and t.varint() == 1, "not an image of codec 1"
    t.varint()
    width, height = t.varint(), t.varint()
    flags, quality = t.take(2)
    p, alpha = Bytes(payload), None
    if flags & 16:
        alpha = alpha_plane(p.take(p.varint()), width, height)
    rans = RANS(p.rest())
    hyper, latent = Tables(model["hyper.tables"]), Tables(model["latent.tables"])
    h, w = (height + 15) // 16, (width + 15) // 16
    scales = model["hyper.scale"][quality].tolist()
    hz, wz = (h + 3) // 4, (w + 3) // 4
    z = np.array([[[rans.value(hyper, s) for s in scales] for _ in range(wz)] for _ in range(hz)])

    def symbols(k, mean, index, mask):
        r = torch.zeros_like(mean)
        size = mean.shape[0] // 4
        for parity in range(4):
            g = parity ^ integer.PASS_MASKS[k]
            for y in range(parity >> 1, h, 2):
                for x in range(parity & 1, w, 2):
                    for c in range(g * size, (g + 1) * size):
                        r[c, y, x] = rans.value(latent, int(index[c, y, x]))
        return r

    rgb = integer.decode(model, torch.from_numpy(z).permute(2, 0, 1), symbols, quality, h, w)[:height, :width].numpy()
    rans.end()
    if flags & 15 == 0:
        rgb = ((rgb.astype(int).sum(2) + 1) // 3).astype(np.uint8)[..., None]
    return rgb, alpha


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("files", nargs="+")
    ap.add_argument("--weights", default="../../Sources/CModels/Weights/hyperprior-1.ncw")
    args = ap.parse_args()
    model = read(args.weights)
    for name in args.files:
        samples, alpha = decode(open(name, "rb").read(), model)
        crc = zlib.crc32(samples.tobytes() + (b"" if alpha is None else alpha.tobytes()))
        print(f"{name}: {samples.shape[1]}x{samples.shape[0]}, CRC-32 of samples {crc:08x}", flush=True)


if __name__ == "__main__":
    main()
