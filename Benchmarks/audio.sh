#!/bin/sh
# The audio codecs:
#   Benchmarks/audio.sh run [FOLDER] [--codecs mdct,mp3,aac,opus] [--kbps 24,48,64] [--out FILE.jsonl] [options; run --help]
#     every clip at every rate: real bytes, SI-SDR, log-spectral distance, ViSQOL, STOI and PESQ, speeds. Our file comes first; then a
#     setting of each peer is searched for whose file is within 1 % of its size. Other codecs: mdct-mse, tokens, opusvoip, and of speech
#     opus-6 (at 6 kbps), codec2-1300, codec2-3200, speex-1, speex-2, speex-4 at those settings. Tokens and their peers:
#     --codecs tokens,opus-6,codec2-1300,codec2-3200,speex-1,speex-2 --kbps 0.48,0.84,1.575,3,5.625
#   Benchmarks/audio.sh compare ORIGINAL.wav DECODED.wav
#     all measures of one pair, as JSON
#   Benchmarks/audio.sh report FILE.jsonl
#     the table of an earlier run
#   Benchmarks/audio.sh programs FOLDER
#     puts programs visqol, pesq and stoi there, for 'nccodec bench audio' with FOLDER on the PATH
# FOLDER holds clips (default ../shared/data/audio-test); those named speech... are measured as speech. --strict exits with 1 where a
# target is missed. Needs Debian's ffmpeg. Peers' points are kept in the user's cache; --fresh measures them anew.
# NC_VENV_AUDIO names a Python environment with the packages below; without it, one is made in the user's cache. NC_BUILD names the
# SwiftPM scratch folder (default .build).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
part=${1:-}
case "$part" in
run | compare | report | programs) shift ;;
*)
  echo "usage: audio.sh run|compare|report|programs [options]" >&2
  exit 2
  ;;
esac
venv=${NC_VENV_AUDIO:-${XDG_CACHE_HOME:-$HOME/.cache}/neural-codecs/venv-audio}
if ! "$venv/bin/python" -c "import numpy, scipy, soundfile, pesq, pystoi, visqol, numba, ai_edge_litert" 2>/dev/null; then
  [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
  # numba makes ViSQOL five times as fast; ai-edge-litert has the network of its speech mode.
  "$venv/bin/pip" install --quiet numpy==2.4.6 scipy==1.17.1 soundfile==0.14.0 pesq==0.0.4 pystoi==0.4.1 visqol-python==3.8.0 \
    numba==0.68.1 ai-edge-litert==2.3.0 >&2
fi
if [ "$part" = programs ]; then
  folder=${1:?"a folder for the programs"}
  mkdir -p "$folder"
  single="OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1 TF_CPP_MIN_LOG_LEVEL=3"
  printf '#!/bin/sh\nexec env %s "%s/bin/visqol" "$@"\n' "$single" "$venv" >"$folder/visqol"
  # Called as the ITU's program: +16000 +wb original decoded.
  printf '#!/bin/sh\nexec env %s "%s/bin/python" "%s" program pesq "$3" "$4"\n' "$single" "$venv" "$root/Benchmarks/audio.py" >"$folder/pesq"
  printf '#!/bin/sh\nexec env %s "%s/bin/python" "%s" program stoi "$1" "$2"\n' "$single" "$venv" "$root/Benchmarks/audio.py" >"$folder/stoi"
  chmod +x "$folder/visqol" "$folder/pesq" "$folder/stoi"
  exit
fi
if [ "$part" != run ]; then
  exec "$venv/bin/python" "$root/Benchmarks/audio.py" "$part" "$@"
fi
command -v ffmpeg >/dev/null || { echo "audio.sh: ffmpeg is missing (apt-get install ffmpeg)" >&2; exit 1; }
build=${NC_BUILD:-$root/.build}
case "${1:-}" in
"" | --*) set -- "$root/../shared/data/audio-test" "$@" ;;
esac
case " $* " in
*" --encode "*) ;; # another program than ours is measured
*) swift build --package-path "$root" --scratch-path "$build" -c release --product nccodec >&2 ;;
esac
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1 TF_CPP_MIN_LOG_LEVEL=3
exec "$venv/bin/python" "$root/Benchmarks/audio.py" run "$build/release" "$@"
