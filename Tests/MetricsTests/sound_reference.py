#!/usr/bin/env python3
"""Prints the reference values of SoundTests, by the measures of Benchmarks/audio.sh (numpy and its FFT).

    pip install --target /tmp/ref numpy scipy
    PYTHONPATH=/tmp/ref python3 Tests/MetricsTests/sound_reference.py
"""
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "Benchmarks"))
from audio_measures import log_spectral_distance, resampled, si_sdr  # noqa: E402


def noise(count, seed):
    """The tests' generator: a 32-bit LCG (Numerical Recipes), top byte, -128...127."""
    state, out = seed, []
    for _ in range(count):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out.append((state >> 24) - 128)
    return np.array(out, dtype=np.float64)


def tone(count, period):
    return np.sin(2 * np.pi * np.arange(count) / period).astype(np.float32).astype(np.float64)


def report(name, a, b):
    """[channel][frame]"""
    a, b = np.atleast_2d(a), np.atleast_2d(b)
    lsd = np.mean([log_spectral_distance(p, q) for p, q in zip(a, b)])
    print(f"{name}: SI-SDR {si_sdr(a, b):.9f}  LSD {lsd:.9f}")


a, n = tone(9000, 55) / 2, noise(9000, 1) / 256
report("a tone with noise / 16", a, a + n / 16)
report("noise, quantised to 16 levels", n, np.floor(noise(9000, 1) / 16) / 16)
report("half as loud, with an offset", a + n / 4, (a + n / 4) / 2 + 0.125 + noise(9000, 2) / 4096)
report("two channels", [a, n], [a + n / 32, n + noise(9000, 3) / 1024])
report("shorter than a window", n[:300], n[:300] + noise(300, 4) / 2048)
report("one frame less than a hop", n[:511], np.round(n[:511] * 8) / 8)
report("silence for a tone", a, 0 * a + n / 2**20)

for rate, wanted in [(24000, 48000), (24000, 16000), (44100, 48000), (8000, 48000)]:
    out = resampled(n[:1000], rate, wanted)
    print(rate, wanted, len(out), [round(float(out[i * len(out) // 7]), 7) for i in range(7)])
