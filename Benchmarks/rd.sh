#!/bin/sh
# Rate-distortion of the image codec on Kodak beside JPEG and WebP in the same run:
#   Benchmarks/rd.sh [FOLDER] [--quick] [--json FILE] [--strict] [--qualities 0,10,...]
# FOLDER holds kodim01.png ... kodim24.png (default ../shared/data/kodak). --quick takes four hard pictures and fewer
# settings; --strict exits with 1 where a target is missed.
# NC_VENV names a Python environment with numpy and pillow; without it, one is made in the user's cache.
# NC_BUILD names the SwiftPM scratch folder (default .build).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
venv=${NC_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/neural-codecs/venv}
if ! "$venv/bin/python" -c "import numpy, PIL" 2>/dev/null; then
  [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet numpy pillow
fi
build=${NC_BUILD:-$root/.build}
swift build --package-path "$root" --scratch-path "$build" -c release --product codecbench >&2
case "${1:-}" in
"" | --*) set -- "$root/../shared/data/kodak" "$@" ;;
esac
exec "$venv/bin/python" "$root/Benchmarks/rd.py" "$build/release/codecbench" "$@"
