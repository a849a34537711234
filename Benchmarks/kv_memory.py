#!/usr/bin/env python3
"""Memory that encoding and decoding caches take, of made ones of two sizes: it has to be the same for both.

"own": the most anonymous memory (RssAnon of /proc/PID/status, looked at every 5 ms) that a process had. Mapped files are no part of
it, as the kernel takes their pages back at will; "all" (VmHWM) has them. Each command runs under a limit of a quarter of the larger
cache for its writable private memory, thread stacks included (RLIMIT_DATA): it would fail if it needed more. Decoded files are
compared, byte by byte, where the options have --lossless.
"""
import argparse
import json
import os
import random
import resource
import struct
import subprocess
import tempfile
import time

LAYERS, HEADS, CHANNELS = 8, 4, 64


def make(path, megabytes):
    """A safetensors file of about so many bytes * 10^6: halves, nearly normal, which repeat after 65,536 * 61 of them."""
    tokens = megabytes * 10**6 // (2 * 2 * LAYERS * HEADS * CHANNELS)
    noise = random.Random(1)
    table = struct.pack("<65536e", *(noise.gauss(0, 1) for _ in range(65536)))
    plane = tokens * CHANNELS * 2
    size = LAYERS * HEADS * plane
    shape = [LAYERS, HEADS, tokens, CHANNELS]
    header = json.dumps({
        "__metadata__": {"axes": "layer,kv_head,token,head_dim", "rope_layout": "halves", "rope_base": "10000.0"},
        "k": {"dtype": "F16", "shape": shape, "data_offsets": [0, size]},
        "v": {"dtype": "F16", "shape": shape, "data_offsets": [size, 2 * size]},
    }).encode()
    header += b" " * (-(len(header) + 8) % 64)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for number in range(2 * LAYERS * HEADS):
            left, at = plane, 2 * noise.randrange(65536)
            while left:
                piece = table[at:at + left]
                file.write(piece)
                left, at = left - len(piece), 0
    return tokens


def run(command, limit):
    """Peak of own and of all memory in bytes, and seconds."""
    def limited():
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    start = time.monotonic()
    process = subprocess.Popen(command, preexec_fn=limited)
    own = whole = 0
    while process.poll() is None:
        try:
            with open(f"/proc/{process.pid}/status") as status:
                for line in status:
                    if line.startswith("RssAnon:"):
                        own = max(own, int(line.split()[1]) * 1024)
                    elif line.startswith("VmHWM:"):
                        whole = max(whole, int(line.split()[1]) * 1024)
        except (FileNotFoundError, ProcessLookupError):
            pass
        time.sleep(0.005)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode} under a limit of {limit} bytes")
    return own, whole, time.monotonic() - start


def same(a, b, tokens):
    """Whether both files end with the same arrays."""
    left = 2 * 2 * LAYERS * HEADS * CHANNELS * tokens
    with open(a, "rb") as a, open(b, "rb") as b:
        a.seek(-left, os.SEEK_END)
        b.seek(-left, os.SEEK_END)
        while left:
            piece = a.read(min(left, 1 << 22))
            if not piece or b.read(len(piece)) != piece:
                return False
            left -= len(piece)
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("megabytes", nargs="?", type=int, default=1024)
    parser.add_argument("--nccodec", required=True)
    parser.add_argument("--folder", help="for the files; default: a temporary one")
    options, encoding = parser.parse_known_args()
    profile = encoding[encoding.index("--profile"):][:2] if "--profile" in encoding else []
    limit = options.megabytes * 10**6 // 4
    print(f"limit: {limit / 1e6:.0f} MB; options: {' '.join(encoding) or 'none'}")
    print("| cache, MB | tokens | command | own, MB | all, MB | s |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = lambda name: os.path.join(folder, name)
        for megabytes in (options.megabytes // 4, options.megabytes):
            tokens = make(path("cache.safetensors"), megabytes)
            for name, command in [
                ("encode", ["encode", "--force", "--quiet", *encoding, path("cache.safetensors"), path("cache.ncb")]),
                ("decode to safetensors", ["decode", "--force", "--quiet", *profile, path("cache.ncb"), path("back.safetensors")]),
                ("decode to npy", ["decode", "--force", "--quiet", *profile, path("cache.ncb"), path("back.npy")]),
                ("verify", ["verify", "--quiet", *profile, path("cache.ncb")]),
            ]:
                own, whole, seconds = run([options.nccodec, *command], limit)
                print(f"| {megabytes} | {tokens} | {name} | {own / 1e6:.1f} | {whole / 1e6:.1f} | {seconds:.2f} |", flush=True)
            if "--lossless" in encoding:
                if not same(path("cache.safetensors"), path("back.safetensors"), tokens):
                    raise SystemExit("what came back differs")


main()
