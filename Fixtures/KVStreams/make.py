#!/usr/bin/env python3
"""Makes the conformance streams of codec 3 and their manifest with the nccodec that stands in .build/release.

Released streams are never made again: later versions add streams, and must decode these to the same elements. Only streams
that are not in the manifest yet are made. Python's standard library is enough. The inputs are the files of ../KV, and caches
from a formula; all are ours, CC0 1.0.

    python3 Fixtures/KVStreams/make.py
"""
import json
import math
import pathlib
import struct
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CACHES = HERE.parent / "KV"
NCCODEC = HERE.parents[1] / ".build/release/nccodec"


def made(path, element, layers=2, heads=2, tokens=300, channels=32, first=None):
    """A safetensors file of keys and values: the first layer's channels differ in scale, the second's do not; some numbers
    are not finite. With a first position the file holds the numbers of its tokens too."""
    state = 1

    def uniform():
        nonlocal state
        state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        return (state >> 40) / (1 << 24)

    def element_bytes(x):
        if element == "F16":
            return struct.pack("<e", x)
        bits = struct.pack("<f", x)
        return bits[2:] if element == "BF16" else bits

    tensors = {}
    for name in "kv":
        data = bytearray()
        for l in range(layers):
            for h in range(heads):
                for t in range(tokens):
                    for c in range(channels):
                        spread = 2 ** ((c * 7 % 11) / 2 - 3) if l == 0 else 1
                        x = spread * (sum(uniform() for _ in range(4)) - 2) * 2 + (c % 3) * spread
                        data += element_bytes(math.inf if (l, h, t, c) == (1, 0, 9, 3) else -math.nan if t + c == 90 else x)
        tensors[name] = bytes(data)
    shapes = {"k": (element, [layers, heads, tokens, channels]), "v": (element, [layers, heads, tokens, channels])}
    if first is not None:
        tensors["tokens"] = struct.pack(f"<{tokens}i", *range(first, first + tokens))
        shapes["tokens"] = ("I32", [tokens])
    header, offset = {}, 0
    for name, data in tensors.items():
        header[name] = {"dtype": shapes[name][0], "shape": shapes[name][1], "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    header["__metadata__"] = {"rope_layout": "halves", "rope_base": "500000.0", "model": "made up"}
    if first:
        header["__metadata__"]["first_position"] = str(first)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(tensors.values()))


# Of F16, learned from itself; made when it is missing.
PROFILE = HERE / "small.ncprofile"

STREAMS = {
    "static-f16-q30": ("F16", ["--quality", "30"]),
    "static-f16-q100-chunk7": ("both.safetensors", ["--quality", "100", "--chunk", "7"]),
    "static-bf16-q60": ("BF16", ["--quality", "60"]),
    "static-f32-q100": ("F32", ["--quality", "100"]),
    "static-window-q50": ("window.ggsq", ["--quality", "50"]),
    "static-latent-q0": ("latent.ggsq", ["--quality", "0"]),
    "static-huggingface-q80": ("huggingface.safetensors", ["--quality", "80"]),
    "static-chunk64-q20": ("F16", ["--quality", "20", "--chunk", "64"]),
    "lossless-f16": ("F16", ["--lossless"]),
    "lossless-bf16": ("BF16", ["--lossless", "--chunk", "200"]),
    "lossless-f32": ("f32.ggsq", ["--lossless"]),
    "lossless-vllm": ("vllm.safetensors", ["--lossless"]),
    "levels-f16-q70-q40-q20": ("F16", ["--levels", "70,40,20", "--chunk", "128"]),
    "levels-window-q90-q10": ("window.ggsq", ["--levels", "10,90", "--chunk", "2"]),
    "appended-bf16-q45": ("BF16+", ["--quality", "45", "--chunk", "64"]),
    "appended-levels-f16-q60-q30": ("F16+", ["--levels", "60,30", "--chunk", "100"]),
    "appended-lossless-f16": ("F16+", ["--lossless"]),
    "cachegen-f16-paper2": ("F16", ["--codec", "cachegen", "--level", "2"]),
    "cachegen-bf16-paper3-chunk64": ("BF16", ["--codec", "cachegen", "--level", "3", "--chunk", "64"]),
    "cachegen-window-paper1": ("window.ggsq", ["--codec", "cachegen", "--level", "1"]),
    "cachegen-f32-released3": ("F32", ["--codec", "cachegen", "--level", "3", "--variant", "released"]),
    "cachegen-f16-released1": ("F16", ["--codec", "cachegen", "--level", "1", "--variant", "released"]),
    "cachegen-latent-released2": ("latent.ggsq", ["--codec", "cachegen", "--variant", "released"]),
    "adaptive-f16-q30": ("F16x4", ["--effort", "5", "--quality", "30", "--chunk", "64"]),
    "adaptive-bf16-q80-segment128": ("BF16", ["--effort", "5", "--quality", "80", "--chunk", "64", "--segment", "128"]),
    "adaptive-window-q50": ("window.ggsq", ["--effort", "5", "--quality", "50"]),
    "adaptive-latent-q60": ("latent.ggsq", ["--effort", "5", "--quality", "60"]),
    "adaptive-f32-q100": ("F32", ["--effort", "5", "--quality", "100"]),
    "adaptive-levels-f16-q50-q10": ("F16", ["--effort", "5", "--levels", "50,10", "--chunk", "100"]),
    "appended-adaptive-f16-q20": ("F16+", ["--effort", "5", "--quality", "20"]),
    "profile-f16-q30": ("F16", ["--effort", "9", "--profile", PROFILE, "--quality", "30", "--chunk", "100"]),
    "profile-bf16-q90": ("BF16", ["--effort", "9", "--profile", PROFILE, "--quality", "90"]),
}

# Tokens of the files that are encoded and then appended, for a "+" behind the element.
PIECES = [150, 1, 99]


def main():
    manifest = HERE / "manifest.txt"
    lines = manifest.read_text().splitlines() if manifest.exists() else ["# name layers tokens crc (of the elements, of each level)"]
    done = {line.split(".ncb")[0] for line in lines}
    with tempfile.TemporaryDirectory() as work:
        for name, (source, options) in STREAMS.items():
            if name in done:
                continue
            picture = CACHES / source
            if source in ("F16", "BF16", "F32", "F16x4"):
                picture = pathlib.Path(work) / "in.safetensors"
                made(picture, source.split("x")[0], **{"F32": {"tokens": 40}, "F16x4": {"tokens": 200, "layers": 4}}.get(source, {}))
            if PROFILE in options and not PROFILE.exists():
                subprocess.run([NCCODEC, "kv", "calibrate", "--quiet", "--state", "16", "--out", PROFILE, picture], check=True)
            stream = HERE / f"{name}.ncb"
            first = 0
            for tokens in PIECES if source.endswith("+") else [None]:
                if tokens:
                    picture = pathlib.Path(work) / "in.safetensors"
                    made(picture, source[:-1], tokens=tokens, first=first)
                    options, first = ["--append"] if first else options, first + tokens
                subprocess.run([NCCODEC, "encode", picture, stream, "--force", "--quiet", *options], check=True)
            info = json.loads(subprocess.run([NCCODEC, "info", "--json", stream], check=True, capture_output=True).stdout)["cache"]
            profile = ["--profile", PROFILE] if PROFILE in options else []
            words = subprocess.run([NCCODEC, "verify", *profile, stream], check=True, capture_output=True, text=True).stdout.split()
            crcs = " ".join(words[-len(info["levels"]):])
            lines.append(f"{name}.ncb {info['layers']} {info['tokens']} {crcs}")
    manifest.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
