"""What an adapter's folder holds, as a digest: known before it is loaded, and checked then."""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path

from stoker.core.adapter import AdapterSource
from stoker.errors import ConfigError
from stoker.model.adapter import WEIGHTS
from stoker.model.adapter_config import CONFIG
from stoker.model.pickled import refuse_pickled
from stoker.model.weights.file import ModelFile

NAME = re.compile(r"[A-Za-z0-9][\w./:-]{0,127}", re.ASCII)
_PIECE = 1 << 20


def adapter_source(name: str, folder: Path, most_bytes: int) -> AdapterSource:
    """Raises ConfigError for a name that no model can have and for files of more than `most_bytes`
    together, ModelFileError for files that are missing."""
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"'{name[:64]}' cannot be an adapter's name",
            hint="Letters, digits and . _ : / - after a letter or digit, at most 128 in all.",
        )
    digest, size = _digest(folder, most_bytes)
    return AdapterSource(name, digest, str(folder.resolve()), size)


def check_unchanged(source: AdapterSource, most_bytes: int) -> None:
    """Raises as `adapter_source`, and ConfigError when the files differ from what they were: a
    stream that goes on with other weights would not be the same one."""
    if _digest(Path(source.path), most_bytes)[0] != source.digest:
        raise ConfigError(
            f"the files of adapter '{source.name}' changed since it was loaded",
            hint="Unload it, and load it again.",
        )


def _digest(folder: Path, most_bytes: int) -> tuple[str, int]:
    """And the bytes of its files."""
    if not (folder / WEIGHTS).exists() and folder.is_dir():
        refuse_pickled(sorted(folder.iterdir()))
    digest = blake2b(digest_size=16)
    size = 0
    for name in (CONFIG, WEIGHTS):
        size += _add(digest, folder / name, most_bytes - size)
    return digest.hexdigest(), size


def _add(digest: blake2b, path: Path, most_bytes: int) -> int:
    file = ModelFile(path)
    try:
        if file.size > most_bytes:
            raise ConfigError(
                f"{path}: {file.size} bytes are more than there is room for",
                param="engine.adapter_mib",
                hint="Raise engine.adapter_mib, or unload another adapter.",
            )
        digest.update(file.size.to_bytes(8, "little"))
        for at in range(0, file.size, _PIECE):
            digest.update(file.read(at, min(_PIECE, file.size - at), "it"))
        return file.size
    finally:
        file.close()
