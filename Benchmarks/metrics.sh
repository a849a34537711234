#!/bin/bash
# Benchmarks/metrics.sh [--pairs 20] [--seed 1]: our measures against the libraries that they are said to equal.
#   SSIM and MS-SSIM against pytorch-msssim, PSNR against numpy, on random pairs of pictures: within 1e-4 (dB: 1e-6);
#   BD-rate and BD-PSNR against bjontegaard (PCHIP), on random pairs of curves: within 0.05 points and dB.
# Prints the largest differences; exits non-zero where one is too large.
# NC_VENV names a Python environment with torch, pillow, pytorch-msssim and bjontegaard; without it, one is made in the
# user's cache. NC_BUILD names the SwiftPM scratch folder (default .build).
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
venv=${NC_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/neural-codecs/venv-metrics}
if ! "$venv/bin/python" -c "import pytorch_msssim, bjontegaard, PIL" 2>/dev/null; then
  [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet numpy pillow scipy matplotlib torch pytorch-msssim==1.0.0 bjontegaard==1.3.0 >&2
fi
build=${NC_BUILD:-$root/.build}
for product in nccodec codecbench; do
  swift build --package-path "$root" --scratch-path "$build" -c release --product $product >&2
done
exec "$venv/bin/python" "$root/Benchmarks/metrics.py" "$build/release" "$@"
