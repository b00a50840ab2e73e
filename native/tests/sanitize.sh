#!/usr/bin/env bash
# Builds the native core with the address and undefined-behaviour sanitizers and runs the tests
# that call it. Any finding ends the run.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
build=build/sanitize

cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DSTOKER_SANITIZE=ON \
  -DPython_EXECUTABLE="$PWD/$python" -Dnanobind_DIR="$("$python" -m nanobind --cmake_dir)"
cmake --build "$build" --parallel 2

site=$build/site
rm -rf "$site"
mkdir -p "$site"
cp -r src/stoker "$site/"
find "$site" -name '*.so' -delete
cp "$build"/_native*.so "$site/stoker/kernels/"

runtime="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)"
LD_PRELOAD=$runtime ASAN_OPTIONS=detect_leaks=0 PYTHONPATH=$site \
  "$python" -m pytest -p no:cacheprovider tests/unit/kernels tests/unit/model/test_families.py "$@"
