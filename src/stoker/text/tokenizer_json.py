"""Writes the tokenizer.json that GGUF metadata describes, for the Rust tokenizer to read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from stoker.errors import UnsupportedModel
from stoker.text.pretokenizers import recipe, split_steps
from stoker.text.vocabulary import CONTROL, SPACE, UNKNOWN, USER_DEFINED, Vocabulary


def build(vocabulary: Vocabulary, metadata: Mapping[str, Any]) -> str:
    """Raises UnsupportedModel when the file lacks merges or names an unknown splitting rule."""
    parts = _byte_level(metadata) if vocabulary.byte_level else _sentencepiece(vocabulary, metadata)
    model = {
        "type": "BPE",
        "dropout": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "vocab": {token: i for i, token in enumerate(vocabulary.tokens)},
        **parts.pop("model"),
    }
    return json.dumps(
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": _added_tokens(vocabulary),
            "post_processor": None,
            **parts,
            "model": model,
        },
        ensure_ascii=False,
    )


def _added_tokens(vocabulary: Vocabulary) -> list[dict[str, Any]]:
    """User-defined tokens only. Control tokens are left out, so that no text can spell one;
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
        if kind == USER_DEFINED and token
    ]


def _byte_level(metadata: Mapping[str, Any]) -> dict[str, Any]:
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
            "merges": [_pair(merge) for merge in merges],
        },
    }


def _pair(merge: str) -> list[str]:
    left, _, right = merge.partition(" ")
    return [left, right]


def _sentencepiece(vocabulary: Vocabulary, metadata: Mapping[str, Any]) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    ]
    if vocabulary.adds_space_prefix:
        steps.insert(0, {"type": "Prepend", "prepend": SPACE})
    unknown = metadata.get("tokenizer.ggml.unknown_token_id")
    return {
        "normalizer": {"type": "Sequence", "normalizers": steps},
        "pre_tokenizer": None,
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
            "merges": _merges_from_scores(vocabulary, list(metadata["tokenizer.ggml.scores"])),
        },
    }


def _merges_from_scores(vocabulary: Vocabulary, scores: list[float]) -> list[tuple[str, str]]:
    """SentencePiece joins the pair whose result scores highest; as BPE merges that is every split
    of every token into two tokens, in order of the score of the whole."""
    order = {token: i for i, token in enumerate(vocabulary.tokens)}
    special = {CONTROL, UNKNOWN}
    ranked = []
    for i, token in enumerate(vocabulary.tokens):
        if len(token) < 2 or vocabulary.types[i] in special:
            continue
        score = -scores[i]
        for cut in range(1, len(token)):
            left, right = token[:cut], token[cut:]
            if left in order and right in order:
                ranked.append((score, order[left], order[right], left, right))
    ranked.sort()
    return [(left, right) for _, _, _, left, right in ranked]
