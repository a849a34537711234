#!/bin/sh
# The KV-cache codec:
#   Benchmarks/kv.sh speed [CACHE] [--quality 27] [--effort 1] [--profile FILE] [--shape own|llama8b] [--threads 2] [--runs 9]
#     encoding and decoding in memory beside a copy, a q8_0 quantiser in C and zstd -1, in one run
#   Benchmarks/kv.sh kl FOLDER [QUALITY ... | SETTING ... | cachegen]
#     bits per element and KL divergence on prose, report and code, beside q8_0 and q4_0: makes the model's caches in FOLDER
#     (300 MB, minutes) with ../shared/data/kv, where they are not there yet, and judges decoded files with eval_kv.py;
#     a SETTING is a string of options of nccodec encode, such as "--effort 5 --quality 29"; cachegen stands for both variants of CacheGen's scheme at their three levels, at 256 and at 2,048 tokens a part
#   Benchmarks/kv.sh restore FOLDER [SETTING ...]
#     wall time and KL divergence of restoring a context of 2,048 tokens from .ncb beside prefilling it with llama-cpp-python;
#     a SETTING is a string of options of nccodec encode, such as "--quality 29" (see kv_restore.py, which takes others too)
#   Benchmarks/kv.sh plan [CACHE] [--levels 70,40,20] [--chunk 64] [--bandwidth 1Gbps] [--deadlines 20:62:2] [--rates 0,10000]
#     what 'nccodec kv plan' chooses over many deadlines, by its rule and by CacheGen's (see kv_plan.py)
#   Benchmarks/kv.sh memory [MEGABYTES] [OPTION ...]
#     most memory of encoding and decoding made caches of MEGABYTES (default 1024) and of a quarter of that: of a process's
#     own, which grows with nothing, and under a limit of a quarter of the larger one (see kv_memory.py); OPTIONs are nccodec encode's
# CACHE is a file of halves (default ../shared/data/kv/prose-1024.safetensors). NC_BUILD names the SwiftPM scratch folder
# (default .build); NC_VENV a Python environment, without which one is made in the user's cache; NC_VENV_LLAMA likewise one
# with llama-cpp-python.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
data=$root/../shared/data/kv
build=${NC_BUILD:-$root/.build}
part=${1:-}
[ $# -gt 0 ] && shift
case "$part" in
speed)
  swift build --package-path "$root" --scratch-path "$build" -c release --product kvbench >&2
  case "${1:-}" in
  "" | --*) set -- "$data/prose-1024.safetensors" "$@" ;;
  esac
  exec "$build/release/kvbench" "$@"
  ;;
plan | memory)
  swift build --package-path "$root" --scratch-path "$build" -c release --product nccodec >&2
  if [ "$part" = plan ]; then
    case "${1:-}" in
    "" | --*) set -- "$data/prose-1024.safetensors" "$@" ;;
    esac
  fi
  exec python3 "$root/Benchmarks/kv_$part.py" --nccodec "$build/release/nccodec" "$@"
  ;;
kl | restore) ;;
*)
  echo "usage: kv.sh speed|plan|memory|kl|restore [options]" >&2
  exit 2
  ;;
esac
folder=${1:?"a folder for the caches"}
shift
swift build --package-path "$root" --scratch-path "$build" -c release --product nccodec >&2
venv=${NC_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/neural-codecs/venv}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -c "import numpy, gguf, safetensors, tokenizers" 2>/dev/null ||
  "$venv/bin/pip" install --quiet numpy gguf safetensors tokenizers
if [ "$part" = restore ]; then
  llama=${NC_VENV_LLAMA:-${XDG_CACHE_HOME:-$HOME/.cache}/neural-codecs/venv-llama}
  [ -x "$llama/bin/python" ] || python3 -m venv "$llama"
  "$llama/bin/python" -c "import llama_cpp, numpy" 2>/dev/null || "$llama/bin/pip" install --quiet llama-cpp-python==0.3.36 numpy
  "$venv/bin/python" "$data/make_kv.py" fetch --work "$folder" >&2
  exec "$llama/bin/python" "$root/Benchmarks/kv_restore.py" --model "$folder/SmolLM2-135M-Instruct.Q4_1.gguf" \
    --text "$data/texts/prose.txt" --nccodec "$build/release/nccodec" "$@"
fi
[ $# -gt 0 ] || set -- 0 29 50 75 100
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-2}
mkdir -p "$folder/kv" "$folder/decoded"
judge() { "$venv/bin/python" "$data/eval_kv.py" --work "$folder" --ref "$@"; }
for text in prose report code; do
  [ -f "$folder/kv/$text.safetensors" ] && continue
  "$venv/bin/python" "$data/make_kv.py" fetch --work "$folder" --text-dir "$folder/fetched" >&2
  "$venv/bin/python" "$data/make_kv.py" dump --work "$folder" --texts "$data/texts/$text.txt" --prefix 2048 --cont 256 \
    --no-k-pre --out "$folder/kv"
done
references="$folder/kv/prose.safetensors $folder/kv/report.safetensors $folder/kv/code.safetensors"
echo "$(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2), $(git -C "$root" rev-parse --short HEAD)"
judge $references --baseline q8_0 q4_0 | grep MEAN
# One row: what it is called, and options of nccodec encode.
row() {
  name=$1
  shift
  bits=""
  profile=$(echo "$*" | grep -o -e '--profile [^ ]*' || true)
  for text in prose report code; do
    coded=$folder/decoded/$text.ncb
    "$build/release/nccodec" encode --force --quiet "$@" --drop-k-pre "$folder/kv/$text.safetensors" "$coded"
    # shellcheck disable=SC2086
    "$build/release/nccodec" decode --force --quiet $profile "$coded" "$folder/decoded/$text.safetensors"
    bits="$bits $(wc -c <"$coded")"
  done
  # 2,048 tokens of 30 layers of 3 heads of 64 channels, keys and values.
  echo "$name: $(echo "$bits" | awk '{ printf "%.3f", ($1 + $2 + $3) * 8 / 3 / 23592960 }') bits per element"
  judge $references --dec "$folder/decoded/{stem}.safetensors" | grep MEAN
}
for quality in "$@"; do
  case "$quality" in
  cachegen) ;;
  *-*)
    # shellcheck disable=SC2086
    row "$quality" $quality
    continue
    ;;
  *)
    row "quality $quality" --quality "$quality"
    continue
    ;;
  esac
  for variant in paper released; do
    for level in 3 2 1; do
      for chunk in 2048 256; do
        row "CacheGen ($variant), level $level, $chunk tokens a part" \
          --codec cachegen --variant $variant --level $level --chunk $chunk
      done
    done
  done
done
