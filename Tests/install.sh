#!/bin/bash
# Installs what building and testing need on Debian 12, beside Swift 6.3 itself. Does nothing where it is all there.
set -euo pipefail
packages=(
  pkg-config zlib1g-dev libssl-dev libpng-dev libhwy-dev
  libavcodec-dev libavformat-dev libavutil-dev libswresample-dev libswscale-dev
)
missing=()
for p in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
done
if [ ${#missing[@]} -gt 0 ]; then
  sudo=$([ "$(id -u)" = 0 ] || echo sudo)
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
fi
