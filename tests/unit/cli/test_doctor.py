"""`stoker doctor` says what runs here and why each setting is what it is, without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from stoker.cli.main import run
from stoker.kernels.decoder import available_kernels


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["doctor", *arguments]) == 0
    return capsys.readouterr().out


def test_kernels_chosen_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert f"kernels    {available_kernels()[0]} (auto;" in shown(capsys)


def test_kernels_forced(capsys: pytest.CaptureFixture[str]) -> None:
    assert "kernels    portable (portable;" in shown(capsys, "--kernels", "portable")


def test_each_value_has_its_source(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "stoker.toml"
    path.write_text("[engine]\nmax_running = 7\n")
    monkeypatch.setenv("STOKER_PORT", "8123")
    rows = {
        line.split()[0]: line.split(maxsplit=2)[1:]
        for line in shown(capsys, "--config", str(path), "--threads", "3").splitlines()
        if line.startswith("  ")
    }
    assert rows["engine.max_running"] == ["7", f"file {path}"]
    assert rows["server.port"] == ["8123", "environment STOKER_PORT"]
    assert rows["engine.threads"] == ["3", "flag --threads"]
    assert rows["server.host"] == ["127.0.0.1", "default"]


def test_the_key_is_not_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOKER_API_KEY", "sk-canary-7")
    assert "sk-canary-7" not in shown(capsys)


def test_meaningless_variables_are_reported(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOKER_PROT", "1")
    assert "STOKER_PROT is set and means nothing" in shown(capsys)


def test_models_lists_the_catalog(capsys: pytest.CaptureFixture[str], tmp_path: Path,
                                  monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setenv("STOKER_CACHE", str(tmp_path))
    assert run(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [
        "smollm2:135m", "qwen2.5-coder:0.5b", "qwen2.5-coder:1.5b", "gemma3:270m",
        "all-minilm:l6-v2",
    ]  # fmt: skip
    assert all("to fetch" in line for line in lines[1:])
