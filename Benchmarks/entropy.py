"""Runs entropybench and constriction's AnsCoder on the same kind of data and prints the ratios. See entropy.sh."""
import subprocess
import sys
import time

import constriction
import numpy as np

COUNT = 1_000_000


def best(work, runs=3):
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def constriction_ns(draw):
    """ns per symbol of AnsCoder's batch decode, one scale per symbol from the same 64 scales."""
    rng = np.random.default_rng(1)
    scales = 0.11 * (64 / 0.11) ** (draw(rng) / 63)
    values = np.rint(rng.normal(size=COUNT) * scales).astype(np.int32)
    means = np.zeros(COUNT)
    family = constriction.stream.model.QuantizedGaussian(-512, 512)
    coder = constriction.stream.stack.AnsCoder()
    encoding = best(lambda: (coder.clear(), coder.encode_reverse(values, family, means, scales)))
    compressed = coder.get_compressed()
    out = []

    def decode():
        out[:] = [constriction.stream.stack.AnsCoder(compressed).decode(family, means, scales)]

    decoding = best(decode)
    assert (out[0] == values).all()
    return encoding / COUNT * 1e9, decoding / COUNT * 1e9


ours = {}
for line in subprocess.run([sys.argv[1]], check=True, capture_output=True, text=True).stdout.splitlines():
    print(line)
    name, value = line[:44].strip(), line[44:].split()[0]
    ours[name] = float(value)

draws = {
    "all-scales": lambda rng: np.floor(rng.random(COUNT) * 64),
    "image-like": lambda rng: np.minimum(63, np.floor(rng.random(COUNT) ** 2.5 * 50)),
}
kept = True


def promise(name, value, threshold, unit="x"):
    global kept
    kept &= value >= threshold
    print(f"{name:60} {value:10.2f}{unit}  (at least {threshold}){'' if value >= threshold else '  BROKEN'}")


for name, draw in draws.items():
    encode, decode = constriction_ns(draw)
    print(f"{'constriction AnsCoder encode ' + name:44} {encode:10.4f} ns/symbol")
    print(f"{'constriction AnsCoder decode ' + name:44} {decode:10.4f} ns/symbol")
    promise(f"decode {name}: constriction / ours", decode / ours[f"rans gaussian decode {name} 4 lanes"], 10)
    promise(f"encode {name}: constriction / ours", encode / ours[f"rans gaussian encode {name}"], 2)
    promise(f"overhead {name} below 0.1 %", 0.1 / max(1e-9, ours[f"rans gaussian overhead {name}"]), 1)
if "block decode avx2" in ours:
    promise("block decode with AVX2, Msymbols/s", ours["block decode avx2"], 300, "")
promise("block decode: best SIMD / scalar", max(v for k, v in ours.items() if k.startswith("block decode")) / ours["block decode scalar"], 2)
sys.exit(0 if kept else 1)
