"""Times PyTorch's CPU convolutions beside ours in alternating rounds and prints ratios; run by kernels.sh.

usage: kernels.py KERNELBENCH [--threads 2] [--rounds 25] [--strict]

The fastest run of all rounds counts on both sides. PyTorch gets the better of its two memory layouts. Thresholds are
ratios: ours at least as fast as PyTorch (3x3 at least 0.8 of it), fixed point at least 1.5 times our float.
--strict turns a missed threshold into exit code 1.
"""

import argparse
import datetime
import platform
import subprocess
import sys
import time

import torch


def pytorch_cases():
    """Name -> callables, one per layout; inputs [1, C, H, W]."""
    shapes = {
        "conv1x1": (192, 192, 1, 1, 64, 96),
        "depthwise": (192, 192, 3, 192, 64, 96),
        "conv3x3": (64, 64, 3, 1, 128, 128),
    }
    cases = {}
    for name, (inputs, outputs, side, groups, height, width) in shapes.items():
        cases[name] = []
        for layout in (torch.contiguous_format, torch.channels_last):
            conv = torch.nn.Conv2d(inputs, outputs, side, padding=side // 2, groups=groups).to(memory_format=layout)
            x = torch.randn(1, inputs, height, width).to(memory_format=layout)
            cases[name].append(lambda conv=conv, x=x: conv(x))
    return cases


def fastest(call, seconds=0.05):
    best, end, runs = float("inf"), time.perf_counter() + seconds, 0
    while runs < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
        runs += 1
    return best * 1e9


def cpu_name():
    with open("/proc/cpuinfo") as info:
        for line in info:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown CPU"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kernelbench")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--strict", action="store_true")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    theirs = {}
    ours = {}
    level = "?"
    cases = pytorch_cases()
    with torch.inference_mode():
        for _ in range(options.rounds):
            for name, layouts in cases.items():
                for index, call in enumerate(layouts):
                    key = (name, ("NCHW", "channels_last")[index])
                    theirs[key] = min(theirs.get(key, float("inf")), fastest(call))
            printed = subprocess.run(
                [options.kernelbench, str(options.threads)], check=True, capture_output=True, text=True).stdout
            for line in printed.splitlines():
                key, value = line.split()
                if key == "level":
                    level = value
                else:
                    ours[key] = min(ours.get(key, float("inf")), float(value))

    print(f"{cpu_name()}, {options.threads} threads, level {level}, PyTorch {torch.__version__}, "
          f"{datetime.date.today().isoformat()}, fastest of {options.rounds} alternating rounds")
    print(f"{'kernel':<28}{'PyTorch us':>12}{'layout':>15}{'float us':>10}{'fixed us':>10}"
          f"{'PyTorch/float':>15}{'float/fixed':>13}")
    sizes = {"conv1x1": "192-192 64x96", "depthwise": "192 64x96", "conv3x3": "64-64 128x128"}
    missed = []
    for name in cases:
        peer, layout = min((theirs[name, l], l) for l in ("NCHW", "channels_last"))
        real, fixed = ours[f"{name}.float"], ours[f"{name}.fixed"]
        print(f"{name + ' ' + sizes[name]:<28}{peer / 1e3:>12.0f}{layout:>15}{real / 1e3:>10.0f}{fixed / 1e3:>10.0f}"
              f"{peer / real:>15.2f}{real / fixed:>13.2f}")
        wanted = 0.8 if name == "conv3x3" else 1.0
        if peer / real < wanted:
            missed.append(f"{name}: {peer / real:.2f} of PyTorch's speed, wanted {wanted}")
        if real / fixed < 1.5:
            missed.append(f"{name}: fixed point {real / fixed:.2f} times the float, wanted 1.5")
    print(f"1x1 pair 192-384-192: float {ours['pair.float'] / 1e3:.0f} us, fixed {ours['pair.fixed'] / 1e3:.0f} us")
    for line in missed:
        print("MISSED", line)
    if options.strict and missed:
        sys.exit(1)


if __name__ == "__main__":
    main()
