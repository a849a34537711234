#!/usr/bin/env python3
"""Prints the reference values of MeasureTests.

    pip install --target /tmp/ref numpy pillow
    PYTHONPATH=/tmp/ref python3 Tests/BenchmarkingTests/reference.py

The programs are those of Debian 12's libjxl-devtools 0.7.0-10+deb12u1.
"""
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Training" / "mpq"))
import integer  # noqa: E402


def noise(n, seed):
    """The tests' generator: a 32-bit LCG (Numerical Recipes), top byte."""
    state, out = seed, []
    for _ in range(n):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out.append(state >> 24)
    return np.array(out, dtype=np.uint8)


photo = np.array(Image.open(ROOT / "Fixtures" / "Images" / "photo.png").convert("RGB"))
with tempfile.TemporaryDirectory() as folder:
    Image.fromarray(photo).save(f"{folder}/a.png")
    Image.fromarray(photo // 16 * 16 + 8).save(f"{folder}/b.png")
    for tool in ["ssimulacra_main", "butteraugli_main"]:
        print(tool, subprocess.run([tool, "a.png", "b.png"], cwd=folder, capture_output=True, text=True).stdout.split())

network = integer.parsed((ROOT / "Sources" / "CModels" / "Weights" / "digits-1.bin").read_bytes())
digits = {"noise": noise(784, 1).reshape(28, 28), "white": np.full((28, 28), 255, np.uint8), "black": np.zeros((28, 28), np.uint8)}
bar = np.zeros((28, 28), np.uint8)
bar[4:24, 13:15] = 255
y, x = np.mgrid[:28, :28]
radius = (2 * y - 27) ** 2 + (2 * x - 27) ** 2
ring = np.where((radius > 100) & (radius < 260), 255, 0).astype(np.uint8)
digits |= {"bar": bar, "ring": ring}
for name, digit in digits.items():
    print(name, integer.predict(network, digit[None])[0], integer.scores(network, digit[None])[0].tolist())
