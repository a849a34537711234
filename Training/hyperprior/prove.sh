#!/bin/bash
# Proves that the Swift decoder reproduces the integer reference exactly: reference.py, which shares with it nothing but the
# specification and the weights file, decodes every conformance stream of at most 100 pixels a side and the photo at
# quality 50, and nccodec verify has to name the same CRC-32 of the samples.
#     NC_VENV=DIR Training/hyperprior/prove.sh      (an environment with torch, numpy and pillow; made if absent)
set -euo pipefail
cd "$(dirname "$0")"
venv=${NC_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/neural-codecs/torch}
if ! "$venv/bin/python" -c "import torch, numpy, PIL" 2>/dev/null; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet torch numpy pillow
fi
nccodec=../../.build/release/nccodec
failed=0 count=0
for stream in ../../Fixtures/Streams/*.ncb; do
  case $stream in *photo-q0.ncb | *photo-q100.ncb) continue ;; esac
  ours=$("$nccodec" verify "$stream" | grep -o 'CRC-32 of samples .*')
  theirs=$("$venv/bin/python" reference.py "$stream" | grep -o 'CRC-32 of samples .*')
  count=$((count + 1))
  if [ "$ours" != "$theirs" ]; then
    echo "DIFFERS $stream: nccodec $ours, reference $theirs"
    failed=$((failed + 1))
  fi
done
echo "$((count - failed)) passed, $failed failed"
[ $failed = 0 ]
