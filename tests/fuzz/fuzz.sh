#!/usr/bin/env bash
# Runs every fuzz target for a while. What fails stays in build/fuzz/TARGET-*, and ends the run.
#   tests/fuzz/fuzz.sh SECONDS [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
seconds=$1
shift
[ $# -gt 0 ] || set -- gguf kernels decoder sampler

native/tests/build.sh address
runtime="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)"
mkdir -p build/fuzz

for target in "$@"; do
  echo "fuzzing $target for $seconds s"
  log=build/fuzz/$target.log
  fuzz=("$python" -m tests.fuzz "$target" --seconds "$seconds")
  if [ "$target" = gguf ]; then
    # Its branches are Python's: counted by Atheris, which cannot do so beside the sanitizer.
    "${fuzz[@]}" &>"$log" || failed=1
  else
    LD_PRELOAD=$runtime PYTHONPATH=build/sanitize-address/site \
      ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 "${fuzz[@]}" &>"$log" || failed=1
  fi
  if [ "${failed:-0}" = 1 ]; then
    tail -n 60 "$log"
    exit 1
  fi
  grep '^stat::\(number_of_executed\|peak_rss\)' "$log"
done
