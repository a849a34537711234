"""Pitch of the training clips: what the decoder's pitch is trained towards.

    python pitch.py CLIPS      writes NAME.pitch beside each NAME.s16: 16 bits for every 240 samples (10 ms, the first at sample 120),
                               0 for no pitch, else 16 + 16 bins; bin b is LOWEST_PITCH * 2 ** (b / 60) Hz.

Autocorrelation of a Hann-windowed frame over that of the window (Boersma 1993), and the path of least cost through the bins
of all frames.
"""
import argparse
import pathlib

import numpy as np

from model import LOWEST_PITCH, PITCHES, RATE

HOP, FRAME, SIZE = 240, 1440, 4096
UNVOICED, OCTAVE, MOVE, SWITCH = 0.48, 0.02, 0.06, 0.12


def strengths(x):
    """x [samples] -> [frames, PITCHES]"""
    frames = max(1, len(x) // HOP)
    padded = np.pad(x.astype(np.float32), (FRAME // 2, FRAME))
    w = np.hanning(FRAME + 1)[:-1].astype(np.float32)
    correlate = lambda b: np.fft.irfft(np.abs(np.fft.rfft(b, SIZE)) ** 2)
    of_window = correlate(w)
    of_window /= of_window[0]
    lags = RATE / (LOWEST_PITCH * 2 ** (np.arange(PITCHES) / 60))
    low = np.floor(lags).astype(int)
    part = lags - low
    out = np.zeros((frames, PITCHES), np.float32)
    loudest = max(np.abs(x).max(initial=0), 1e-4)
    for first in range(0, frames, 512):
        at = np.arange(first, min(first + 512, frames)) * HOP + HOP // 2
        blocks = padded[at[:, None] + np.arange(FRAME)]
        blocks = (blocks - blocks.mean(1, keepdims=True)) * w
        r = correlate(blocks)
        r = r / (r[:, :1] + 1e-6 * loudest**2 * FRAME)
        r = r / of_window
        r = r[:, low] * (1 - part) + r[:, low + 1] * part
        out[first : first + 512] = r + OCTAVE * np.log2(np.arange(PITCHES) / 60 + 1)
    return out


def path(score):
    """[frames, PITCHES] -> [frames] of 0 or 1 + bin"""
    reach = 6
    total = np.concatenate([[UNVOICED], score[0]])
    back = np.zeros((len(score), PITCHES + 1), np.int16)
    steps = np.arange(-reach, reach + 1)
    index = np.clip(np.arange(PITCHES)[:, None] + steps, 0, PITCHES - 1)
    cost = MOVE * np.abs(steps) / 60 * 10
    rows = np.arange(PITCHES)
    for t in range(1, len(score)):
        near = total[1:][index] - cost
        best = near.argmax(1)
        stay = near[rows, best]
        start = total[0] - SWITCH
        voiced = np.maximum(stay, start)
        back[t, 1:] = np.where(stay >= start, index[rows, best] + 1, 0)
        last = total[1:].argmax()
        end = total[1 + last] - SWITCH
        back[t, 0] = 0 if total[0] >= end else 1 + last
        total = np.concatenate([[max(total[0], end) + UNVOICED], voiced + score[t]])
        total -= total.max()
    out = np.zeros(len(score), np.int16)
    out[-1] = total.argmax()
    for t in range(len(score) - 1, 0, -1):
        out[t - 1] = back[t, out[t]]
    return out


def refined(score, chosen):
    """Bins to 1/16, by the parabola through a bin and its neighbours"""
    t = np.arange(len(chosen))
    b = np.clip(chosen - 1, 1, PITCHES - 2)
    left, middle, right = score[t, b - 1], score[t, b], score[t, b + 1]
    bend = np.minimum(left - 2 * middle + right, -1e-6)
    shift = np.clip(0.5 * (left - right) / bend, -0.5, 0.5)
    return np.where(chosen > 0, 16 + np.round(16 * (b + shift)), 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=pathlib.Path)
    options = parser.parse_args()
    for f in sorted(options.clips.glob("*.s16")):
        x = np.fromfile(f, np.int16).astype(np.float32) / 32768
        score = strengths(x)
        refined(score, path(score)).astype(np.uint16).tofile(f.with_suffix(".pitch"))


if __name__ == "__main__":
    main()
