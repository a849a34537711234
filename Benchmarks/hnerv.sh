#!/bin/sh
# Our fit of HNeRV beside the authors' PyTorch code, of the same geometry and training setting on the same frames (issue 5):
#   Benchmarks/hnerv.sh CHECKOUT [CLIP] [options of codecbench video-fit]
# CHECKOUT: of haochen-rye/HNeRV; CLIP: default ../shared/data/video/bigbuckbunny.mp4, of which the middle 1280x640 is taken. NC_VENV names a
# Python environment with torch, torchvision, pillow, pytorch-msssim, imageio, einops, tensorboard, dahuffman, pandas, scipy and matplotlib. Takes about two
# hours of a core for theirs and 40 to 90 minutes for ours; theirs goes on from its checkpoint in hnerv-out. NC_BUILD names the SwiftPM scratch folder.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=${NC_BUILD:-$root/.build}
python=${NC_VENV:+$NC_VENV/bin/}python3
checkout=${1:?"a checkout of haochen-rye/HNeRV"}
shift
clip=$root/../shared/data/video/bigbuckbunny.mp4
case "${1:-}" in
"" | --*) ;;
*)
  clip=$1
  shift
  ;;
esac
swift build --package-path "$root" --scratch-path "$build" -c release --product codecbench >&2
mkdir -p hnerv-out/frames
[ -e hnerv-out/frames/0001.png ] || ffmpeg -v error -i "$clip" hnerv-out/frames/%04d.png
"$build/release/codecbench" video-fit "$clip" --crop 1280x640 --published "$@"
"$python" "$root/Benchmarks/hnerv.py" "$checkout" hnerv-out/frames hnerv-out/theirs > hnerv-out/theirs.log
grep -i psnr hnerv-out/theirs.log | tail -1
