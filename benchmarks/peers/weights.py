"""The same weights in each peer's format, made once from the GGUF file under build/peers.

A folder or file under its final name is complete: each is made under another name and renamed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks.hugging_face_folder import write_folder
from benchmarks.peers.catalog import DRIVERS, PEERS, Peer, Setting
from benchmarks.peers.setting import MODELS, setting_of
from stoker.bench.machine import usable_cores
from stoker.model.load import open_model

PLAIN = "hugging-face"


def ensure_weights(setting: Setting, peers: Iterable[Peer]) -> None:
    setting.folder.mkdir(parents=True, exist_ok=True)
    for peer in peers:
        target = peer.weights(setting)
        if target.exists():
            continue
        if target.suffix != ".gguf":
            _made(setting.folder / PLAIN, lambda part: _plain(setting, part))
        _made(target, lambda part, peer=peer: MAKERS[peer.name](setting, peer, part))


def _made(target: Path, make: Callable[[Path], None]) -> None:
    if target.exists():
        return
    print(f"making {target.parent.name}/{target.name}", file=sys.stderr)
    part = target.with_name(f"part-{target.name}")
    if part.is_dir():
        shutil.rmtree(part)
    make(part)
    part.rename(target)


def _plain(setting: Setting, part: Path) -> None:
    """Dequantised, as transformers reads it, with the file's own tokenizer."""
    part.mkdir()
    model = open_model(setting.shipped)
    write_folder(model, part)
    model.close()
    python = Path(__file__).parent.parent.parent / ".venv-fidelity" / "bin" / "python"
    _run([python, DRIVERS / "make_tokenizer.py", setting.shipped, part])


def _q4_0(setting: Setting, peer: Peer, part: Path) -> None:
    _run([peer.python, DRIVERS / "make_q4_0.py", setting.shipped, part])


def _int8(setting: Setting, peer: Peer, part: Path) -> None:
    part.mkdir()
    _run([peer.python, DRIVERS / "make_int8.py", setting.folder / PLAIN, part])


def _openvino(setting: Setting, peer: Peer, part: Path) -> None:
    _run([
        peer.python.with_name("optimum-cli"), "export", "openvino",
        "--model", setting.folder / PLAIN, "--task", "text-generation-with-past",
        "--weight-format", "int4", "--sym", "--group-size", "64", "--ratio", "1.0", part,
    ])  # fmt: skip


def _run(command: list[str | Path]) -> None:
    environment = dict(os.environ) | {"HF_HUB_OFFLINE": "1"}
    subprocess.run([str(part) for part in command], check=True, env=environment, stdout=sys.stderr)


MAKERS: dict[str, Callable[[Setting, Peer, Path], None]] = {
    "llama": _q4_0,
    "openvino": _openvino,
    "vllm": _int8,
}


def main() -> None:
    """For the models of the comparison and every peer that is installed."""
    for name in MODELS:
        ensure_weights(setting_of(name, usable_cores()), [one for one in PEERS if one.installed])


if __name__ == "__main__":
    main()
