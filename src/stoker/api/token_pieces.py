"""Gives each token its part of the text, for surfaces that show tokens one by one."""

from __future__ import annotations

from stoker.core.ids import TokenId
from stoker.text.detokenizer import Detokenizer
from stoker.text.tokenizer import Tokenizer


class TokenPieces:
    """The pieces and the rest join to exactly the text that was delivered, whatever a stop string
    cut off and wherever a character is spread over several tokens."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._detokenizer = Detokenizer(tokenizer)
        self._pending = ""

    def deliver(self, text: str) -> None:
        """Before the tokens that it completes."""
        self._pending += text

    def piece(self, token: TokenId) -> str:
        length = len(self._detokenizer.push((token,)))
        piece, self._pending = self._pending[:length], self._pending[length:]
        return piece

    def rest(self) -> str:
        """At the end: what belongs to no token, such as the mark of a cut-off character."""
        rest, self._pending = self._pending, ""
        return rest
