"""A folder's tokenizer in the terms of GGUF metadata: byte-level BPE, or SentencePiece's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from stoker.errors import UnsupportedModel
from stoker.model.gguf_sentencepiece import sentencepiece_entries
from stoker.model.weights import gguf_writer as gguf

NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
"""Token types of GGUF."""

_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}DIGITS| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_RULES: dict[tuple[str, ...], str] = {
    (_WORDS.replace("DIGITS", "{1,3}"), "bytes"): "llama-bpe",
    (_WORDS.replace("DIGITS", ""), "bytes"): "qwen2",
    ("digits", "words and bytes"): "smollm",
    ("words and bytes",): "gpt-2",
}
"""Steps of a pre-tokeniser → the name GGUF has for them."""


def tokenizer_entries(metadata: Mapping[str, Any], vocab_size: int) -> list[bytes]:
    """Raises UnsupportedModel for a tokenizer GGUF readers would not split alike."""
    try:
        return _entries(metadata, vocab_size)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise UnsupportedModel(
            f"the folder's tokenizer is incomplete ({type(error).__name__})"
        ) from None


def _entries(metadata: Mapping[str, Any], vocab_size: int) -> list[bytes]:
    tokenizer = metadata["tokenizer.json"]
    config = metadata.get("tokenizer_config.json", {})
    added = tokenizer.get("added_tokens") or []
    tokens, types = _tokens(tokenizer["model"]["vocab"], added, vocab_size)
    falls_back = tokenizer["model"].get("byte_fallback")
    entries = (sentencepiece_entries if falls_back else _byte_level)(tokenizer, tokens, types)
    index = {token: i for i, token in enumerate(tokens)}
    bos = index.get(_content(config.get("bos_token")))
    if bos is not None:
        entries.append(gguf.count("tokenizer.ggml.bos_token_id", bos))
    entries.append(gguf.flag("tokenizer.ggml.add_bos_token", _adds_bos(tokenizer, config)))
    ends = _ends(metadata, index.get(_content(config.get("eos_token"))))
    for key, end in zip(("eos_token_id", "eot_token_id"), ends, strict=False):
        entries.append(gguf.count(f"tokenizer.ggml.{key}", end))
    template = metadata.get("chat_template.jinja", config.get("chat_template"))
    if isinstance(template, str):
        entries.append(gguf.text("tokenizer.chat_template", template))
    return entries


def _byte_level(
    tokenizer: Mapping[str, Any], tokens: Sequence[str], types: Sequence[int]
) -> list[bytes]:
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in
              tokenizer["model"]["merges"]]  # fmt: skip
    return [
        gguf.text("tokenizer.ggml.model", "gpt2"),
        gguf.text("tokenizer.ggml.pre", splitting_rule(tokenizer.get("pre_tokenizer") or {})),
        gguf.texts("tokenizer.ggml.tokens", tokens),
        gguf.integers("tokenizer.ggml.token_type", types),
        gguf.texts("tokenizer.ggml.merges", merges),
    ]


def splitting_rule(pre_tokenizer: Mapping[str, Any]) -> str:
    """The name GGUF has for how text is split before merging. Raises UnsupportedModel."""
    steps = pre_tokenizer.get("pretokenizers", [pre_tokenizer])
    found = tuple(_step(step) for step in steps)
    if found not in _RULES:
        raise UnsupportedModel(
            "the folder's tokenizer splits text in a way that has no name in GGUF files",
            hint="BPE as in Llama, Qwen, Gemma, SmolLM and GPT-2 can be written.",
        )
    return _RULES[found]


def _step(step: Mapping[str, Any]) -> str:
    match step:
        case {"type": "Split", "pattern": {"Regex": str(pattern)}}:
            return pattern
        case {"type": "Digits", "individual_digits": True}:
            return "digits"
        case {"type": "ByteLevel", "use_regex": False}:
            return "bytes"
        case {"type": "ByteLevel"}:
            return "words and bytes"
    return json.dumps(step)


def _tokens(
    vocab: Mapping[str, int], added: list[dict[str, Any]], size: int
) -> tuple[list[str], list[int]]:
    """Every row of the embedding has a token; those the tokenizer lacks are unused."""
    tokens, types = [f"[PAD{i}]" for i in range(size)], [UNUSED] * size
    for token, i in vocab.items():
        tokens[i], types[i] = token, NORMAL
    for entry in added:
        tokens[entry["id"]] = entry["content"]
        types[entry["id"]] = CONTROL if entry["special"] else USER_DEFINED
    return tokens, types


def _content(token: Any) -> str:
    return str(token.get("content", "")) if isinstance(token, dict) else str(token or "")


def _adds_bos(tokenizer: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Said outright, or by a template that puts a special token first."""
    if isinstance(config.get("add_bos_token"), bool):
        return bool(config["add_bos_token"])
    processors = [tokenizer.get("post_processor") or {}]
    processors += processors[0].get("processors", [])
    return any("SpecialToken" in (p.get("single") or [{}])[0] for p in processors)


def _ends(metadata: Mapping[str, Any], named: int | None) -> list[int]:
    """Ids that end a text, the tokenizer's own first."""
    ends = [] if named is None else [named]
    for file in ("generation_config.json", "config.json"):
        value = metadata.get(file, {}).get("eos_token_id")
        found = value if isinstance(value, list) else [value]
        ends += [i for i in found if isinstance(i, int) and i not in ends]
    return ends
