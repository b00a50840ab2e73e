"""`stoker quantize` says what came of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stoker.cli import main as entry
from stoker.model import convert


@pytest.mark.parametrize(("shrunk", "lines"), [(True, 1), (False, 2)])
def test_it_says_when_nothing_became_smaller(
    shrunk: bool,
    lines: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def write(_source: Path, target: Path, *_: object) -> bool:
        target.write_bytes(b"weights")
        return shrunk

    monkeypatch.setattr(convert, "convert", write)
    (tmp_path / "m.gguf").write_bytes(b"weights")
    assert entry.run(["quantize", str(tmp_path / "m.gguf"), str(tmp_path / "out.gguf")]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == lines
    assert shown[-1].startswith("Nothing became smaller") is not shrunk
