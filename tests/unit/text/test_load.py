"""From model metadata to tokenizer and template: cached, checked, and clear about what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stoker.errors import ConfigError, ModelFileError, StokerError, UnsupportedModel
from stoker.text import tokenizer_json
from stoker.text.load import load_text
from tests.support.checkpoints import CONTROL, TEMPLATE, vocabulary


def metadata(**changes: Any) -> dict[str, Any]:
    tokens, merges = vocabulary()
    found: dict[str, Any] = {
        "model": "gpt2",
        "pre": "gpt-2",
        "tokens": tokens,
        "token_type": [1] * (len(tokens) - len(CONTROL)) + [3] * len(CONTROL),
        "merges": merges,
        "bos_token_id": len(tokens) - 4,
        "eos_token_id": len(tokens) - 1,
    }
    found |= changes
    return {f"tokenizer.ggml.{key}": value for key, value in found.items() if value is not None}


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_the_second_load_builds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_text(tmp_path, metadata(), tmp_path / "cache")
    assert len(files(tmp_path / "cache")) == 1

    def build(*_: object) -> bytes:
        raise AssertionError("built again")

    monkeypatch.setattr(tokenizer_json, "build", build)
    second = load_text(tmp_path, metadata(), tmp_path / "cache")
    assert second.tokenizer.encode("in the end") == first.tokenizer.encode("in the end")


@pytest.mark.parametrize("damage", [b"", b"\n", b"{}", b"0" * 32 + b"\n{}"])
def test_a_damaged_cache_is_rebuilt(tmp_path: Path, damage: bytes) -> None:
    expected = load_text(tmp_path, metadata(), tmp_path / "cache").tokenizer.encode("the")
    (file,) = files(tmp_path / "cache")
    good = file.read_bytes()
    for content in (damage, good[:-1], good.replace(b"the", b"hte")):
        file.write_bytes(content)
        assert (
            load_text(tmp_path, metadata(), tmp_path / "cache").tokenizer.encode("the") == expected
        )
        assert file.read_bytes() == good


def test_another_vocabulary_does_not_get_this_ones_cache(tmp_path: Path) -> None:
    load_text(tmp_path, metadata(), tmp_path)
    load_text(tmp_path, metadata(merges=["t h"]), tmp_path)
    load_text(tmp_path, metadata(pre="smollm"), tmp_path)
    assert len(files(tmp_path)) == 3


def test_a_cache_that_cannot_be_written_is_only_slower(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert load_text(tmp_path, metadata(), tmp_path / "file").tokenizer.encode("the")


def test_a_base_model_has_no_template(tmp_path: Path) -> None:
    assert load_text(tmp_path, metadata(), tmp_path).chat_template is None
    chat = metadata() | {"tokenizer.chat_template": TEMPLATE}
    assert load_text(tmp_path, chat, tmp_path).chat_template is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "bert"},
        {"model": None},
        {"pre": "a-rule-of-tomorrow"},
        {"tokens": None},
        {"tokens": []},
        {"tokens": "text"},
        {"tokens": [1, 2, 3]},
        {"tokens": [*vocabulary()[0][:-1], "x" * (1 << 20)]},
        {"token_type": [1]},
        {"token_type": 7},
        {"merges": None},
        {"merges": []},
        {"merges": ["nothing here"]},
        {"merges": ["t h", "x yz"]},
        {"merges": ["th"]},
        {"merges": 5},
        {"merges": [None]},
        {"model": "llama", "merges": None},
        {"model": "llama", "merges": None, "scores": [0.0]},
        {"model": "llama", "merges": None, "scores": "none"},
    ],
)
def test_metadata_that_cannot_be_used_is_an_error_of_ours(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    with pytest.raises((ModelFileError, UnsupportedModel)):
        load_text(tmp_path / "model.gguf", metadata(**changes), tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"bos_token_id": 10**9},
        {"bos_token_id": -1},
        {"eos_token_id": "last"},
        {"eos_token_id": 10**9},
        {"tokens": [*vocabulary()[0][:-4], "", *CONTROL[:3]]},
        {"tokens": [*vocabulary()[0][:-4], "x" * 1024, *CONTROL[:3]]},
        {"tokens": [*vocabulary()[0][:-4], "a", *CONTROL[:3]]},
    ],
)
def test_odd_metadata_does_no_harm(tmp_path: Path, changes: dict[str, Any]) -> None:
    tokenizer = load_text(tmp_path, metadata(**changes), tmp_path).tokenizer
    assert tokenizer.decode(tokenizer.encode("Hello", add_bos=True)) == "Hello"
    assert all(0 <= end < tokenizer.vocab_size for end in tokenizer.eos_token_ids)


@pytest.mark.parametrize("template", ["{% if %}", "{{ ", "x" * 70_000, 7])
def test_a_template_that_cannot_be_used_is_one_line(tmp_path: Path, template: object) -> None:
    with pytest.raises(ConfigError, match="template") as refusal:
        load_text(tmp_path, metadata() | {"tokenizer.chat_template": template}, tmp_path)
    assert "\n" not in refusal.value.message


def folder(**changes: Any) -> dict[str, Any]:
    """A Hugging Face folder's files, as the reader of such folders hands them over."""
    tokens, merges = vocabulary()
    normal = tokens[: len(tokens) - len(CONTROL)]
    added = [
        {"id": len(normal) + i, "content": token, "special": True}
        | dict.fromkeys(["single_word", "lstrip", "rstrip", "normalized"], False)
        for i, token in enumerate(CONTROL)
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    tokenizer = {
        "version": "1.0",
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": byte_level | {"use_regex": True},
        "decoder": byte_level,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": CONTROL[0], "type_id": 0}}],
        },
        "model": {
            "type": "BPE",
            "vocab": {token: i for i, token in enumerate(normal)},
            "merges": merges,
        },
    }
    config = {"bos_token": CONTROL[0], "eos_token": {"content": CONTROL[3]}}
    return {"tokenizer.json": tokenizer | changes, "tokenizer_config.json": config}


def test_a_folder_and_a_file_of_the_same_model_agree(tmp_path: Path) -> None:
    ours = load_text(tmp_path, metadata(), tmp_path).tokenizer
    theirs = load_text(tmp_path, folder(), tmp_path).tokenizer
    for text in ("in the end", "<|im_end|>", "né 👍", ""):
        assert theirs.encode(text) == ours.encode(text)
    assert theirs.eos_token_ids == {ours.vocab_size - 1}
    assert theirs.encode("the", add_bos=True) == [theirs.bos_token_id, *ours.encode("the")]


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"type": "WordPiece", "vocab": {"a": 0}}},
        {"model": {"type": "BPE", "vocab": {"a": 4_000_000_000}, "merges": []}},
        {"model": {"type": "BPE", "vocab": {"a": "b"}, "merges": []}},
        {"model": None},
        {"decoder": None},
        {"added_tokens": [{"id": "x"}]},
        {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(((("}, "behavior": "Isolated"}},
    ],
)
def test_a_folder_that_cannot_be_used_is_an_error_of_ours(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    with pytest.raises(StokerError):
        load_text(tmp_path, json.loads(json.dumps(folder(**changes))), tmp_path)
