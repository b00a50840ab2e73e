"""WordPiece tokenizers (Devlin et al. 2018), as the Rust tokenizer can be given them.

Their text is lost to begin with (case, accents, spaces), so tokens stand for text roughly: a space
before each word, and none before what continues one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stoker.errors import UnsupportedModel
from stoker.text.vocabulary import NORMAL

KIND = "WordPiece"
CONTINUES = "##"
SPELLS_BYTES = {
    "type": "Sequence",
    "decoders": [
        {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ],
}
"""A decoder that our Rust tokenizer knows how to read; encoding does not use it."""
_SPECIAL = {"unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "mask": "[MASK]"}


def word_bytes(tokens: Sequence[str], types: Sequence[int]) -> list[bytes]:
    """What each token adds to the text."""
    return [
        token.encode() if kind != NORMAL else _spelled(token).encode()
        for token, kind in zip(tokens, types, strict=True)
    ]


def _spelled(token: str) -> str:
    return token.removeprefix(CONTINUES) if token.startswith(CONTINUES) else f" {token}"


def completed(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """With the tokenizer.json that a folder's vocab.txt stands for, where it has no other."""
    if "tokenizer.json" in metadata or "vocab.txt" not in metadata:
        return metadata
    words = metadata["vocab.txt"].splitlines()
    return {**metadata, "tokenizer.json": _tokenizer(words, metadata)}


def _tokenizer(words: Sequence[str], metadata: Mapping[str, Any]) -> dict[str, Any]:
    config = metadata.get("tokenizer_config.json", {})
    vocab = {word: i for i, word in enumerate(words)}
    if any(name not in vocab for name in ("[UNK]", "[CLS]", "[SEP]")):
        raise UnsupportedModel("vocab.txt is not that of a BERT: it lacks [UNK], [CLS] or [SEP]")
    return {
        "version": "1.0",
        "added_tokens": [_added(vocab[name], name) for name in _SPECIAL.values() if name in vocab],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": bool(config.get("tokenize_chinese_chars", True)),
            "strip_accents": config.get("strip_accents"),
            "lowercase": bool(config.get("do_lower_case", True)),
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "BertProcessing",
            "sep": ["[SEP]", vocab["[SEP]"]],
            "cls": ["[CLS]", vocab["[CLS]"]],
        },
        "model": {
            "type": KIND,
            "unk_token": "[UNK]",
            "continuing_subword_prefix": CONTINUES,
            "max_input_chars_per_word": 100,
            "vocab": vocab,
        },
    }


def _added(token: int, content: str) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": token, "content": content, "special": True, **flags}
