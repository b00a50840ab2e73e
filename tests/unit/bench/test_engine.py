"""The engine benchmark counts what the engine computed, whatever the clock says."""

from __future__ import annotations

import itertools

from stoker.bench.engine import EngineBench
from stoker.bench.machine import this_machine
from stoker.bench.report import EngineReport, engine_table, write_json
from stoker.engine.build import build_engine
from stoker.engine.frames import EngineSettings


def test_rates_follow_from_counts_and_time(tmp_path) -> None:
    engine, info = build_engine(EngineSettings(executor="fake"), lambda _done, _total: None)
    ticks = itertools.count()
    bench = EngineBench(engine, info.vocab_size)
    figure = bench.measure(3, 10, 5, repeats=1, clock=lambda: float(next(ticks)))
    # The clock is read at the start, when all have a first token, and at the end: 0, 1 and 2.
    assert figure.prefill_tokens_per_second == 30.0
    assert figure.decode_tokens_per_second == 12.0
    assert figure.overall_tokens_per_second == 7.5
    assert engine.idle

    report = EngineReport(
        machine=this_machine(), model="fake", kernels="fake", threads=1, figures=(figure,)
    )
    assert engine_table(report)[1].split() == ["3", "10", "5", "30.0", "12.0", "7.5"]
    write_json(report, str(tmp_path / "report.json"))
    assert '"batch": 3' in (tmp_path / "report.json").read_text()
