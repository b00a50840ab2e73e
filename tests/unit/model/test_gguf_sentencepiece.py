"""A SentencePiece tokenizer of a folder, written to GGUF and read back, splits text the same."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from stoker.errors import UnsupportedModel
from stoker.model.gguf_tokenizer import tokenizer_entries
from stoker.model.weights.gguf import GgufFile
from stoker.model.weights.gguf_writer import write_gguf
from stoker.text import tokenizer_json
from stoker.text.load import TextModel, load_text
from stoker.text.vocabulary import Vocabulary
from tests.support.sdist import llama_cpp_sdist

SPACE = "\u2581"
SPECIAL = ["<unk>", "<s>", "</s>"]
LETTERS = [SPACE, *"abehint.\n"]
WORDS = ["he", "th", "the", f"{SPACE}the", "in", f"{SPACE}{SPACE}", f"{SPACE}" * 3, "an", "han"]
TEXTS = [
    "the hat",
    "then  in the   bath",
    "thehe\n\n\nhan",
    "    four",
    "né 👍 日本",
    "<s> </s> <0x0A>",
    "[note] the [note][note]",
    " ",
]
REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
PREPEND = {"type": "Prepend", "prepend": SPACE}
STYLES: dict[str, dict[str, Any]] = {
    "llama 2": {"normalizer": {"type": "Sequence", "normalizers": [PREPEND, REPLACE]}},
    "gemma": {
        "normalizer": REPLACE,
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"String": " "},
            "behavior": "MergedWithPrevious",
            "invert": False,
        },
    },
    "mistral": {
        "pre_tokenizer": {
            "type": "Metaspace",
            "replacement": SPACE,
            "prepend_scheme": "first",
            "split": False,
        }
    },
}


def folder(**parts: Any) -> dict[str, Any]:
    """What a reader of such a folder hands over, with every pair that makes a token listed."""
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    vocab = {token: i for i, token in enumerate([*SPECIAL, *bytes_, *LETTERS, *WORDS])}
    merges = [
        f"{word[:cut]} {word[cut:]}"
        for word in WORDS
        for cut in range(1, len(word))
        if word[:cut] in vocab and word[cut:] in vocab
    ]
    plain = dict.fromkeys(["single_word", "lstrip", "rstrip", "normalized"], False)
    added = [{"id": i, "content": t, "special": True} | plain for i, t in enumerate(SPECIAL)]
    added.append({"id": len(vocab), "content": "[note]", "special": False} | plain)
    decoders = [
        {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    tokenizer: dict[str, Any] = {
        "version": "1.0",
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": None,
        "decoder": {"type": "Sequence", "decoders": decoders},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": "<s>", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
            ],
        },
        "model": {
            "type": "BPE",
            "unk_token": "<unk>",
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": vocab,
            "merges": merges,
        },
    }
    config = {"bos_token": "<s>", "eos_token": "</s>", "chat_template": "{{ messages[0].content }}"}
    return {"tokenizer.json": tokenizer | parts, "tokenizer_config.json": config}


class NoWeights:
    """A file may hold metadata alone."""

    def info(self, name: str) -> Any:
        raise KeyError(name)


def written(metadata: dict[str, Any], folder_: Path, size: int = 300) -> dict[str, Any]:
    """The metadata of the GGUF file that the folder becomes."""
    target = folder_ / "out.gguf"
    entries = tokenizer_entries(metadata, size)
    write_gguf(target, entries, NoWeights(), {}, lambda done, total: None)  # type: ignore[arg-type]
    with GgufFile.open(target) as file:
        return dict(file.metadata)


def both(metadata: dict[str, Any], path: Path, size: int = 300) -> tuple[TextModel, TextModel]:
    again = written(metadata, path, size)
    return load_text(path, metadata, path), load_text(path, again, path)


@pytest.mark.parametrize("style", STYLES)
def test_a_file_splits_text_as_its_folder_does(style: str, tmp_path: Path) -> None:
    of_folder, of_file = both(folder(**STYLES[style]), tmp_path)
    for text in TEXTS:
        wanted = of_folder.tokenizer.encode(text, add_bos=True)
        assert of_file.tokenizer.encode(text, add_bos=True) == wanted, text
        assert of_file.tokenizer.decode(wanted) == text
        assert wanted[0] == of_file.tokenizer.bos_token_id == 1
    assert of_folder.tokenizer.eos_token_ids == of_file.tokenizer.eos_token_ids == {2}
    assert of_file.chat_template is not None


def test_metadata_is_what_other_readers_expect(tmp_path: Path) -> None:
    found = written(folder(**STYLES["gemma"]), tmp_path)
    token = {key.removeprefix("tokenizer.ggml."): value for key, value in found.items()}
    assert token["model"] == "llama"
    assert [token[f"{name}_token_id"] for name in ("unknown", "bos", "eos")] == [0, 1, 2]
    assert token["add_bos_token"] is True
    assert token["add_space_prefix"] is False
    assert len(token["tokens"]) == len(token["scores"]) == len(token["token_type"]) == 300
    kinds = dict(zip(token["tokens"], token["token_type"], strict=True))
    assert [kinds[t] for t in ("<unk>", "<s>", "<0x0A>", "the", "[note]")] == [2, 3, 6, 1, 4]
    assert kinds["[PAD299]"] == 5
    scores = dict(zip(token["tokens"], token["scores"], strict=True))
    assert scores["he"] > scores["th"] > scores["the"] > scores["in"]
    assert written(folder(**STYLES["llama 2"]), tmp_path)["tokenizer.ggml.add_space_prefix"] is True


def test_runs_of_spaces_may_be_joined_in_a_mixed_order(tmp_path: Path) -> None:
    metadata = folder(**STYLES["gemma"])
    merges = metadata["tokenizer.json"]["model"]["merges"]
    runs = [merge for merge in merges if set(merge) == {SPACE, " "}]
    at = merges.index(runs[0])
    merges[at : at + 3] = [runs[1], runs[0], runs[2]]
    of_folder, of_file = both(metadata, tmp_path)
    for length in range(1, 12):
        text = f"a{' ' * length}b"
        assert of_file.tokenizer.encode(text) == of_folder.tokenizer.encode(text)


def _pair_left_out(tokenizer: dict[str, Any]) -> None:
    tokenizer["model"]["merges"].remove("t he")


def _mixed(tokenizer: dict[str, Any]) -> None:
    merges = tokenizer["model"]["merges"]
    merges.append(merges.pop(merges.index("t he")))


def _no_byte(tokenizer: dict[str, Any]) -> None:
    vocab = tokenizer["model"]["vocab"]
    vocab["?"] = vocab.pop("<0x41>")


def _whole_words(tokenizer: dict[str, Any]) -> None:
    tokenizer["model"]["ignore_merges"] = True


def _split_at_words(tokenizer: dict[str, Any]) -> None:
    tokenizer["pre_tokenizer"] = {"type": "Metaspace", "replacement": SPACE, "split": True}


def _other_letters(tokenizer: dict[str, Any]) -> None:
    tokenizer["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "NFKC"}, REPLACE]}


def _plain_spaces(tokenizer: dict[str, Any]) -> None:
    tokenizer["normalizer"] = None


CHANGES = {
    "does not join all pairs that make 'the'": _pair_left_out,
    "joins 'the' at two places": _mixed,
    "lacks bytes": _no_byte,
    "takes whole words first": _whole_words,
    "has a step 'Metaspace'": _split_at_words,
    "has a step 'NFKC'": _other_letters,
    "does not write spaces": _plain_spaces,
}


@pytest.mark.parametrize("says", CHANGES)
def test_what_gguf_would_split_differently_is_refused(says: str, tmp_path: Path) -> None:
    metadata = copy.deepcopy(folder(normalizer=REPLACE))
    CHANGES[says](metadata["tokenizer.json"])
    with pytest.raises(UnsupportedModel, match=says) as caught:
        written(metadata, tmp_path)
    assert "Serve the folder itself" in caught.value.hint
    assert not list(tmp_path.iterdir())


def test_the_vocabulary_of_llama_2_survives(tmp_path: Path) -> None:
    """From its GGUF file to a folder's form and back: 32,000 tokens, equal on every text."""
    path = llama_cpp_sdist() / "ggml-vocab-llama-spm.gguf"
    with GgufFile.open(path) as file:
        original = load_text(path, file.metadata, tmp_path).tokenizer
        described = tokenizer_json.build(Vocabulary.from_gguf(file.metadata), file.metadata)
    metadata = folder(**STYLES["llama 2"])
    metadata["tokenizer.json"]["model"] = json.loads(described)["model"]
    metadata["tokenizer.json"]["added_tokens"].pop()
    of_file = load_text(tmp_path, written(metadata, tmp_path, 32_000), tmp_path).tokenizer
    texts = Path(f"{path}.inp").read_bytes().decode().split("\n__ggml_vocab_test__\n")
    for text in [*texts, *(f"a{' ' * length}b" for length in range(40))]:
        assert of_file.encode(text) == original.encode(text)
