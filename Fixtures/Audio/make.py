"""Makes the sounds in this folder: python3 make.py (needs the ffmpeg program for all but PCM).

Each channel is a sweep of its own, so that swapped channels, shifts and lost samples show: see `sample`, which
Tests/MediaIOTests/AudioSample.swift repeats.
"""

import math
import os
import struct
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
# No multiple of any codec's frame, nor of a millisecond.
FRAMES = 11_047


def sample(rate, channel, n):
    t = n / rate
    return 0.4 * math.sin(2 * math.pi * (200 + 150 * channel) * t * (1 + t))


def wave(name, rate, channels, frames, *, bits=16, floats=False, mask=None, data=None, claim=None):
    """data: of every frame, instead of the sweeps. claim: the data's length as the header says it."""
    if data is None:
        data = [[sample(rate, c, n) for c in range(channels)] for n in range(frames)]
    size = bits // 8
    if floats:
        body = b"".join(struct.pack("<f", x) for frame in data for x in frame)
    elif bits == 8:
        body = bytes(round(x * 128) + 128 for frame in data for x in frame)
    else:
        body = b"".join(round(x * (1 << bits - 1)).to_bytes(size, "little", signed=True) for frame in data for x in frame)
    tag = 3 if floats else 1
    form = struct.pack("<HHIIHH", tag if mask is None else 0xFFFE, channels, rate, rate * channels * size, channels * size, bits)
    if mask is not None:
        form += struct.pack("<HHIH", 22, bits, mask, tag) + bytes.fromhex("000000001000800000aa00389b71")
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(body) if claim is None else claim) + body
    with open(os.path.join(HERE, name), "wb") as file:
        file.write(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments], check=True, cwd=HERE)


wave("stereo.wav", 44_100, 2, FRAMES)
wave("mono-8000.wav", 8_000, 1, 2_011)
wave("mono-u8.wav", 22_050, 1, 999, bits=8)
wave("stereo-24.wav", 48_000, 2, 1_001, bits=24)
wave("stereo-float.wav", 44_100, 2, 1_001, bits=32, floats=True)
wave("71-48000.wav", 48_000, 8, 1_201, mask=0x63F)
wave("51-side.wav", 44_100, 6, 1_201, mask=0x60F)
wave("twelve.wav", 16_000, 12, 301)
wave("mono-192000.wav", 192_000, 1, 4_801)
wave("one.wav", 44_100, 1, 1)
wave("empty.wav", 44_100, 1, 0)
wave("silence.wav", 44_100, 1, 3_000, data=[[0.0]] * 3_000)
wave("nan.wav", 44_100, 1, 0, bits=32, floats=True, data=[[0.1]] * 70 + [[math.nan]] + [[0.1]] * 9)
wave("infinite.wav", 44_100, 2, 0, bits=32, floats=True, data=[[0.1, 0.1]] * 7 + [[0.1, -math.inf]])
wave("loud.wav", 44_100, 1, 0, bits=32, floats=True, data=[[1.5], [-2.0], [0.5], [1.0], [-1.0]])
wave("truncated.wav", 44_100, 1, 500, claim=2_000)
wave("piped.wav", 44_100, 1, 500, claim=0xFFFF_FFFF)

tags = ["-metadata", "title=A sweep", "-metadata", "artist=make.py", "-map_metadata", "-1"]
for name, codec in [
    ("stereo.flac", "flac"), ("stereo.mp3", "libmp3lame"), ("stereo.opus", "libopus"), ("stereo.ogg", "libvorbis"),
    ("stereo.m4a", "aac"), ("stereo-alac.m4a", "alac"), ("stereo.aiff", "pcm_s16be"), ("stereo.wv", "wavpack"),
]:
    ffmpeg("-bitexact", "-i", "stereo.wav", *tags, "-c:a", codec, name)
ffmpeg("-bitexact", "-i", "71-48000.wav", "-c:a", "flac", "71.flac")
with open(os.path.join(HERE, "stereo.flac"), "rb") as whole, open(os.path.join(HERE, "truncated.flac"), "wb") as part:
    part.write(whole.read()[:-2_000])
grey = ["-f", "lavfi", "-i", "color=gray:size=16x16:rate=5:duration=0.3"]
ffmpeg("-bitexact", *grey, "-i", "stereo.wav", "-c:v", "mpeg4", "-c:a", "aac", "film.mp4")
ffmpeg("-bitexact", *grey, "-c:v", "mpeg4", "silent-film.mp4")
ffmpeg("-bitexact", "-i", "stereo.wav", "-i", "mono-8000.wav", "-map", "0", "-map", "1", "-c:a", "pcm_s16le", "two-tracks.mka")
ffmpeg("-bitexact", "-i", "stereo.wav", *grey, "-map", "0", "-map", "1", "-frames:v", "1", "-c:a", "libmp3lame", "-c:v", "png",
       "-disposition:v", "attached_pic", "cover.mp3")
