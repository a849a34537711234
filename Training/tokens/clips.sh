#!/bin/bash
# Training/tokens/clips.sh DATA OUT: all of ../shared/data/audio-train as mono 24 kHz 16-bit raw sound, a file a recording. Needs ffmpeg.
set -euo pipefail
data=${1:?usage: clips.sh DATA OUT}
out=${2:?usage: clips.sh DATA OUT}
mkdir -p "$out"
for folder in speech-librispeech speech-picovoice music; do
  for f in "$data/$folder"/*.opus; do
    ffmpeg -v error -y -i "$f" -ac 1 -ar 24000 -f s16le "$out/$folder.$(basename "$f" .opus).s16" < /dev/null
  done
done
