"""Output tokens to text, piece by piece, never half a character."""

from __future__ import annotations

import codecs
from collections.abc import Iterable

from stoker.core.ids import TokenId
from stoker.text.tokenizer import Tokenizer


class Detokenizer:
    """Feeds the bytes of each token to an incremental decoder, so the text of a stream depends on
    its tokens only, not on how they were split into pushes. Control tokens add no text."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, tokens: Iterable[TokenId]) -> str:
        """The text these tokens complete; bytes of an unfinished character are held back."""
        content = b"".join(
            self._tokenizer.token_bytes(token)
            for token in tokens
            if not self._tokenizer.is_control(token)
        )
        return self._decoder.decode(content)

    def flush(self) -> str:
        """What is left at the end: replacement characters for a cut-off character."""
        return self._decoder.decode(b"", final=True)
