"""Makes the WAV files that the conformance streams of codec 5 were encoded from, and says with which options.

    python3 make.py OUT     # then nccodec encode with the options in a stream's name; the manifest has the MD5 of decoded samples

Made once, of the codec's release: later encoders may write other files, and these still have to decode to the same samples.
Needs NumPy. The sounds are ours, CC0 1.0.
"""

import struct
import sys

import numpy as np


def sound(rate, frames, channels, seed):
    random = np.random.default_rng(seed)
    t = np.arange(frames) / rate
    made = []
    for c in range(channels):
        sweep = 0.3 * np.sin(2 * np.pi * (0.01 * rate * t + 0.01 * rate * t * t / (2 * frames / rate)) + c)
        noise = 0.05 * random.standard_normal(frames) * (np.sin(7 * t) > 0)
        clicks = np.where(np.arange(frames) % (rate // 3 + 11) < 12, 0.5 * random.standard_normal(frames), 0)
        made.append(sweep + noise + clicks + 0.1 * np.sin(2 * np.pi * 0.13 * rate * t))
    return np.clip(np.stack(made), -1, 1)


def write(path, rate, samples):
    data = np.round(samples.T * 32767).astype("<i2").tobytes()
    channels = len(samples)
    head = b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt "
    head += struct.pack("<IHHIIHH", 16, 1, channels, rate, 2 * rate * channels, 2 * channels, 16) + b"data"
    with open(path, "wb") as file:
        file.write(head + struct.pack("<I", len(data)) + data)


STREAMS = [
    ("kbps24-perceptual-24000-mono", 24000, 30000, 1),
    ("kbps48-mse-24000-mono", 24000, 30000, 1),
    ("kbps96-perceptual-48000-stereo", 48000, 60000, 2),
    ("quality20-perceptual-44100-stereo", 44100, 50000, 2),
    ("quality90-mse-16000-mono", 16000, 17000, 1),
    ("quality50-perceptual-8000-6channels", 8000, 9000, 6),
    ("quality50-perceptual-11025-1sample", 11025, 1, 1),
    ("quality100-mse-32000-3channels", 32000, 5000, 3),
    ("quality0-perceptual-22050-mono", 22050, 70000, 1),
]

if __name__ == "__main__":
    for seed, (name, rate, frames, channels) in enumerate(STREAMS):
        write(f"{sys.argv[1]}/{name}.wav", rate, sound(rate, frames, channels, seed))
