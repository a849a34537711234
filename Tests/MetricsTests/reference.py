#!/usr/bin/env python3
"""Prints the reference values of MetricsTests.

    pip install --target /tmp/ref torch pillow pytorch-msssim==1.0.0 bjontegaard==1.3.0 scipy matplotlib
    PYTHONPATH=/tmp/ref python3 Tests/MetricsTests/reference.py
"""
import pathlib

import bjontegaard as bd
import numpy as np
import torch
from PIL import Image
from pytorch_msssim import ms_ssim, ssim

IMAGES = pathlib.Path(__file__).resolve().parents[2] / "Fixtures" / "Images"


def noise(n, seed):
    """The tests' generator: a 32-bit LCG (Numerical Recipes), top byte."""
    state, out = seed, []
    for _ in range(n):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out.append(state >> 24)
    return np.array(out, dtype=np.int64)


def psnr(mse):
    return 10 * np.log10(255 ** 2 / mse) if mse else float("inf")


def psnr_yuv(a, b):
    """6:1:1 of BT.709's planes, full range; of grey its PSNR."""
    if a.shape[2] == 1:
        return psnr(np.mean((a - b) ** 2.0))

    def planes(v):
        y = v @ [0.2126, 0.7152, 0.0722]
        return y, (v[..., 2] - y) / 1.8556, (v[..., 0] - y) / 1.5748
    y, u, v = (psnr(np.mean((p - q) ** 2)) for p, q in zip(planes(a), planes(b)))
    return (6 * y + u + v) / 8


def report(name, a, b):
    """a, b: int arrays [H, W, C], 0...255."""
    tensor = lambda v: torch.from_numpy(v).float().permute(2, 0, 1)[None]
    value = ms_ssim(tensor(a), tensor(b), data_range=255).item() if min(a.shape[:2]) > 160 else float("nan")
    mse = np.mean((a - b) ** 2.0)
    print(f"{name}: ms_ssim {value:.7f}  ssim {ssim(tensor(a), tensor(b), data_range=255).item():.7f}",
          f" psnr {psnr(mse):.9f}  yuv {psnr_yuv(a, b):.9f}  per channel",
          [round(float(psnr(np.mean((a[..., c] - b[..., c]) ** 2.0))), 6) for c in range(a.shape[2])])


photo = np.array(Image.open(IMAGES / "photo.png").convert("RGB")).astype(np.int64)
report("photo, 16 levels", photo, photo // 16 * 16 + 8)
report("photo, strong noise", photo, np.clip(photo + noise(photo.size, 1).reshape(photo.shape) - 128, 0, 255))
odd = photo[:173, :197]
report("197x173, noise / 8", odd, np.clip(odd + noise(odd.size, 2).reshape(odd.shape) // 8 - 16, 0, 255))
small = photo[40:51, 30:50]
report("20x11, noise / 8", small, np.clip(small + noise(small.size, 3).reshape(small.shape) // 8 - 16, 0, 255))
grey = photo[:, :, 1:2]
report("green as grey, inverted", grey, 255 - grey)
report("green as grey, 3x gain", grey, np.clip(3 * grey - 200, 0, 255))

CURVES = {
    "a": ([0.12, 0.25, 0.48, 0.91], [28.1, 30.6, 33.2, 36.4]),
    "b": ([0.10, 0.22, 0.44, 0.80], [28.3, 31.0, 33.9, 36.9]),
    "c": ([0.05, 0.11, 0.30, 0.55, 1.4], [25.0, 28.6, 31.1, 33.4, 39.0]),
    "two": ([0.2, 0.7], [30.0, 35.5]),
}
for one, other in [("a", "b"), ("b", "a"), ("a", "c"), ("c", "b"), ("a", "two")]:
    options = dict(method="pchip", require_matching_points=False, min_overlap=0)
    (ra, qa), (rb, qb) = CURVES[one], CURVES[other]
    print(one, other, f"bd_rate {bd.bd_rate(ra, qa, rb, qb, **options):.9f}",
          f"bd_psnr {bd.bd_psnr(ra, qa, rb, qb, **options):.9f}")
