#!/bin/bash
# Holds our picture codec against the committed baseline: rates exactly enough to notice 1 %, times as a ratio to JPEG of
# the same run. For CI; `Benchmarks/guard.sh --update` writes the baseline anew.
#
# Times compare well on one kind of machine only, so the tolerance is wide unless NCCODEC_GUARD_SPEED says otherwise
# (percent, or none).
set -euo pipefail
cd "$(dirname "$0")/.."
baseline=Benchmarks/results/baseline-image.json
swift build -c release --product nccodec >&2
bin=$(swift build -c release --show-bin-path)/nccodec
measure=("$bin" bench image Fixtures/Images/photo.png --codecs hyperprior,jpeg --points 5 --repeat 5 --workers 1 --pictures 0)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if [ "${1:-}" = --update ]; then
  "${measure[@]}" --out "$folder"
  cp "$folder/results.json" "$baseline"
else
  "${measure[@]}" --against "$baseline" --tolerance-rate 1% --tolerance-speed "${NCCODEC_GUARD_SPEED:-40%}"
fi
