"""Writes the tokenizer.json that GGUF metadata describes, for the Rust tokenizer to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from stoker.errors import UnsupportedModel
from stoker.text.pretokenizers import recipe, split_steps
from stoker.text.vocabulary import (
    NORMAL,
    SPACE,
    USER_DEFINED,
    Vocabulary,
    is_guarded,
    token_id,
)

_LINES = {
    "type": "Split",
    "pattern": {"Regex": r"[^\n]+|\n+"},
    "behavior": "Isolated",
    "invert": False,
}


def build(vocabulary: Vocabulary, metadata: Mapping[str, Any]) -> bytes:
    """Raises UnsupportedModel when the file lacks merges or names an unknown splitting rule."""
    family = _byte_level if vocabulary.byte_level else _sentencepiece
    parts = family(vocabulary, metadata)
    model = {
        "type": "BPE",
        "dropout": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "vocab": {token: i for i, token in enumerate(vocabulary.tokens)},
        **parts.pop("model"),
    }
    return msgspec.json.encode(
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": _added_tokens(vocabulary),
            "post_processor": None,
            **parts,
            "model": model,
        }
    )


def _added_tokens(vocabulary: Vocabulary) -> list[dict[str, Any]]:
    """User-defined tokens. Control tokens are left out, so that no text can spell one;
    Tokenizer.encode_template places them itself."""
    return [
        {
            "id": i,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": False,
        }
        for i, (token, kind) in enumerate(zip(vocabulary.tokens, vocabulary.types, strict=True))
        if kind == USER_DEFINED and token and not is_guarded(token, kind)
    ]


def _byte_level(vocabulary: Vocabulary, metadata: Mapping[str, Any]) -> dict[str, Any]:
    merges = metadata.get("tokenizer.ggml.merges")
    if not merges:
        raise UnsupportedModel("the file's tokenizer has no merges")
    how = recipe(str(metadata.get("tokenizer.ggml.pre", "default")))
    return {
        "normalizer": {"type": "NFC"} if how.composed else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": split_steps(how)},
        "decoder": {
            "type": "ByteLevel",
            "add_prefix_space": True,
            "trim_offsets": True,
            "use_regex": True,
        },
        "model": {
            "unk_token": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": how.whole_words,
            "merges": _merges(merges),
        },
    }


def _merges(merges: list[str]) -> list[str] | list[list[str]]:
    """`left right` strings are read a fifth faster than pairs, but not if a space is in a part."""
    if all(merge.count(" ") == 1 and not merge.startswith("#version") for merge in merges):
        return merges
    return [merge.split(" ", 1) for merge in merges]


def _sentencepiece(vocabulary: Vocabulary, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The space some models put before all text is Tokenizer's business, not written here."""
    merges = metadata.get("tokenizer.ggml.merges")
    unknown = token_id(metadata, "unknown_token_id", vocabulary.tokens)
    return {
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
        "pre_tokenizer": _LINES if merges else None,
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
        "model": {
            "unk_token": vocabulary.tokens[unknown] if unknown is not None else None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "merges": _merges(
                merges or _merges_from_scores(vocabulary, metadata["tokenizer.ggml.scores"])
            ),
        },
    }


def _merges_from_scores(vocabulary: Vocabulary, scores: list[float]) -> list[str]:
    """SentencePiece joins the pair whose result scores highest; as BPE merges that is every split
    of every token into two tokens, in order of the score of the whole, then of the parts."""
    rank = {token: i for i, token in enumerate(vocabulary.tokens)}
    ranked = [
        (-scores[i], rank[token[:cut]], rank[token[cut:]], token[:cut], token[cut:])
        for i, token in enumerate(vocabulary.tokens)
        if vocabulary.types[i] == NORMAL
        for cut in range(1, len(token))
        if token[:cut] in rank and token[cut:] in rank
    ]
    ranked.sort()
    return [f"{left} {right}" for _, _, _, left, right in ranked]
