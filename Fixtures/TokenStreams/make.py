"""Makes the conformance streams of codec 6 and what they decode to, with the nccodec of its release:

    python3 Fixtures/TokenStreams/make.py .build/release/nccodec

Of model 1's release. Later encoders may write other files, and these still have to decode to the same tokens, and to the same samples within the
tolerance of bitstream-spec 12. The manifest has lines of `name rate channels frames md5`, the MD5 being of the tokens, 16 bits each, low byte first,
[channel][level][frame]; NAME.f32 are every eighth of the samples, channel by channel. Needs NumPy. The sounds are ours, CC0 1.0.
"""

import hashlib
import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "AudioStreams"))
import make as sounds  # noqa: E402

# Frames of tokens a second, levels, seconds of a group, Hz, samples, channels.
STREAMS = [
    (75, 8, 10, 24000, 12000, 1),
    (40, 1, 10, 24000, 24001, 1),
    (40, 3, 0.5, 44100, 30000, 2),
    (75, 5, 10, 24000, 1, 1),
]


def floats(path):
    data = path.read_bytes()
    at = 12
    while data[at:at + 4] != b"data":
        at += 8 + struct.unpack("<I", data[at + 4:at + 8])[0]
    return np.frombuffer(data, "<f4", offset=at + 8)


def array(path):
    return np.load(path)


def main(nccodec):
    lines = ["# name, Hz as coded, channels, samples as coded, MD5 of tokens"]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)

        def run(*arguments):
            subprocess.run([nccodec, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)

        for seed, (rate, levels, group, hertz, frames, channels) in enumerate(STREAMS):
            stream = HERE / f"{rate}x{levels}-group{group}-{hertz}-{frames}-{channels}channels.ncb"
            wav, out, tokens = folder / "in.wav", folder / "out.wav", folder / "tokens.npy"
            sounds.write(wav, hertz, sounds.sound(hertz, frames, channels, seed))
            run("encode", "--force", "--codec", "tokens", "--tokens-rate", rate, "--tokens-levels", levels, "--group", group, wav, stream)
            run("decode", "--force", stream, tokens)
            found = array(tokens)
            # At the rate at which it is coded: as tokens, cut to the length that the file says.
            run("decode", "--force", "--tokens-rate", rate, "--sample-format", "float", tokens, out)
            samples = floats(out).reshape(-1, channels).T
            coded = -(-frames * 24000 // hertz)
            samples[:, :coded:8].astype("<f4").tofile(stream.with_suffix(".f32"))
            digest = hashlib.md5(found.astype("<u2").tobytes()).hexdigest()
            lines.append(f"{stream.name} 24000 {channels} {coded} {digest}")
    (HERE / "manifest.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
