#!/bin/bash
# Builds nccodec on a bare Debian 12 with Swift, and sends a picture to .ncb and back.
set -euo pipefail
cd "$(dirname "$0")/.."
bash Tests/install.sh
swift build -c release --product nccodec
out=$(mktemp -d)
.build/release/nccodec encode --psnr 34 Fixtures/Images/photo.png "$out/photo.ncb"
.build/release/nccodec decode "$out/photo.ncb" "$out/back.png"
.build/release/nccodec verify "$out/photo.ncb"
