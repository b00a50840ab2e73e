"""Model folders inside wheels: whole and as the catalog says, or not there at all (S33)."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from stoker.errors import PullError
from stoker.model.catalog_folder import FOLDERS, CatalogFolder, FolderFile
from stoker.model.index import Report
from stoker.model.pull_folder import cached_folder, pull_folder
from tests.support.wheels import write_wheel

FILES = {"config.json": b"{}", "1_Pooling/config.json": b"[]", "model.safetensors": b"w" * 5000}


def entry() -> CatalogFolder:
    files = tuple(
        FolderFile(path, len(data), hashlib.sha256(data).hexdigest())
        for path, data in FILES.items()
    )
    return CatalogFolder("tiny:1b", "tiny==1.0", "tiny/model", files, "none", "nothing")


class Index:
    """One wheel, fetched as often as it is asked for."""

    def __init__(self, **changed: bytes | None) -> None:
        self.fetched = 0
        files = FILES | {path.replace("_json", ".json"): data for path, data in changed.items()}
        self._members = {f"tiny/model/{path}": data for path, data in files.items() if data}

    def fetch(self, requirement: str, folder: Path, report: Report) -> Path:
        self.fetched += 1
        members = self._members | {"tiny/__init__.py": b"1/0", "tiny/model/../../evil": b"x"}
        return write_wheel(folder, "tiny", "1.0", members)


def names(cache: Path) -> set[str]:
    models = cache / "models"
    return {str(path.relative_to(models)) for path in models.rglob("*") if path.is_file()}


def test_a_folder_is_fetched_once(tmp_path: Path) -> None:
    index, seen = Index(), []
    path = pull_folder(entry(), tmp_path, lambda *at: seen.append(at), index.fetch)
    assert pull_folder(entry(), tmp_path, None, index.fetch) == path
    assert index.fetched == 1
    assert cached_folder(entry(), tmp_path) == path
    assert names(tmp_path) == {"tiny-1b.lock", *(f"tiny-1b/{name}" for name in FILES)}
    assert (path / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert seen[-1] == (5004, 5004)


@pytest.mark.parametrize("served", [b"{]", b"{} ", None], ids=["other", "longer", "none"])
def test_what_is_not_as_the_catalog_says_leaves_nothing(
    tmp_path: Path, served: bytes | None
) -> None:
    with pytest.raises(PullError):
        pull_folder(entry(), tmp_path, None, Index(config_json=served).fetch)
    assert names(tmp_path) == {"tiny-1b.lock"}
    assert cached_folder(entry(), tmp_path) is None
    assert pull_folder(entry(), tmp_path, None, Index().fetch)


def test_a_folder_that_lost_a_file_is_fetched_again(tmp_path: Path) -> None:
    index = Index()
    path = pull_folder(entry(), tmp_path, None, index.fetch)
    (path / "config.json").unlink()
    assert pull_folder(entry(), tmp_path, None, index.fetch) == path
    assert (index.fetched, (path / "config.json").read_bytes()) == (2, b"{}")


def test_every_entry_is_pinned() -> None:
    for model in FOLDERS.values():
        assert "==" in model.package
        assert model.licence
        for file in model.files:
            assert len(file.sha256) == 64
            assert not file.path.startswith("/")
            assert ".." not in file.path


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("in the way")
    with pytest.raises(PullError, match="cannot store tiny:1b"):
        pull_folder(replace(entry()), tmp_path, None, Index().fetch)
