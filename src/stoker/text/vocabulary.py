"""A model's vocabulary: the bytes each token stands for, and what kind of token each one is."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stoker.constrain.token_table import TokenTable
from stoker.core.ids import TokenId
from stoker.errors import UnsupportedModel

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
"""Token types of GGUF."""
MAX_TOKEN_BYTES = 1024
"""What llguidance's table of tokens can hold."""

SPACE = "\u2581"
_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_LOOKS_LIKE_CONTROL = re.compile(r"<[|\uff5c].+>|<.+[|\uff5c]>|</?(?:start|end)_of_turn>|</?s>")
_ENDS_OF_TURN = frozenset(
    [
        "<|im_end|>",
        "<|eot_id|>",
        "<|eom_id|>",
        "<end_of_turn>",
        "<turn|>",
        "<|end|>",
        "<|return|>",
        "<|call|>",
        "<|endoftext|>",
        "<|end_of_text|>",
        "<|END_OF_TURN_TOKEN|>",
        "<\uff5cend\u2581of\u2581sentence\uff5c>",
        "<eos>",
        "</s>",
    ]
)
_KINDS = {"gpt2": True, "llama": False, "gemma4": False}
"""Values of tokenizer.ggml.model, and whether they are byte-level."""
_BEGIN_BY_DEFAULT = frozenset(["llama-bpe", "llama3", "llama-v3", "falcon3", "lfm2", "tekken"])
"""Splitting rules whose models expect the begin token though old files do not say so."""


@dataclass(frozen=True)
class Vocabulary:
    tokens: list[str]
    """As the file spells them."""
    types: list[int]
    token_bytes: list[bytes]
    """What each token adds to the text. Control tokens are spelled out."""
    byte_level: bool
    """GPT-2 style byte-level BPE; otherwise SentencePiece with byte fallback."""
    bos_token_id: TokenId | None
    adds_bos: bool
    adds_space_prefix: bool
    eos_token_ids: frozenset[TokenId]
    """Tokens that end a turn or a text."""

    @classmethod
    def from_gguf(cls, metadata: Mapping[str, Any]) -> Vocabulary:
        """Raises UnsupportedModel for a kind of tokenizer we lack, ValueError for bad metadata."""
        kind = metadata.get("tokenizer.ggml.model")
        if kind not in _KINDS:
            raise UnsupportedModel(
                f"tokenizer '{kind}' is not supported", hint=f"Supported: {', '.join(_KINDS)}."
            )
        tokens = metadata["tokenizer.ggml.tokens"]
        types = metadata.get("tokenizer.ggml.token_type") or [NORMAL] * len(tokens)
        _check(tokens, types)
        byte_level = _KINDS[kind]
        begins = not byte_level or metadata.get("tokenizer.ggml.pre") in _BEGIN_BY_DEFAULT
        return cls(
            tokens=tokens,
            types=types,
            token_bytes=(byte_level_bytes if byte_level else sentencepiece_bytes)(tokens, types),
            byte_level=byte_level,
            bos_token_id=token_id(metadata, "bos_token_id", tokens),
            adds_bos=bool(metadata.get("tokenizer.ggml.add_bos_token", begins)),
            adds_space_prefix=bool(
                metadata.get("tokenizer.ggml.add_space_prefix", kind == "llama") and not byte_level
            ),
            eos_token_ids=_ends(metadata, tokens, types),
        )

    @functools.cached_property
    def control_token_ids(self) -> frozenset[TokenId]:
        """Tokens that add no text to an answer."""
        return frozenset(i for i, kind in enumerate(self.types) if kind in (CONTROL, UNKNOWN))

    @functools.cached_property
    def table(self) -> TokenTable:
        """For processes that know token ids only."""
        return TokenTable.of(self.token_bytes, self.control_token_ids, self.eos_token_ids)

    @functools.cached_property
    def control_tokens(self) -> dict[str, TokenId]:
        """Spelling → id of every token that text from a user must never turn into: those the file
        calls control tokens, and those it forgot to call so."""
        return {
            token: i
            for i, (token, kind) in enumerate(zip(self.tokens, self.types, strict=True))
            if token and is_guarded(token, kind)
        }


def is_guarded(token: str, kind: int) -> bool:
    return kind in (CONTROL, UNKNOWN) or (
        kind in (USER_DEFINED, UNUSED) and _LOOKS_LIKE_CONTROL.fullmatch(token) is not None
    )


def is_byte_token(token: str) -> bool:
    return _BYTE_TOKEN.fullmatch(token) is not None


def byte_alphabet() -> dict[str, int]:
    """GPT-2's reversible spelling of bytes as printable characters."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    alphabet = {chr(byte): byte for byte in printable}
    return alphabet | {chr(256 + i): byte for i, byte in enumerate(others)}


def byte_level_bytes(tokens: list[str], types: list[int]) -> list[bytes]:
    """A character outside the alphabet can only be part of a token added as plain text."""
    table = {ord(letter): chr(byte) for letter, byte in byte_alphabet().items()}

    def spelled(token: str) -> bytes:
        try:
            return token.translate(table).encode("latin-1")
        except UnicodeEncodeError:
            return token.encode()

    return [
        spelled(token) if kind == NORMAL else token.encode()
        for token, kind in zip(tokens, types, strict=True)
    ]


def sentencepiece_bytes(tokens: list[str], types: list[int]) -> list[bytes]:
    def spelled(token: str, kind: int) -> bytes:
        match = _BYTE_TOKEN.fullmatch(token) if kind == BYTE else None
        return bytes([int(match[1], 16)]) if match else token.encode()

    return [
        token.replace(SPACE, " ").encode()
        if kind in (NORMAL, USER_DEFINED)
        else spelled(token, kind)
        for token, kind in zip(tokens, types, strict=True)
    ]


def _check(tokens: Any, types: Any) -> None:
    if not isinstance(tokens, list) or not tokens or not isinstance(types, list):
        raise ValueError("the vocabulary is not a list of tokens and their types")
    if len(types) != len(tokens):
        raise ValueError("there are not as many token types as tokens")
    if not all(isinstance(token, str) for token in tokens):
        raise ValueError("a token is not a string")
    longest = max(tokens, key=len)
    if len(longest.encode()) > MAX_TOKEN_BYTES:
        raise ValueError(f"a token is longer than {MAX_TOKEN_BYTES} bytes")


def token_id(metadata: Mapping[str, Any], key: str, tokens: list[str]) -> TokenId | None:
    """A token the metadata names; None if it names none that exists."""
    found = metadata.get(f"tokenizer.ggml.{key}")
    valid = isinstance(found, int) and 0 <= found < len(tokens)
    return found if valid else None


def _ends(metadata: Mapping[str, Any], tokens: list[str], types: list[int]) -> frozenset[TokenId]:
    """The file's own end tokens, and control tokens that are known to end a turn: files of chat
    models often name only one of the two they use."""
    keys = ("eos_token_id", "eot_token_id", "eom_token_id")
    named = (token_id(metadata, key, tokens) for key in keys)
    known = {
        token: i
        for i, token in enumerate(tokens)
        if token in _ENDS_OF_TURN and types[i] in (CONTROL, USER_DEFINED)
    }
    if "<|return|>" in known:  # there, <|end|> closes one message of an answer, not the answer
        known.pop("<|end|>", None)
    return frozenset({token for token in named if token is not None} | set(known.values()))
