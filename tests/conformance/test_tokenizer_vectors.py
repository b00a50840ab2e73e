"""Tokens equal to the published vectors, for every vocabulary family that is served."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from stoker.errors import UnsupportedModel
from stoker.model.weights.gguf import GgufFile
from stoker.text.load import TextModel, load_text
from tests.support.sdist import llama_cpp_sdist

SERVED = {
    "command-r": 46,
    "deepseek-coder": 46,
    "deepseek-llm": 46,
    "falcon": 46,
    "gemma-4": 46,
    "gpt-2": 46,
    "llama-bpe": 46,
    "llama-spm": 46,
    "mpt": 46,
    "phi-3": 46,
    "qwen2": 46,
    "qwen35": 50,
    "refact": 46,
    "starcoder": 46,
}
"""Vocabularies, and how many texts each has vectors for."""
NOT_SERVED = ["bert-bge", "nomic-bert-moe"]
SEPARATOR = "\n__ggml_vocab_test__\n"


def load(name: str, cache: Path) -> TextModel:
    path = llama_cpp_sdist() / f"ggml-vocab-{name}.gguf"
    with GgufFile.open(path) as file:
        return load_text(path, file.metadata, cache)


def vectors(name: str) -> list[tuple[str, list[int]]]:
    base = llama_cpp_sdist() / f"ggml-vocab-{name}.gguf"
    texts = Path(f"{base}.inp").read_bytes().decode().split(SEPARATOR)
    expected = Path(f"{base}.out").read_text(encoding="utf-8").splitlines()
    return [
        (text, [int(i) for i in ids.split()]) for text, ids in zip(texts, expected, strict=False)
    ]


@pytest.mark.parametrize("name", SERVED)
def test_tokens_are_those_of_the_vectors_and_give_the_text_back(name: str, tmp_path: Path) -> None:
    tokenizer = load(name, tmp_path).tokenizer
    pairs = vectors(name)
    assert len(pairs) == SERVED[name]
    for text, expected in pairs:
        assert tokenizer.encode(text) == expected, text
        assert tokenizer.decode(expected) in (text, unicodedata.normalize("NFC", text))


@pytest.mark.parametrize("name", NOT_SERVED)
def test_a_tokenizer_of_another_kind_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="is not supported"):
        load(name, tmp_path)


def test_every_vocabulary_with_vectors_is_in_one_of_the_lists() -> None:
    found = {path.name[11:-9] for path in llama_cpp_sdist().glob("*.gguf.inp")}
    assert found <= {*SERVED, *NOT_SERVED}
