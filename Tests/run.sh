#!/bin/bash
# Builds everything in the release configuration and runs all tests, then every kernel against its scalar twin.
set -euo pipefail
cd "$(dirname "$0")/.."
bash Tests/install.sh
swift build -c release --build-tests
swift test -c release --skip-build
.build/release/kernelcheck --quick
