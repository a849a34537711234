#!/bin/bash
# Benchmarks/autograd.sh [THREADS]: Autograd's operators beside PyTorch's, forward and backward, in the same run, and
# the ratios that are promised. Exits non-zero where a promise is broken. Set PYTHON to an interpreter that has torch
# to save the installation into a temporary folder. BUILD_FLAGS adds to `swift build`.
set -euo pipefail
cd "$(dirname "$0")/.."
swift build -c release ${BUILD_FLAGS:-} --product autogradbench >&2
bin=$(swift build -c release ${BUILD_FLAGS:-} --show-bin-path)
if [ -z "${PYTHON:-}" ]; then
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  python3 -m venv "$folder"
  "$folder/bin/pip" -q install torch numpy --index-url https://download.pytorch.org/whl/cpu >&2
  PYTHON=$folder/bin/python
fi
"$PYTHON" Benchmarks/autograd.py "$bin/autogradbench" "${1:-1}"
