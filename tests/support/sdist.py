"""Vocabularies with expected tokens, and chat templates of real models.

They come inside a source distribution on the package index, fetched by name on first use.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

NAME, VERSION = "llama-cpp-python", "0.3.36"
_MODELS = "/vendor/llama.cpp/models/"


@functools.cache
def llama_cpp_sdist() -> Path:
    """The folder of *.gguf vocabularies with their *.inp and *.out, and templates/*.jinja."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stoker-tests"
    target = cache / f"{NAME}-{VERSION}-models"
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            unpacked = _unpack(_download(Path(scratch)), Path(scratch) / "models")
            try:
                unpacked.replace(target)
            except OSError:  # another process was first
                assert target.exists()
    return target


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--no-binary", NAME, "--dest", str(folder), f"{NAME}=={VERSION}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = list(folder.glob("*.tar.gz"))
    assert found, f"cannot fetch {NAME} {VERSION} from the package index:\n{done.stderr[-2000:]}"
    return found[0]


def _unpack(archive: Path, target: Path) -> Path:
    with tarfile.open(archive) as tar:
        for member in tar:
            _, inside, relative = member.name.partition(_MODELS)
            if inside and member.isfile() and ".." not in relative:
                path = target / relative
                path.parent.mkdir(parents=True, exist_ok=True)
                source = tar.extractfile(member)
                assert source is not None
                with source, path.open("wb") as copy:
                    shutil.copyfileobj(source, copy)
    return target
