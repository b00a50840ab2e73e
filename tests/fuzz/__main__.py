"""Runs one target under libFuzzer: `python -m tests.fuzz gguf --seconds 60 --folder build/fuzz`."""

from __future__ import annotations

import argparse
import ctypes
import importlib
import importlib.util
import sys
from pathlib import Path

import atheris

TARGETS = ("gguf", "kernels", "decoder", "sampler")
MOST_MEGABYTES = 2048
LONGEST_SECONDS = 10


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"))
    options = parser.parse_args()
    with atheris.instrument_imports(include=["stoker.model"]):
        target = importlib.import_module(f"tests.fuzz.{options.target}_target")
    corpus = options.folder / f"{options.target}-corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    arguments = {
        "max_total_time": options.seconds,
        "rss_limit_mb": MOST_MEGABYTES,
        "timeout": LONGEST_SECONDS,
        "max_len": target.LONGEST,
        "artifact_prefix": f"{options.folder}/{options.target}-",
        "len_control": 0,
        "print_final_stats": 1,
        "seed": 1,
    }
    atheris.Setup(
        [options.target, *(f"-{key}={value}" for key, value in arguments.items()), str(corpus)],
        target.run,
    )
    count_native_branches()
    atheris.Fuzz()


def count_native_branches() -> None:
    """Shows libFuzzer the counters of native/tests/coverage.cpp, when the core was built with
    them."""
    from stoker.kernels import _native

    core = ctypes.CDLL(_native.__file__)
    if not hasattr(core, "stoker_coverage_begin"):
        return
    for edge in (core.stoker_coverage_begin, core.stoker_coverage_end):
        edge.restype = ctypes.c_size_t
    begin, end = core.stoker_coverage_begin(), core.stoker_coverage_end()
    places = (ctypes.c_size_t * (2 * (end - begin)))(*range(1, 2 * (end - begin) + 1))
    fuzzer = ctypes.CDLL(_libfuzzer())
    fuzzer.__sanitizer_cov_8bit_counters_init(ctypes.c_void_p(begin), ctypes.c_void_p(end))
    start = ctypes.addressof(places)
    fuzzer.__sanitizer_cov_pcs_init(
        ctypes.c_void_p(start), ctypes.c_void_p(start + ctypes.sizeof(places))
    )
    _kept.append(places)


_kept: list[object] = []
"""What libFuzzer has addresses of."""


def _libfuzzer() -> str:
    """The library that Atheris brings libFuzzer in."""
    found = importlib.util.find_spec("atheris.core_with_libfuzzer")
    if found is None or found.origin is None:
        sys.exit("this Atheris has no libFuzzer of its own")
    return found.origin


if __name__ == "__main__":
    main()
