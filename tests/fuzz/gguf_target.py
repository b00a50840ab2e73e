"""A model file can be anything: it loads, or it is refused in one line."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

from stoker.errors import ModelFileError, UnsupportedModel
from stoker.kernels.decoder import load_decoder
from stoker.model.load import open_model
from stoker.model.weights.gguf import GgufFile
from tests.support.gguf_bytes import tiny_gguf

LONGEST = 1 << 16
_folder = tempfile.mkdtemp(prefix="stoker-fuzz-")
atexit.register(shutil.rmtree, _folder)
_path = Path(_folder) / "model.gguf"


def run(data: bytes) -> None:
    _path.write_bytes(data)
    try:
        _read_all()
        _load()
    except (ModelFileError, UnsupportedModel) as error:
        if not error.message.isprintable():
            raise RuntimeError("the message is not one printable line") from error


def _read_all() -> None:
    with GgufFile.open(_path) as file:
        for key in file.metadata:
            file.record(key)
        for name, info in file.tensors.items():
            if len(file.read(name)) != info.num_bytes:
                raise RuntimeError("a tensor is not as long as it says")


def _load() -> None:
    model = open_model(_path)
    try:
        load_decoder(model.spec, model.weights, threads=1)
    finally:
        model.close()


def seeds() -> list[bytes]:
    whole = bytes(tiny_gguf().data)
    return [whole, whole[: tiny_gguf().header_end], whole[:200]]
