"""Model files cut into wheels, as the package index would serve them."""

from __future__ import annotations

import hashlib
import random
import zipfile
from pathlib import Path

from stoker.model.catalog import CatalogModel


def write_wheel(folder: Path, name: str, version: str, members: dict[str, bytes]) -> Path:
    """An installable wheel named as pip expects, with data members."""
    stem = f"{name.replace('-', '_')}-{version}"
    path = folder / f"{stem}-py3-none-any.whl"
    info = f"{stem}.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        archive.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


def cut_model(folder: Path, parts: int = 12, size: int = 50_000) -> tuple[CatalogModel, bytes]:
    """A model of random bytes, the wheels that carry it in `folder`, and what it should become."""
    folder.mkdir(parents=True, exist_ok=True)
    data = random.Random(33).randbytes(size)
    step = -(-size // parts)
    for i in range(parts):
        piece = data[i * step : (i + 1) * step]
        members = {
            f"tiny_part{i + 1}/data/piece.bin": piece,
            f"tiny_part{i + 1}/__init__.py": b"1/0",
        }
        write_wheel(folder, f"tiny-part{i + 1}", "1.0", members)
    model = CatalogModel(
        name="tiny:1b",
        packages=tuple(f"tiny-part{i + 1}==1.0" for i in range(parts)),
        member_suffixes=(".bin",),
        size=size,
        sha256=hashlib.sha256(data).hexdigest(),
        licence="none",
        about="random bytes",
    )
    return model, data
