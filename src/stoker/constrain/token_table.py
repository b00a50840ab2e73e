"""What each token adds to the text, for a process that knows token ids only."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

import msgspec

from stoker.core.ids import TokenId

LONGEST = 1024
"""Bytes of a token. Longer ones are more than llguidance can hold, and are never drawn under a
constraint."""


class TokenTable(msgspec.Struct, frozen=True):
    """Packed, so that it costs little where nobody looks into it. An empty one knows nothing."""

    spelled: bytes = b""
    lengths: bytes = b""
    """Of each token in `spelled`, as native 16-bit numbers."""
    control: tuple[TokenId, ...] = ()
    """Tokens that add no text."""
    ends: tuple[TokenId, ...] = ()

    @classmethod
    def of(
        cls, tokens: Sequence[bytes], control: Iterable[TokenId], ends: Iterable[TokenId]
    ) -> TokenTable:
        kept = [token if len(token) <= LONGEST else b"" for token in tokens]
        lengths = array("H", map(len, kept)).tobytes()
        ends = sorted(ends)
        return cls(b"".join(kept), lengths, tuple(sorted({*control, *ends})), tuple(ends))

    @property
    def num_tokens(self) -> int:
        return len(self.lengths) // 2

    def tokens(self) -> list[bytes]:
        lengths = array("H")
        lengths.frombytes(self.lengths)
        tokens, position = [], 0
        for length in lengths:
            tokens.append(self.spelled[position : position + length])
            position += length
        return tokens
