#!/usr/bin/env bash
# Runs the tests that call the native core with it built under a sanitizer: `address` (with
# undefined behaviour) or `thread`. Any finding ends the run.
#   native/tests/sanitize.sh address|thread [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/../.."
kind=$1
shift
native/tests/build.sh "$kind"

case $kind in
  address) libraries='libasan.so libubsan.so' ;;
  thread) libraries=libtsan.so ;;
esac
runtime=
for library in $libraries; do runtime+="$(gcc -print-file-name="$library") "; done

# A report is written past Python, so pytest must not capture that file: --capture=sys.
# Python itself never frees all it has, and is not compiled with a sanitizer: leaks and races are
# looked for in our code and what it calls.
export ASAN_OPTIONS=detect_leaks=0
export TSAN_OPTIONS=halt_on_error=1:ignore_noninstrumented_modules=1
LD_PRELOAD=$runtime PYTHONPATH=build/sanitize-$kind/site "${PYTHON:-.venv/bin/python}" -m pytest \
  --capture=sys -p no:cacheprovider tests/unit/kernels tests/unit/model/test_families.py \
  tests/unit/model/test_architectures.py tests/unit/model/test_encoders.py "$@"
