"""Weights quantised while loading, by each way a model can be loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from stoker import LLM, AsyncEngine, SamplingParams
from stoker.cli.main import run
from stoker.errors import ConfigError
from stoker.model.convert import convert
from tests.support.checkpoints import write_folder

GREEDY = SamplingParams(max_tokens=12, temperature=0.0, ignore_eos=True)
SMALL: dict[str, int] = {"threads": 1, "kv_cache_mib": 8}
PROMPT = "the thing"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("quantize") / "tiny", "qwen3")


@pytest.fixture(scope="module")
def wanted(folder: Path) -> list[int]:
    """What the file that `stoker quantize` writes answers."""
    target = folder.parent / "q8_0.gguf"
    convert(folder, target, "q8_0", lambda done, total: None)
    with LLM(str(target), **SMALL) as llm:
        return llm.generate(PROMPT, GREEDY)[0].token_ids


def test_the_library_computes_what_the_quantised_file_does(folder: Path, wanted: list[int]) -> None:
    reports: list[tuple[int, int]] = []
    with LLM(str(folder), quantize="q8_0", progress=lambda *at: reports.append(at), **SMALL) as llm:
        assert llm.generate(PROMPT, GREEDY)[0].token_ids == wanted
    assert reports == sorted(reports)
    done, total = reports[-1]
    assert done == total < (folder / "model.safetensors").stat().st_size / 2


async def test_so_does_the_asyncio_engine(folder: Path, wanted: list[int]) -> None:
    reports: list[tuple[int, int]] = []
    async with AsyncEngine(
        str(folder), quantize="q8_0", progress=lambda *at: reports.append(at), **SMALL
    ) as engine:
        found = [
            token async for delta in engine.generate(PROMPT, GREEDY) for token in delta.token_ids
        ]
    assert found == wanted
    assert reports[-1][0] == reports[-1][1]


@pytest.mark.parametrize("command", ["run", "chat"])
def test_so_do_the_commands(
    command: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    loaded: list[str] = []
    load = LLM.__init__

    def remember(self: LLM, *arguments: object, **options: object) -> None:
        load(self, *arguments, **options)  # type: ignore[arg-type]
        loaded.append(self._prepared.settings.quantize or "as it is")

    monkeypatch.setattr(LLM, "__init__", remember)
    monkeypatch.setattr("builtins.input", lambda prompt: "/bye")
    flags = ["--quantize", "q8_0", "--threads", "1", "--kv-cache-mib", "8", "--max-tokens", "2"]
    arguments = [command, str(folder), *(["hello"] if command == "run" else []), *flags]
    assert run(arguments) == 0, capsys.readouterr().err
    assert loaded == ["q8_0"]


def test_a_format_that_does_not_exist_is_named(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.quantize must be one of q8_0, q4_1, q4_k"):
        LLM(str(folder), quantize="int8", **SMALL)


def test_weights_that_would_not_shrink_are_one_line(
    folder: Path, wanted: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(folder.parent / "q8_0.gguf")
    assert run(["run", file, "hello", "--quantize", "q8_0"]) == 2
    shown = capsys.readouterr().err
    assert "q8_0.gguf is no larger than q8_0 already" in shown
    assert shown.count("\n") == 1


@pytest.mark.parametrize("given", [["--quantize", "q8_0"], ["--threads", "2"]])
def test_what_only_a_local_model_takes_is_refused_beside_url(
    given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["chat", "--url", "http://127.0.0.1:1", *given]) == 2
    shown = capsys.readouterr().err
    assert "--url talks to one loaded elsewhere" in shown
    assert shown.count("\n") == 1
