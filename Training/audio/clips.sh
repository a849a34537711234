#!/bin/bash
# Training/audio/clips.sh DATA OUT: what audioprior learns from, of ../shared/data/audio-train, as raw floats. Needs ffmpeg.
set -euo pipefail
data=${1:?usage: clips.sh DATA OUT}
out=${2:?usage: clips.sh DATA OUT}
mkdir -p "$out"
clip() { ffmpeg -v error -y -ss "$2" -t "$3" -i "$1" -ac 1 -ar "$4" -f f32le "$5" < /dev/null; }
n=0
for f in "$data"/music/*.opus; do
  n=$((n + 1))
  name=$(basename "$f" .opus)
  seconds=$(ffprobe -v error -show_entries format=duration -of csv=p=0 "$f")
  for part in 3 6; do clip "$f" "$(awk "BEGIN { print $seconds * $part / 9 }")" 8 24000 "$out/m_${name}_$part-24000.f32"; done
  [ $((n % 3)) = 0 ] && clip "$f" 20 6 48000 "$out/m48_$name-48000.f32"
done
n=0
for f in "$data"/speech-librispeech/*.opus; do
  n=$((n + 1))
  name=$(basename "$f" .opus)
  [ $((n % 6)) = 0 ] && clip "$f" 0 8 24000 "$out/s_$name-24000.f32"
  [ $((n % 25)) = 3 ] && clip "$f" 0 8 16000 "$out/s16_$name-16000.f32"
done
exit 0
