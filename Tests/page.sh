#!/bin/bash
# Makes report pages from the synthetic samples of Fixtures/Bench, opens them in headless Chromium and checks them: drawn,
# quiet, no requests, usable by keys, contrast, widths; and that the checks notice damage. Screenshots stay in a folder.
#
#   Tests/page.sh [--shots FOLDER] [--nccodec PROGRAM] [--only TEXT]
#
# Installs Chromium with apt (as root, or through sudo) where there is none.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
shots= program= only=
while [ $# -gt 0 ]; do
  case $1 in
    --shots) shots=$2 ;;
    --nccodec) program=$(realpath "$2") ;;
    --only) only=$2 ;;
    *) echo "usage: Tests/page.sh [--shots FOLDER] [--nccodec PROGRAM] [--only TEXT]" >&2; exit 2 ;;
  esac
  shift 2
done
if ! command -v chromium > /dev/null; then
  sudo=$([ "$(id -u)" = 0 ] || echo sudo)
  $sudo apt-get update -qq
  # Letters of all scripts do not matter here, but some letters must be there.
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends chromium fonts-liberation > /dev/null
fi
if [ -z "$program" ]; then
  swift build --package-path "$root" -c release --product nccodec
  program=$root/.build/release/nccodec
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
samples=$root/Fixtures/Bench
mkdir "$work"/{image,hostile,kv,audio,video,sparse,empty}
# The samples are what their script makes, or one of them was changed alone.
for kind in image kv audio video; do
  python3 "$samples/make.py" $kind | cmp - "$samples/sample-$kind.json"
  cp "$samples/sample-$kind.json" "$work/$kind/results.json"
done
python3 "$samples/make.py" pictures "$samples/sample-image.json" "$work/image"
for page in hostile sparse empty; do
  python3 "$root/Tests/Page/variants.py" $page "$samples/sample-image.json" > "$work/$page/results.json"
done
for page in image hostile kv audio video sparse empty; do "$program" bench page "$work/$page/results.json" > /dev/null; done
sed 's/"version": 1,/"version": 7,/' "$samples/sample-image.json" > "$work/later.json"
if "$program" bench page "$work/later.json" --out "$work/later" 2> "$work/refusal"; then
  echo "results of version 7 were not refused" >&2
  exit 1
fi
grep -q "version 7" "$work/refusal"
python3 "$root/Tests/Page/check.py" --image "$work/image" --hostile "$work/hostile" --kv "$work/kv" --audio "$work/audio" --video "$work/video" \
  --sparse "$work/sparse" --empty "$work/empty" --shots "${shots:-$work/shots}" --only "$only"
