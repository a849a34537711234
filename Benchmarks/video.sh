#!/bin/sh
# The video codecs on three clips, ours beside x264 and x265 (medium) and SVT-AV1 (preset 8) in the same run of `nccodec bench video`:
#   Benchmarks/video.sh [FOLDER] [--out FOLDER] [--clips "bunny bikes carphone"] [options of nccodec bench video]
# FOLDER holds bigbuckbunny.mp4, bikes.mp4 and carphone_pristine.mp4 (default ../shared/data/video). Of Bunny the middle 1280x640 is measured,
# which papers on neural representations call Bunny; the others as they are (640x272, 176x144). All frames of each, one point at a time.
# Without other options: hnerv of 0.35M and 0.75M parameters (carphone: 0.05M and 0.15M), 30 epochs, and twelve rate factors of each peer.
# Each clip has a report of its own below the folder of --out (default video-report); a second run measures only what is missing, Ctrl-C
# keeps what is done, and so another --params needs another --out. The tables at the end are those of Benchmarks/README.md.
# NC_BUILD names the SwiftPM scratch folder (default .build).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=${NC_BUILD:-$root/.build}
folder=$root/../shared/data/video
out=video-report
clips="bunny bikes carphone"
case "${1:-}" in
"" | --*) ;;
*)
  folder=$1
  shift
  ;;
esac
while :; do
  case "${1:-}" in
  --out)
    out=${2:?"a folder behind --out"}
    shift 2
    ;;
  --clips)
    clips=${2:?"clips behind --clips"}
    shift 2
    ;;
  *) break ;;
  esac
done
# A clip, and the options for all.
measure() {
  clip=$1
  params=0.35M,0.75M
  shift
  case $clip in
  bunny) set -- "$folder/bigbuckbunny.mp4" --crop 1280x640 "$@" ;;
  bikes) set -- "$folder/bikes.mp4" "$@" ;;
  carphone)
    set -- "$folder/carphone_pristine.mp4" "$@"
    params=0.05M,0.15M
    ;;
  *)
    echo "video.sh: there is no clip '$clip': bunny, bikes, carphone" >&2
    exit 2
    ;;
  esac
  case " $* " in
  *" --qualities "* | *" --params "*) ;;
  *) set -- "$@" --params "$params" ;;
  esac
  echo "$clip:"
  # Of an option that is given twice the later one counts.
  "$build/release/nccodec" bench video --epochs 30 --points 12 --workers 1 --out "$out/$clip" "$@"
}
swift build --package-path "$root" --scratch-path "$build" -c release --product nccodec >&2
mkdir -p "$out"
status=0
for clip in $clips; do
  measure "$clip" "$@" || status=1
  echo
done
exit $status
