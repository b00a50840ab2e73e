#!/usr/bin/env bash
# Builds the native core under a sanitizer, and build/sanitize-KIND/site: the package with that core.
#   native/tests/build.sh address|thread
set -euo pipefail
cd "$(dirname "$0")/../.."
kind=$1
python=${PYTHON:-.venv/bin/python}
build=build/sanitize-$kind
export PATH=$PWD/$(dirname "$python"):$PATH

cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=None -DSTOKER_SANITIZE="$kind" \
  -DPython_EXECUTABLE="$PWD/$python" -Dnanobind_DIR="$("$python" -m nanobind --cmake_dir)"
cmake --build "$build" --parallel "${JOBS:-2}"

site=$build/site
rm -rf "$site"
mkdir -p "$site"
cp -r src/stoker "$site/"
find "$site" -name '*.so' -delete
cp "$build"/_native*.so "$site/stoker/kernels/"
