#!/bin/bash
# Fuzz/run.sh NAME SECONDS: builds Fuzz/NAME under libFuzzer and the address sanitiser, without SwiftPM, and runs it.
#
# Fuzz/NAME holds Swift files with one @_cdecl("LLVMFuzzerTestOneInput"), and target.sh, which sets
#   targets=(...)  Swift targets of Sources/ to compile with it, all as one module (their imports of each other go away)
#   cxx=(...)      C and C++ files to compile along, if any
#   maps=(...)     folders of Sources/ with a module.modulemap, if any (CKernels and CModels get theirs here)
#   link=(...)     linker flags, if any
#   without=(...)  folders of Sources/ to leave out, if any
# The corpus is kept in .build-fuzz/NAME/corpus; Fuzz/NAME/seeds, if there, is read besides. A crash leaves its input in
# .build-fuzz/NAME and ends with a non-zero status.
set -euo pipefail
name=${1:?usage: Fuzz/run.sh NAME SECONDS}
seconds=${2:?usage: Fuzz/run.sh NAME SECONDS}
cd "$(dirname "$0")/.."
targets=() cxx=() maps=() link=() without=()
source "Fuzz/$name/target.sh"

build=.build-fuzz/$name
rm -rf "$build/src" && mkdir -p "$build/src" "$build/corpus"
includes=()
for m in CKernels CModels; do
  mkdir -p "$build/modules/$m"
  printf 'module %s {\n  umbrella "%s"\n  export *\n}\n' "$m" "$PWD/Sources/$m/include" > "$build/modules/$m/module.modulemap"
  includes+=(-I "$build/modules/$m")
done

# One module: file names get their target's name in front, and imports of targets go away.
strip=()
for t in "${targets[@]}"; do strip+=(-e "/^\(package \|public \|\)import $t\$/d"); done
for t in "${targets[@]}"; do
  find "Sources/$t" -name '*.swift' | while read -r f; do
    for w in "${without[@]}"; do [[ $f == Sources/$w/* ]] && continue 2; done
    sed "${strip[@]}" "$f" > "$build/src/${t}_$(basename "$f")"
  done
done
for f in Fuzz/"$name"/*.swift; do sed "${strip[@]}" "$f" > "$build/src/$name-$(basename "$f")"; done

objects=()
for f in "${cxx[@]}"; do
  o=$build/$(basename "$f").o
  case $f in *.cpp) compiler=(clang++ -std=c++17) ;; *) compiler=(clang) ;; esac
  "${compiler[@]}" -O1 -g -fsanitize=address -I"$(dirname "$f")" -I"$(dirname "$f")/include" -c "$f" -o "$o"
  objects+=("$o")
done
for m in "${maps[@]}"; do includes+=(-I "Sources/$m"); done
swiftc -O -g -swift-version 6 -sanitize=fuzzer,address -parse-as-library -module-name "$name" -package-name fuzz \
  "${includes[@]}" "$build"/src/*.swift "${objects[@]}" "${link[@]}" -lstdc++ -o "$build/$name"

seeds=("$build/corpus")
[ -d "Fuzz/$name/seeds" ] && seeds+=("Fuzz/$name/seeds")
ASAN_OPTIONS=symbolize=0 exec "$build/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
  -artifact_prefix="$build/" -print_final_stats=1 "${seeds[@]}"
