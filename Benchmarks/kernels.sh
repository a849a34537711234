#!/bin/sh
# Our kernels beside PyTorch's, on two threads: Benchmarks/kernels.sh [--threads N] [--rounds N] [--strict]
# NC_VENV names a Python environment with torch; without it, one is made in the user's cache.
# NC_BUILD names the SwiftPM scratch folder (default .build).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
venv=${NC_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/neural-codecs/venv}
if ! "$venv/bin/python" -c "import torch" 2>/dev/null; then
  [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet numpy torch
fi
build=${NC_BUILD:-$root/.build}
swift build --package-path "$root" --scratch-path "$build" -c release --product kernelbench >&2
exec "$venv/bin/python" "$root/Benchmarks/kernels.py" "$build/release/kernelbench" "$@"
