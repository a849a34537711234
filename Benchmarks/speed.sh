#!/bin/sh
# Time and memory of whole commands of nccodec beside CompressAI's mbt2018-mean, in the same run:
#   Benchmarks/speed.sh [FOLDER] [--picture kodim05] [--runs N] [--no-peer] [--no-large] [--json FILE] [--strict]
# FOLDER holds Kodak's pictures (default ../shared/data/kodak). --strict exits with 1 where the ratio to the peer or the
# memory misses its target; times alone do not fail, as they are this machine's.
# NC_VENV names a Python environment with numpy, pillow, torch and compressai; without it, one is made in the user's
# cache. NC_BUILD names the SwiftPM scratch folder (default .build).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
venv=${NC_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/neural-codecs/venv}
python=$venv/bin/python
[ -x "$python" ] || python3 -m venv "$venv"
case " $* " in
*" --no-peer "*) wanted="numpy pillow" ;;
*)
  wanted="numpy pillow compressai"
  "$python" -c "import torch" 2>/dev/null || "$venv/bin/pip" install --quiet torch torchvision
  ;;
esac
for package in $wanted; do
  "$python" -c "import importlib.util as u, sys; sys.exit(u.find_spec(sys.argv[1]) is None)" \
    "$(echo "$package" | sed 's/pillow/PIL/')" || "$venv/bin/pip" install --quiet "$package"
done
build=${NC_BUILD:-$root/.build}
swift build --package-path "$root" --scratch-path "$build" -c release --product nccodec >&2
swift build --package-path "$root" --scratch-path "$build" -c release --product codecbench >&2
case "${1:-}" in
"" | --*) set -- "$root/../shared/data/kodak" "$@" ;;
esac
exec "$python" "$root/Benchmarks/speed.py" run "$build/release" "$@"
