"""A model's vocabulary: the bytes each token stands for, and which tokens are control tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stoker.core.ids import TokenId
from stoker.errors import UnsupportedModel

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
"""Token types of GGUF."""

SPACE = "\u2581"
_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_ENDS_OF_TURN = (
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<end_of_turn>",
    "<|end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<eos>",
    "</s>",
)


def byte_alphabet() -> dict[str, int]:
    """GPT-2's reversible spelling of bytes as printable characters."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    alphabet = {chr(byte): byte for byte in printable}
    return alphabet | {chr(256 + i): byte for i, byte in enumerate(others)}


@dataclass(frozen=True, slots=True)
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
        """Raises UnsupportedModel for a kind of tokenizer we lack."""
        kind = metadata.get("tokenizer.ggml.model")
        if kind not in ("gpt2", "llama"):
            raise UnsupportedModel(f"tokenizer '{kind}' is not supported (gpt2 and llama are)")
        tokens = list(metadata["tokenizer.ggml.tokens"])
        types = list(metadata.get("tokenizer.ggml.token_type") or [NORMAL] * len(tokens))
        byte_level = kind == "gpt2"
        spell = byte_level_bytes if byte_level else sentencepiece_bytes
        return cls(
            tokens=tokens,
            types=types,
            token_bytes=spell(tokens, types),
            byte_level=byte_level,
            bos_token_id=metadata.get("tokenizer.ggml.bos_token_id"),
            adds_bos=bool(metadata.get("tokenizer.ggml.add_bos_token", not byte_level)),
            adds_space_prefix=bool(metadata.get("tokenizer.ggml.add_space_prefix", not byte_level)),
            eos_token_ids=_ends(metadata, tokens, types),
        )

    @property
    def control_tokens(self) -> dict[str, TokenId]:
        """Spelling → id of every token that text from a user must never turn into."""
        return {
            token: i
            for i, (token, kind) in enumerate(zip(self.tokens, self.types, strict=True))
            if kind in (CONTROL, UNKNOWN) and token
        }


def byte_level_bytes(tokens: list[str], types: list[int]) -> list[bytes]:
    table = {ord(letter): byte for letter, byte in byte_alphabet().items()}
    return [
        bytes(table[ord(letter)] for letter in token)
        if kind == NORMAL and all(ord(letter) in table for letter in token)
        else token.encode()
        for token, kind in zip(tokens, types, strict=True)
    ]


def is_byte_token(token: str) -> bool:
    return _BYTE_TOKEN.fullmatch(token) is not None


def sentencepiece_bytes(tokens: list[str], types: list[int]) -> list[bytes]:
    spelled = []
    for token, kind in zip(tokens, types, strict=True):
        match = _BYTE_TOKEN.fullmatch(token) if kind == BYTE else None
        if match:
            spelled.append(bytes([int(match[1], 16)]))
        elif kind in (CONTROL, UNKNOWN):
            spelled.append(token.encode())
        else:
            spelled.append(token.replace(SPACE, " ").encode())
    return spelled


def _ends(metadata: Mapping[str, Any], tokens: list[str], types: list[int]) -> frozenset[TokenId]:
    """The file's own end tokens, and control tokens that are known to end a turn: files of chat
    models often name only one of the two they use."""
    keys = ("eos_token_id", "eot_token_id", "eom_token_id")
    named = (metadata.get(f"tokenizer.ggml.{key}") for key in keys)
    ends = {token for token in named if isinstance(token, int)}
    known = set(_ENDS_OF_TURN)
    for i, token in enumerate(tokens):
        if token in known and types[i] in (CONTROL, USER_DEFINED):
            ends.add(i)
    return frozenset(ends)
