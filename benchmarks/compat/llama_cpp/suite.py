"""llama.cpp's tests of its server, with ours behind the flags of theirs."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from benchmarks.compat.record import Record
from benchmarks.compat.suite import Suite
from benchmarks.compat.workplace import Workplace
from stoker.config.load import load
from stoker.config.paths import cache_folder
from stoker.model.pull import resolve

HERE = Path(__file__).parent
SECONDS = 3600.0
TEXT_MODEL = "smollm2:135m"


def _run(place: Workplace) -> Record:
    tests = place.sources() / "vendor" / "llama.cpp" / "tools" / "server" / "tests"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return place.pytest(
        tests,
        ["-p", "without_stories", "-m", "not slow"],
        SECONDS,
        PYTHONPATH=os.pathsep.join([str(tests), str(HERE)]),
        LLAMA_SERVER_BIN_PATH=str(HERE / "server.py"),
        COMPAT_PYTHON=sys.executable,
        COMPAT_FOLDER=str(place.folder),
        COMPAT_TEXT_MODEL=str(resolve(TEXT_MODEL, cache_folder(load().config.model))),
        PORT=str(port),
    )


LLAMA_CPP = Suite(
    name="llama-cpp",
    title="llama.cpp's server tests",
    about=(
        "The tests of llama.cpp's own server, but those it marks slow, from the source "
        "distribution of llama-cpp-python. They start our server for each test through a stand-in "
        "for theirs that translates its flags; the models are smollm2:135m and all-minilm:l6-v2."
    ),
    run=_run,
)
