"""Benchmarks/metrics.sh: makes random pairs, measures them with `nccodec bench compare`, `codecbench bd` and the libraries."""
import argparse
import io
import json
import pathlib
import subprocess
import tempfile

import bjontegaard
import numpy as np
import torch
from PIL import Image, ImageFilter
from pytorch_msssim import ms_ssim, ssim

# Largest difference allowed: of indices, of dB, of percent.
LIMITS = {"ssim": 1e-4, "msssim": 1e-4, "psnr": 1e-6, "psnrYUV": 1e-6, "BD-rate": 0.05, "BD-PSNR": 0.05}


def picture(rng):
    """Octaves of noise with edges in it, any size that MS-SSIM is defined for."""
    width, height = (int(v) for v in rng.integers(161, 420, 2))
    total = np.zeros((height, width, 3))
    roughness = rng.uniform(0.1, 0.9)
    for octave in range(8):
        grid = rng.normal(size=(height // 2 ** octave + 2, width // 2 ** octave + 2, 3))
        planes = [Image.fromarray(grid[..., c].astype(np.float32)).resize((width, height), Image.BICUBIC) for c in range(3)]
        total += np.stack([np.asarray(p) for p in planes], -1) * 2 ** (octave * roughness)
    y, x = np.mgrid[:height, :width]
    for _ in range(int(rng.integers(0, 6))):
        cut = (x - rng.uniform(0, width)) * rng.normal() + (y - rng.uniform(0, height)) * rng.normal() > 0
        total += cut[..., None] * rng.normal(size=3) * total.std() * 2
    total = (total - total.min()) / (total.max() - total.min()) * rng.uniform(100, 255)
    return Image.fromarray(total.astype(np.uint8))


def distorted(image, kind, rng):
    if kind == "blur":
        return image.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 5)))
    if kind == "noise":
        v = np.asarray(image) + rng.normal(size=np.asarray(image).shape) * rng.uniform(1, 90)
        return Image.fromarray(np.clip(np.rint(v), 0, 255).astype(np.uint8))
    if kind == "JPEG":
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(rng.integers(3, 96)), subsampling=int(rng.choice([0, 2])))
        return Image.open(file).convert("RGB")
    v = np.asarray(image).astype(float) * rng.uniform(0.5, 1.5, 3) + rng.uniform(-40, 40, 3)  # "colour"
    return Image.fromarray(np.clip(np.rint(v), 0, 255).astype(np.uint8))


def references(a, b):
    a, b = (np.asarray(v).astype(np.float64) for v in (a, b))
    one, other = (torch.from_numpy(v).float().permute(2, 0, 1)[None] for v in (a, b))
    psnr = lambda p, q: 10 * np.log10(255 ** 2 / np.mean((p - q) ** 2))

    def planes(v):
        y = v @ [0.2126, 0.7152, 0.0722]
        return y, (v[..., 2] - y) / 1.8556, (v[..., 0] - y) / 1.5748
    y, u, v = (psnr(p, q) for p, q in zip(planes(a), planes(b)))
    return {"ssim": ssim(one, other, data_range=255).item(), "msssim": ms_ssim(one, other, data_range=255).item(),
            "psnr": psnr(a, b), "psnrYUV": (6 * y + u + v) / 8}


def curve(rng):
    """4 to 8 points, rates and qualities rising, not always concave."""
    n = int(rng.integers(4, 9))
    return (np.cumprod(np.append(rng.uniform(0.05, 0.2), rng.uniform(1.2, 2.2, n - 1))),
            np.cumsum(np.append(rng.uniform(24, 29), rng.uniform(0.3, 3.5, n - 1))))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bin", type=pathlib.Path)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    torch.set_num_threads(1)
    worst = {}

    def note(name, ours, theirs, what):
        difference = abs(ours - theirs)
        if not difference <= worst.get(name, (-1,))[0]:
            worst[name] = (difference, ours, theirs, what)

    kinds = ["blur", "noise", "JPEG", "colour"]
    with tempfile.TemporaryDirectory() as folder:
        for i in range(options.pairs):
            a = picture(rng)
            kind = kinds[i % len(kinds)]
            b = distorted(a, kind, rng)
            a.save(f"{folder}/a.png")
            b.save(f"{folder}/b.png")
            theirs = references(a, b)
            out = subprocess.run(
                [options.bin / "nccodec", "bench", "compare", "--json", "--measures", ",".join(theirs),
                 f"{folder}/a.png", f"{folder}/b.png"], check=True, capture_output=True).stdout
            ours = {name: entry["value"] for name, entry in json.loads(out).items()}
            what = f"{a.width}x{a.height}, {kind}"
            print(f"{i + 1:3} {what:16} " + "  ".join(f"{n} {ours[n]:.6f} ({ours[n] - theirs[n]:+.1e})" for n in theirs))
            for name in theirs:
                note(name, ours[name], theirs[name], what)
    for i in range(options.pairs):
        while True:
            (ra, qa), (rb, qb) = curve(rng), curve(rng)
            if all(min(p[-1], q[-1]) > max(p[0], q[0]) for p, q in ((np.log(ra), np.log(rb)), (qa, qb))):
                break  # they overlap, or there would be nothing to compare
        given = {"test": {"bpp": rb.tolist(), "psnr": qb.tolist()}, "anchors": {"a": {"bpp": ra.tolist(), "psnr": qa.tolist()}}}
        out = json.loads(subprocess.run(
            [options.bin / "codecbench", "bd"], input=json.dumps(given).encode(), check=True, capture_output=True).stdout)["a"]
        settings = dict(method="pchip", require_matching_points=False, min_overlap=0)
        note("BD-rate", out["percent"], bjontegaard.bd_rate(ra, qa, rb, qb, **settings), f"curves {i + 1}")
        note("BD-PSNR", out["decibels"], bjontegaard.bd_psnr(ra, qa, rb, qb, **settings), f"curves {i + 1}")

    print(f"\nlargest differences over {options.pairs} pairs:")
    missed = False
    for name, limit in LIMITS.items():
        difference, ours, theirs, what = worst[name]
        missed |= not difference <= limit
        print(f"  {name:8} {difference:.2e} (at most {limit:g}{'' if difference <= limit else ': MISSED'}): "
              f"{ours:.6f} against {theirs:.6f}, {what}")
    raise SystemExit(1 if missed else 0)


if __name__ == "__main__":
    main()
