"""`stoker bench gateway`, small: every phase works, nothing fails, and it measures what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stoker.bench.gateway import in_turns, measure
from stoker.cli import main
from tests.support.programs import program


@pytest.mark.model
def test_every_phase_has_its_figures_and_nothing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "LENGTHS", (20,))
    monkeypatch.setattr(in_turns, "ROUNDS", 1)
    program("nginx", "nginx-light")  # installs it
    target = tmp_path / "gateway.json"
    arguments = ["--seconds", "0.3", "--peer", "nginx", "--streams", "50", "--soak", "1",
                 "--direct", "smollm2:135m"]  # fmt: skip
    assert main.run(["bench", "gateway", *arguments, "--json", str(target)]) == 0
    report = json.loads(target.read_text())
    assert [one["name"] for one in report["subjects"]] == [
        "backend alone", "stoker", "nginx", "stoker, direct"
    ]  # fmt: skip
    for one in report["subjects"]:
        assert one["failed"] == 0, one["failures"]
        assert one["requests_per_second"] > 0
        assert 0 < one["half_load"]["p50"] <= one["half_load"]["p99"]
    assert all(one["requests_per_core"] > 0 for one in report["subjects"][1:])
    assert all(one["events_per_core"] > 0 for one in report["subjects"][1:])
    (direct,) = report["direct"]
    assert (direct["tokens"], direct["failed"]) == (20, 0)
    assert direct["direct"][0] > direct["decided"][0] > 0 < direct["alone"][0]
    held = report["held"]
    # Thirty tokens, the finish reason, the usage and the end marker of each.
    assert (held["streams"], held["failed"], held["events"]) == (50, 0, 50 * 33)
    assert report["soak"]["failed"] == 0 < report["soak"]["completed"]
    assert len(report["soak"]["resident_mib"]) == 11
