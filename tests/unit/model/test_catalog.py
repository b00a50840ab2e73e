"""The catalog, and fetching its wheels through pip."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from stoker.errors import PullError
from stoker.model import index as index_module
from stoker.model.catalog import CATALOG, CatalogModel
from stoker.model.index import fetch_wheel
from stoker.model.pull import pull
from stoker.model.wheel_parts import verified
from tests.support.models import model_path
from tests.support.wheels import cut_model


@pytest.mark.parametrize("model", CATALOG.values(), ids=list(CATALOG))
def test_every_entry_is_pinned(model: CatalogModel) -> None:
    assert len(model.sha256) == 64
    assert int(model.sha256, 16)
    assert model.size > 1 << 20
    assert model.licence
    for i, package in enumerate(model.packages, 1):
        name, separator, version = package.partition("==")
        assert separator and version.replace(".", "").isdigit()
        assert len(model.packages) == 1 or name.endswith(f"part{i}")


@pytest.mark.model
def test_the_small_model_is_what_the_catalog_says() -> None:
    assert verified(model_path("smollm2:135m"), CATALOG["smollm2:135m"])


@pytest.mark.models
@pytest.mark.parametrize("name", CATALOG)
def test_each_model_is_what_the_catalog_says(name: str) -> None:
    assert verified(model_path(name), CATALOG[name])


def silent(_here: int) -> None:
    return


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip configured as a user would, to look in one folder and nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_pip_fetches_from_the_index_the_user_configured(index: Path, tmp_path: Path) -> None:
    model, data = cut_model(index, parts=2)
    path = pull(model, tmp_path / "cache")
    assert path.read_bytes() == data
    assert not list((tmp_path / "cache").rglob("fetch-*"))


def test_a_package_that_is_not_there_is_one_line(index: Path, tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    with pytest.raises(PullError, match="No matching distribution") as caught:
        fetch_wheel("tiny-part1==1.0", folder, silent)
    assert "\n" not in caught.value.message
    assert not list(folder.iterdir())


class SlowPip:
    """Writes a wheel of 30 bytes in three pieces, then says what `words` are."""

    words = ""
    returncode = 0
    ended = False

    def __init__(self, command: list[str], **_: object) -> None:
        self.wheel = Path(command[command.index("--dest") + 1]) / "tiny_part1-1.0-py3-none-any.whl"
        self.pieces = 3

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        if not self.pieces or timeout is None:
            return "", self.words
        self.pieces -= 1
        with self.wheel.open("ab") as file:
            file.write(bytes(10))
        raise subprocess.TimeoutExpired("pip", timeout)

    def kill(self) -> None:
        type(self).ended = True


@pytest.fixture
def slow_pip(monkeypatch: pytest.MonkeyPatch) -> type[SlowPip]:
    pip = type("Pip", (SlowPip,), {})
    monkeypatch.setattr(index_module.subprocess, "Popen", pip)
    return pip


def test_bytes_are_reported_while_they_arrive(tmp_path: Path, slow_pip: Any) -> None:
    reports: list[int] = []
    wheel = fetch_wheel("tiny-part1==1.0", tmp_path, reports.append)
    assert reports == [10, 20, 30]
    assert list(tmp_path.iterdir()) == [wheel]


def test_an_interruption_ends_pip_and_leaves_nothing(tmp_path: Path, slow_pip: Any) -> None:
    def interrupt(here: int) -> None:
        if here == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_wheel("tiny-part1==1.0", tmp_path, interrupt)
    assert slow_pip.ended
    assert not list(tmp_path.iterdir())


def test_a_disk_that_pip_filled_is_named(tmp_path: Path, slow_pip: Any) -> None:
    slow_pip.words = "ERROR: Could not install: [Errno 28] No space left on device"
    slow_pip.returncode = 1
    model, _ = cut_model(tmp_path / "index", parts=1)
    with pytest.raises(PullError) as caught:
        pull(model, tmp_path / "cache")
    assert f"cannot store tiny:1b in {tmp_path / 'cache' / 'models'}" in caught.value.message
    assert "STOKER_CACHE" in caught.value.hint
    left = {file.name for file in (tmp_path / "cache" / "models").rglob("*")}
    assert left == {"tiny-1b.lock", "tiny-1b.wheels"}
