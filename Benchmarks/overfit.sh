#!/bin/sh
# The overfitted image codec:
#   Benchmarks/overfit.sh speed [FOLDER] [--presets lop,hop] [--iterations 10] [--picture kodim15] [--threads N]
#     an iteration of its fit beside one of Cool-chic 5.0's encoder: same picture, networks, machine, run
#   Benchmarks/overfit.sh decode [FOLDER] [--decoder-cost 1000] [--runs 9] [--pin] [--files FOLDER]
#     whole decoding commands on one thread
#   Benchmarks/overfit.sh rd [FOLDER] [--kodak 4,5,13] [--lambdas 1e-3,4e-3] [--effort 5] [--decoder-cost 2000]
#                            [--results FILE.jsonl] [--report] [--threads N]
#     rate and distortion, and BD-rate against Cool-chic 5.0's published points; goes on where it was stopped
# All: [--json FILE] [--strict]. FOLDER holds Kodak's pictures (default ../shared/data/kodak). --strict exits with 1
# where a target is missed.
# NC_VENV names a Python environment with numpy and pillow, for speed with torch and Cool-chic's other requirements;
# without it, one is made in the user's cache. NC_COOLCHIC names a checkout of Cool-chic; without it, commit a6fe38a is
# fetched into the cache. NC_BUILD names the SwiftPM scratch folder (default .build).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
part=${1:-}
case "$part" in
speed | decode | rd) shift ;;
*)
  echo "usage: overfit.sh speed|decode|rd [FOLDER] [options]" >&2
  exit 2
  ;;
esac
cache=${XDG_CACHE_HOME:-$HOME/.cache}/neural-codecs
venv=${NC_VENV:-$cache/venv}
python=$venv/bin/python
[ -x "$python" ] || python3 -m venv "$venv"
"$python" -c "import numpy, PIL" 2>/dev/null || "$venv/bin/pip" install --quiet numpy pillow
if [ "$part" = speed ]; then
  if [ -z "${NC_COOLCHIC:-}" ]; then
    NC_COOLCHIC=$cache/cool-chic-a6fe38a
    if [ ! -d "$NC_COOLCHIC" ]; then
      git clone --quiet https://github.com/Orange-OpenSource/Cool-Chic "$NC_COOLCHIC.part"
      git -C "$NC_COOLCHIC.part" checkout --quiet a6fe38a
      mv "$NC_COOLCHIC.part" "$NC_COOLCHIC"
    fi
    export NC_COOLCHIC
  fi
  "$python" -c "import torch, torchvision, einops, fvcore, configargparse, scipy" 2>/dev/null ||
    "$venv/bin/pip" install --quiet torch torchvision einops fvcore ConfigArgParse scipy matplotlib
fi
build=${NC_BUILD:-$root/.build}
swift build --package-path "$root" --scratch-path "$build" -c release --product codecbench >&2
[ "$part" != decode ] || swift build --package-path "$root" --scratch-path "$build" -c release --product nccodec >&2
case "${1:-}" in
"" | --*) set -- "$root/../shared/data/kodak" "$@" ;;
esac
folder=$1
shift
exec "$python" "$root/Benchmarks/overfit.py" "$part" "$build/release" "$folder" "$@"
