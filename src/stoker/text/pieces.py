"""Cuts long text where that cannot change its tokens, so that no call of the tokenizer is long.

The Rust tokenizer holds Python's global lock while it works: a megabyte at once would stop every
stream of the process for a second. A token never spans the space between two words (checked when
the vocabulary is loaded), so text cut there has the same tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

PIECE = 4096
"""Characters after which a piece ends at the next safe place."""
MAX_PIECE = 16384
"""Where text without any safe place (no spaces, one repeated letter) is cut all the same. Its
tokens may differ from those of the uncut text; they still spell the same text."""

_BETWEEN_WORDS = r"[^\W\d_](?=[ \n][^\W\d_])"
_SPANS_WORDS = re.compile(r"[^\W\d_][ \n][^\W\d_]")
_NEVER = r"(?!)"


class Cutter:
    def __init__(self, token_bytes: Sequence[bytes]) -> None:
        vocabulary = b"\0".join(token_bytes).decode(errors="ignore")
        safe = _SPANS_WORDS.search(vocabulary) is None
        self._boundary = re.compile(_BETWEEN_WORDS if safe else _NEVER)

    def pieces(self, text: str) -> Iterator[str]:
        """Consecutive parts of `text`, none longer than MAX_PIECE."""
        start = 0
        while len(text) - start > PIECE:
            limit = min(start + MAX_PIECE, len(text))
            boundary = self._boundary.search(text, start + PIECE, limit)
            end = boundary.end() if boundary else limit
            yield text[start:end]
            start = end
        if start < len(text) or not text:
            yield text[start:]
