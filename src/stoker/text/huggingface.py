"""Vocabulary and tokenizer of a Hugging Face folder, from its tokenizer.json as data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from stoker.errors import UnsupportedModel
from stoker.text import word_pieces
from stoker.text.vocabulary import (
    BYTE,
    CONTROL,
    NORMAL,
    UNUSED,
    USER_DEFINED,
    Vocabulary,
    byte_level_bytes,
    is_byte_token,
    is_guarded,
    sentencepiece_bytes,
)


def vocabulary(metadata: Mapping[str, Any]) -> Vocabulary:
    """Raises UnsupportedModel for anything but BPE and WordPiece."""
    tokenizer = metadata["tokenizer.json"]
    model = tokenizer["model"]
    kind = model.get("type", "BPE")
    if kind not in ("BPE", word_pieces.KIND):
        raise UnsupportedModel(f"tokenizer model '{kind}' is not supported (BPE and WordPiece are)")
    tokens, types = _tokens(model["vocab"], tokenizer.get("added_tokens") or [])
    byte_level = "ByteLevel" in json.dumps(tokenizer.get("pre_tokenizer"))
    config = metadata.get("tokenizer_config.json", {})
    index = {token: i for i, token in enumerate(tokens)}
    spell = byte_level_bytes if byte_level else sentencepiece_bytes
    if kind == word_pieces.KIND:
        spell = word_pieces.word_bytes
    return Vocabulary(
        tokens=tokens,
        types=types,
        token_bytes=spell(tokens, types),
        byte_level=byte_level,
        bos_token_id=index.get(_content(config.get("bos_token"))),
        adds_bos=bool(config.get("add_bos_token", _begins(tokenizer, config))),
        adds_space_prefix=kind == word_pieces.KIND or _adds_space(tokenizer),
        eos_token_ids=_ends(metadata, index, config),
    )


def stripped(metadata: Mapping[str, Any]) -> str:
    """tokenizer.json without control tokens and templates of its own, which Tokenizer places."""
    tokenizer = dict(metadata["tokenizer.json"])
    tokenizer["added_tokens"] = [
        token
        for token in tokenizer.get("added_tokens") or []
        if not is_guarded(token["content"], CONTROL if token["special"] else USER_DEFINED)
    ]
    model = dict(tokenizer["model"])
    if model.get("unk_token") not in model["vocab"]:
        model["unk_token"] = None
    if model.get("type") == word_pieces.KIND:
        tokenizer["decoder"] = word_pieces.SPELLS_BYTES
    unused = {"post_processor": None, "truncation": None, "padding": None}
    return json.dumps(tokenizer | unused | {"model": model})


def chat_template(metadata: Mapping[str, Any]) -> str | None:
    if "chat_template.jinja" in metadata:
        return str(metadata["chat_template.jinja"])
    template = metadata.get("tokenizer_config.json", {}).get("chat_template")
    if isinstance(template, list):  # several, by name
        named = {entry["name"]: entry["template"] for entry in template}
        template = named.get("default")
    return template if isinstance(template, str) else None


def _tokens(vocab: Mapping[str, int], added: list[dict[str, Any]]) -> tuple[list[str], list[int]]:
    size = 1 + max([*vocab.values(), *(token["id"] for token in added)])
    if size > 4 * (len(vocab) + len(added)) + 1024:
        raise UnsupportedModel("the tokenizer's ids are too sparse")
    tokens, types = [""] * size, [UNUSED] * size
    for token, i in vocab.items():
        tokens[i], types[i] = token, BYTE if is_byte_token(token) else NORMAL
    for entry in added:
        tokens[entry["id"]] = entry["content"]
        types[entry["id"]] = CONTROL if entry["special"] else USER_DEFINED
    return tokens, types


def _begins(tokenizer: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Whether the folder's own tokenizer would put the begin token before a text."""
    bos = _content(config.get("bos_token"))
    return bool(bos) and any(
        node.get("SpecialToken", {}).get("id") == bos
        for node in _nodes(tokenizer.get("post_processor"))
        if isinstance(node.get("SpecialToken"), dict)
    )


def _adds_space(tokenizer: Mapping[str, Any]) -> bool:
    """Whether it puts a space before all text. The Rust library drops that; Tokenizer does it."""
    steps = [*_nodes(tokenizer.get("normalizer")), *_nodes(tokenizer.get("pre_tokenizer"))]
    return any(
        step.get("type") == "Prepend"
        or (step.get("type") == "Metaspace" and step.get("prepend_scheme", "always") != "never")
        for step in steps
    )


def _nodes(part: Any) -> Iterator[dict[str, Any]]:
    """Every object in a part of tokenizer.json."""
    pending = [part]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            yield node
            pending += node.values()
        elif isinstance(node, list):
            pending += node


def _content(token: Any) -> str:
    return str(token.get("content", "")) if isinstance(token, dict) else str(token or "")


def _ends(
    metadata: Mapping[str, Any], index: Mapping[str, int], config: Mapping[str, Any]
) -> frozenset[int]:
    ends = {index[name] for name in [_content(config.get("eos_token"))] if name in index}
    for file in ("generation_config.json", "config.json"):
        value = metadata.get(file, {}).get("eos_token_id")
        ends |= {i for i in (value if isinstance(value, list) else [value]) if isinstance(i, int)}
    return frozenset(ends)
