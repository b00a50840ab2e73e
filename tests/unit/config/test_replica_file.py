"""What a replica that is started elsewhere is told."""

from __future__ import annotations

from pathlib import Path

from stoker.config.fleet_schema import EdgeSection, ModelEntry, RaySection
from stoker.config.load import load
from stoker.config.replica_file import replica_file
from stoker.config.schema import Config, EngineSection, ServerSection

ENTRY = ModelEntry(name="small", placer="ray", quantize="q8_0", ray=RaySection(cpus=4.5))


def test_a_replica_elsewhere_computes_as_one_here_would(tmp_path: Path) -> None:
    engine = EngineSection(max_running=8, prefix_cache=False, inter_token_target_ms=12.5)
    path = tmp_path / "replica"
    path.write_text(replica_file(ENTRY, 'of "quotes" \\ and é', Config(engine=engine)))
    read = load(path=path, environ={}).config
    assert read.model.name == 'of "quotes" \\ and é'
    assert (read.model.served_name, read.model.quantize) == ("small", "q8_0")
    assert read.engine.threads == 4
    assert read.engine.max_running == 8
    assert not read.engine.prefix_cache
    assert read.engine.inter_token_target_ms == 12.5


def test_threads_that_are_set_stay_so() -> None:
    assert "threads = 7\n" in replica_file(ENTRY, "x", Config(engine=EngineSection(threads=7)))


def test_no_secret_goes_along() -> None:
    server = ServerSection(api_key="sk-canary")
    config = Config(server=server, edge=EdgeSection(ticket_key_file="canary.key"))
    assert "canary" not in replica_file(ENTRY, "x", config)
