"""The comparison's own arithmetic, with figures worked out by hand."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks.peers.load import Streams
from benchmarks.peers.process import PeerProcess
from benchmarks.peers.table import comparison, headline_rows

DRIVERS = Path(__file__).parents[3] / "benchmarks" / "peers" / "drivers"


def peer(figures: dict[str, list[float]], in_process: bool = False, **remarks: str) -> dict:
    found = {"label": "engine 1.0", "numbers": "int4", "figures": figures, "remarks": remarks}
    return found | {"in_process": in_process}


REPORT = {
    "rounds": 3,
    "threads": 2,
    "sizes": "full",
    "models": [
        {
            "model": "small",
            "peers": {
                "stoker": peer({"decode1": [300.0, 310.0, 250.0], "ttft8": [10.0]}),
                "llama": peer({"decode1": [100.0]}, ttft8="8 requests failed"),
                "openvino": peer({"decode1": [150.0], "ttft8": [40.0]}, in_process=True),
            },
        }
    ],
}


def test_a_row_shows_median_spread_and_ratios() -> None:
    page = comparison(REPORT, "this machine")
    assert "| decode, 1 sequence, tok/s | 300 (250-310) | 100 | 150 | 2.00 | 3.00 |" in page


def test_what_a_peer_cannot_do_is_said_below_the_table() -> None:
    page = comparison(REPORT, "this machine")
    assert "| 10 | no (1) | 40 (2) | 0.25 |  |" in page
    assert "1. 8 requests failed\n2. in process, without HTTP" in page


def test_rows_that_nobody_ran_are_left_out() -> None:
    assert "prefill" not in comparison(REPORT, "this machine")


def test_headline_names_the_best_other() -> None:
    assert headline_rows(REPORT)[0] == [
        "small",
        "decode, 1 sequence",
        "300",
        "100",
        "150 (openvino)",
    ]


def test_waits_are_sorted_by_what_the_attacker_did() -> None:
    streams = Streams([[1.0, 2.0, 6.0], []], quiet=5.0, end=9.0)
    assert streams.quiet_gaps() == [1.0]
    assert streams.disturbed_gaps() == [4.0, 3.0], "the last was still open at the end"


class Stepper:
    """Gives every request one token a step."""

    def __init__(self) -> None:
        self.left: dict[int, int] = {}
        self.most = 0

    def encode(self, text: str) -> list[int]:
        return list(range(len(text.split())))

    def add(self, request: int, prompt: list[int], output: int) -> None:
        self.left[request] = output
        self.most = max(self.most, len(self.left))

    def step(self) -> Iterator[tuple[int, int, bool]]:
        for request in list(self.left):
            self.left[request] -= 1
            yield request, 1, self.left[request] == 0
            if self.left[request] == 0:
                del self.left[request]

    def drop(self, request: int) -> None:
        del self.left[request]


@pytest.fixture
def stepwise(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(DRIVERS))
    yield importlib.import_module("stepwise")
    for name in ("stepwise", "protocol"):
        sys.modules.pop(name, None)


def test_a_closed_loop_keeps_every_client_busy(stepwise: ModuleType) -> None:
    engine = Stepper()
    group = {"clients": 2, "prompts": ["a b", "c", "d e f"], "output": 2, "after": 0.0}
    [timings] = stepwise.closed_loop(engine, [group])
    assert engine.most == 2
    assert [timing["prompt_tokens"] for timing in timings] == [2, 1, 3]
    assert all(len(timing["arrivals"]) == 2 and timing["finished"] for timing in timings)


def test_a_loop_that_is_cut_off_drops_what_runs(stepwise: ModuleType) -> None:
    engine = Stepper()
    group = {"clients": 1, "prompts": ["a"], "output": 10**9, "after": 0.0}
    [[timing]] = stepwise.closed_loop(engine, [group], seconds=0.01)
    assert "finished" not in timing
    assert not engine.left


def test_decode_counts_only_tokens_after_everybodys_first(stepwise: ModuleType) -> None:
    line = stepwise.generate(Stepper(), [[1], [2]], 5)
    assert line.later_tokens == 8
    assert line.started <= line.first <= line.ended


def test_a_process_is_paused_and_ended(tmp_path: Path) -> None:
    echo = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"
    process = PeerProcess([sys.executable, "-c", echo], {}, tmp_path / "log")
    pipes = process.process
    assert pipes.stdin and pipes.stdout
    process.pause()
    assert os.WIFSTOPPED(os.waitpid(pipes.pid, os.WUNTRACED)[1])
    process.resume()
    pipes.stdin.write("hello\n")
    pipes.stdin.flush()
    assert pipes.stdout.readline() == "hello\n"
    assert process.memory_mib() > 1
    process.end()
    assert pipes.returncode is not None
