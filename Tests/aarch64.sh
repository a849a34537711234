#!/bin/sh
# Cross-compiles the kernels and kernelcheck for aarch64 and runs the check under qemu: NEON against the scalar twins.
# Installs what it needs with apt (as root, or through sudo). Options are kernelcheck's; --quick is the default.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! command -v aarch64-linux-gnu-g++ >/dev/null || ! command -v qemu-aarch64 >/dev/null; then
  sudo=$([ "$(id -u)" = 0 ] || echo sudo)
  $sudo apt-get update -qq
  $sudo apt-get install -y --no-install-recommends g++-aarch64-linux-gnu qemu-user >/dev/null
fi
# The x86 package's Highway headers serve both; nothing links to its library, as one target leaves nothing to choose.
mkdir "$work/include"
ln -s /usr/include/hwy "$work/include/hwy"
set -- "${@:---quick}"
kernels=$(ls "$root"/Sources/CKernels/*.cpp)
aarch64-linux-gnu-g++ -std=c++17 -O2 -ffp-contract=off -static -DHWY_COMPILE_ONLY_STATIC -I"$work/include" -I"$root/Sources/CKernels" \
  -I"$root/Sources/CKernels/include" $kernels "$root"/Sources/kernelcheck/*.cpp -o "$work/kernelcheck"
file=$(aarch64-linux-gnu-readelf -h "$work/kernelcheck" | sed -n 's/ *Machine: *//p')
echo "kernelcheck for $file under $(qemu-aarch64 --version | head -1)"
qemu-aarch64 "$work/kernelcheck" "$@"
