"""Exit codes, one-line errors, and a start quick enough not to notice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from stoker.cli import main as entry
from stoker.errors import ConfigError, PullError


def invoke(*arguments: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "stoker", *arguments],
        capture_output=True,
        text=True,
        env=environ,
        check=False,
    )


def test_help_lists_every_command_and_imports_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in entry.COMMANDS)


@pytest.mark.parametrize("name", entry.COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.run([name, "--help"]) == 0
    assert "Usage: stoker" in capsys.readouterr().out


def test_help_loads_neither_arrays_nor_servers() -> None:
    """What keeps `stoker --help` under a fifth of a second, without timing it."""
    code = (
        "import sys; from stoker.cli.main import run; run(['--help']);"
        "print([m for m in ('numpy', 'aiohttp', 'starlette', 'uvicorn', 'rich', 'asyncio',"
        " 'jinja2', 'llguidance') if m in sys.modules])"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert finished.stdout.splitlines()[-1] == "[]"


def test_no_command_shows_help_and_is_a_usage_error() -> None:
    assert invoke().returncode == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["serv"], "No such command 'serv'"),
        (["pull"], "Missing argument 'MODEL'"),
        (["run", "m", "p", "--temperature", "9"], "9"),
        (["doctor", "--port", "1"], "No such option"),
    ],
)
def test_usage_errors_exit_2(arguments: list[str], says: str) -> None:
    finished = invoke(*arguments)
    assert finished.returncode == 2
    assert says in finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["pull", "smollm2:136m"], "there is no model 'smollm2:136m' (Perhaps smollm2:135m"),
        (["pull", "./nowhere.gguf"], "there is no file or folder './nowhere.gguf'"),
        (["doctor", "--threads", "two"], "engine.threads must be a whole number from 0 to 1024"),
        (["doctor", "--kernels", "sse"], "must be one of auto, avx512_vnni, avx2, portable"),
        (["doctor", "--config", "/nowhere.toml"], "cannot read configuration file /nowhere.toml"),
        (["run", "./nowhere.gguf", "hello"], "there is no file or folder"),
    ],
)
def test_wrong_setup_is_one_line_and_exit_2(arguments: list[str], says: str) -> None:
    finished = invoke(*arguments)
    assert finished.returncode == 2
    assert says in finished.stderr
    assert len(finished.stderr.splitlines()) == 1
    assert finished.stderr.startswith("stoker: ")
    assert finished.stdout == ""


def test_interrupt_exits_130_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(entry.cli, "main", interrupted)
    assert entry.run(["models"]) == 130
    assert capsys.readouterr().err == ""


def test_interrupt_inside_a_command_exits_130(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def command() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(entry.LazyGroup, "get_command", lambda *_: command)
    assert entry.run(["models"]) == 130


def test_a_command_may_return_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        entry.LazyGroup, "get_command", lambda *_: click.Command("x", callback=lambda: 1)
    )
    assert entry.run(["models"]) == 1


def test_errors_fit_on_one_line() -> None:
    error = ConfigError("first\nsecond", hint="Do this.")
    assert entry.one_line(error) == "stoker: first second (Do this)"
    assert entry.one_line(PullError("gone")) == "stoker: gone"


def test_version() -> None:
    from stoker import __version__

    assert invoke("--version").stdout == f"stoker, version {__version__}\n"


def test_interrupted_while_it_imports_ends_without_a_traceback(tmp_path: Path) -> None:
    """A `click` that is interrupted stands for any import; nothing earlier can be."""
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt")
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    finished = invoke("models", environ=environ)
    assert (finished.returncode, finished.stderr) == (130, "")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--threads", "100000"], "from 0 to 1024, not '100000' (flag --threads) (0: one per core"),
        (["--max-running", "-1"], "of at least 1, not '-1' (flag --max-running) (Sequences comp"),
        (["--kv-cache-mib", "2GiB"], "not '2GiB' (flag --kv-cache-mib) (Write 2048;"),
    ],
)
def test_a_flag_out_of_range_says_what_it_means(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry.run(["doctor", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_a_negative_time_is_not_told_to_be_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.run(["serve", "--drain-seconds", "-1"]) == 2
    shown = capsys.readouterr().err
    assert "server.drain_seconds must be a number of at least 0" in shown
    assert "(Running requests get so long to finish at shutdown)" in shown


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nothere", "('stoker models' lists them; or give a path"),
        ("x", "('stoker models' lists them; or give a path"),
        ("qwen", "(Perhaps qwen2.5-coder:0.5b or qwen2.5-coder:1.5b; or"),
        ("SmolLM", "(Perhaps smollm2:135m; or"),
        ("smollm2:135n", "(Perhaps smollm2:135m; or"),
        ("gemma3:27b", "(Perhaps gemma3:270m; or"),
    ],
)
def test_only_names_that_are_alike_are_suggested(
    name: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry.run(["pull", name]) == 2
    assert says in capsys.readouterr().err


def test_a_catalog_name_may_be_in_upper_case(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from stoker.model import pull

    monkeypatch.setattr(pull, "pull", lambda model, *_: model.name)
    assert entry.run(["pull", "SmolLM2:135M"]) == 0
    assert capsys.readouterr().out == "smollm2:135m\n"
