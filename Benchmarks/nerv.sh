#!/bin/sh
# Our fit of NeRV beside the authors' PyTorch code, of the same geometry and training setting on the same frames (issue 5):
#   Benchmarks/nerv.sh CHECKOUT [options of codecbench video-fit]
# CHECKOUT: of haochen-rye/NeRV. Carphone (../shared/data/video, 120 frames of 176x144), 50,000 numbers, 100 epochs. NC_VENV names a Python environment with
# torch, torchvision, pillow, pytorch-msssim, tensorboard and tqdm. Takes about three minutes of a core for theirs and one for ours. NC_BUILD names the
# SwiftPM scratch folder.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=${NC_BUILD:-$root/.build}
python=${NC_VENV:+$NC_VENV/bin/}python3
checkout=${1:?"a checkout of haochen-rye/NeRV"}
shift
clip=$root/../shared/data/video/carphone_pristine.mp4
swift build --package-path "$root" --scratch-path "$build" -c release --product codecbench >&2
mkdir -p nerv-out/frames
[ -e nerv-out/frames/0001.png ] || ffmpeg -v error -i "$clip" nerv-out/frames/%04d.png
"$build/release/codecbench" video-fit "$clip" --codec nerv --parameters 50000 --published --epochs 100 "$@"
"$python" "$root/Benchmarks/nerv.py" "$checkout" nerv-out/frames nerv-out/theirs > nerv-out/theirs.log
grep "current:" nerv-out/theirs.log | tail -1
