"""Output tokens to text, piece by piece, never half a character."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping

from stoker.core.ids import TokenId
from stoker.text.tokenizer import Tokenizer


class Detokenizer:
    """Feeds the bytes of each token to an incremental decoder, so the text of a stream depends on
    its tokens only, not on how they were split into pushes. It never sees the prompt, so it cannot
    repeat any of it. Control tokens add no text. Each byte is looked at once.

    Those in `shown` are an exception: whoever takes answers apart sees them as what it says.

    For log probabilities: a token's `text_offset` is `position` before it is pushed.
    """

    def __init__(self, tokenizer: Tokenizer, shown: Mapping[TokenId, str] | None = None) -> None:
        self._tokenizer = tokenizer
        self._shown = shown or {}
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self.position = 0
        """Characters delivered so far."""

    def push(self, tokens: Iterable[TokenId]) -> str:
        """The text these tokens complete; bytes of an unfinished character are held back."""
        if self._shown:
            return "".join([self._one(token) for token in tokens])
        return self._deliver(self._tokenizer.decode_bytes(tokens), final=False)

    def _one(self, token: TokenId) -> str:
        shown = self._shown.get(token)
        if shown is None:
            return self._deliver(self._tokenizer.decode_bytes((token,)), final=False)
        self.position += len(shown)
        return shown

    def flush(self) -> str:
        """What is left at the end: a replacement character for a cut-off character."""
        return self._deliver(b"", final=True)

    def _deliver(self, content: bytes, *, final: bool) -> str:
        text = self._decoder.decode(content, final)
        self.position += len(text)
        return text
