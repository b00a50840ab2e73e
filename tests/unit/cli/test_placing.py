"""What placers need before anything is started."""

from __future__ import annotations

import importlib.util

import pytest

from stoker.cli.placing import make_placer, resources
from stoker.config.fleet_schema import ModelEntry, RaySection
from stoker.config.schema import Config
from stoker.engine.adapter_shelf import AdapterShelf
from stoker.engine.frames import EngineSettings
from stoker.errors import SetupError
from stoker.fleet.interface import ReplicaSpec
from stoker.fleet.ray_placer import FIRST_PAUSE, LONGEST_PAUSE, pause_after


def test_a_missing_package_is_said_with_the_extra_that_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    spec = ReplicaSpec(model="m", source="m", engine=EngineSettings())
    with pytest.raises(SetupError) as refused:
        make_placer(
            ModelEntry(name="m", placer="ray"),
            spec,
            Config(),
            lambda done, total: None,
            AdapterShelf(),
        )
    assert "stoker[ray]" in refused.value.hint


def test_ray_is_asked_for_what_is_set_and_nothing_else() -> None:
    assert resources(RaySection()) == {"CPU": 1.0}
    section = RaySection(cpus=4, gpus=0.5, memory_mib=2)
    assert resources(section) == {"CPU": 4.0, "GPU": 0.5, "memory": 2097152.0}


def test_pauses_between_starts_that_fail_grow_to_a_bound() -> None:
    pauses = [pause_after(failures) for failures in range(2000)]
    assert pauses[:4] == [0.0, FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert max(pauses) == pauses[-1] == LONGEST_PAUSE
