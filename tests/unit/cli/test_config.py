"""`stoker config`: what a person sees of a sound file; tests/faults/test_f17_* has the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from stoker.cli import main as entry
from stoker.config.reference import markdown

SOUND = """
models: [{name: small, source: "smollm2:135m", autoscale: {minimum: 0, maximum: 2}}]
backends: [{name: provider, url: "https://api.example.com/v1"}]
routes:
- name: chat
  targets: [{model: small}, {backend: provider, model: gpt}]
tenants: [{name: alice, budget: 10, requests_per_minute: 1000, privacy: local}]
"""


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STOKER_CONFIG", "STOKER_API_KEY", "STOKER_HOST", "STOKER_PORT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def sound(tmp_path: Path) -> str:
    (tmp_path / "stoker.yaml").write_text(SOUND)
    return str(tmp_path / "stoker.yaml")


def test_check_says_what_would_be_served(sound: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.run(["config", "check", sound]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        f"{sound} is sound",
        "  listens on 127.0.0.1:8000, open to everybody on this machine",
        "  model small (smollm2:135m): 0 to 2 replicas, local",
        "  route chat: small, else gpt at provider",
        "  backend provider: openai at https://api.example.com/v1",
        "  tenant alice: standard, 1,000 requests a minute, 10.00 a month, never leaves, 0 keys",
    ]
    assert "no price for 'gpt'" in shown.err


def test_check_takes_the_file_of_the_environment(
    sound: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STOKER_CONFIG", sound)
    assert entry.run(["config", "check"]) == 0
    assert capsys.readouterr().out.startswith(f"{sound} is sound")


def test_check_without_a_file_is_about_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.run(["config", "check"]) == 0
    assert "model smollm2:135m: 1 replica, local" in capsys.readouterr().out


def test_explain_shows_value_unit_source_and_meaning(
    sound: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry.run(["config", "explain", "--config", sound, "models.autoscale"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].split() == ["KEY", "VALUE", "UNIT", "SOURCE", "MEANING"]
    assert rows[2].split()[:4] == ["models[0].autoscale.maximum", "2", "file", sound]
    assert rows[3].split()[:4] == [
        "models[0].autoscale.idle_seconds",
        "300.0",
        "seconds",
        "default",
    ]
    assert rows[3].endswith("Without a request for so long, down to `minimum`.")


def test_reference_is_written_between_the_markers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry.run(["config", "reference"]) == 0
    assert capsys.readouterr().out == markdown() + "\n"
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- keys -->\nold\n<!-- end -->\nafter\n")
    assert entry.run(["config", "reference", "--into", str(page)]) == 0
    assert page.read_text() == f"before\n<!-- keys -->\n\n{markdown()}\n<!-- end -->\nafter\n"
