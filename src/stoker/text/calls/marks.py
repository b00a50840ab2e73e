"""Control tokens in text that is taken apart, told from anything a model can spell.

Each stands as a lone surrogate: no decoded text holds one. So a model that writes `[TOOL_CALLS]`
letter by letter, perhaps because a user did, has called no tool.
"""

from __future__ import annotations

from collections.abc import Mapping

from stoker.core.ids import TokenId
from stoker.text.tokenizer import Tokenizer

FIRST, MOST = 0xD800, 2048


class ControlMarks:
    """Given out as tokens are met in what a template writes."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._marks: dict[TokenId, str] = {}

    def marked(self, text: str) -> str:
        """The text with its control tokens as marks."""
        control = self._tokenizer.vocabulary.control_tokens
        hidden = self._tokenizer.special_ids

        def mark(spelled: str) -> str:
            token = control[spelled]
            if token not in hidden or (token not in self._marks and len(self._marks) == MOST):
                return spelled
            return self._marks.setdefault(token, chr(FIRST + len(self._marks)))

        return self._tokenizer.user_text.pattern.sub(lambda found: mark(found[0]), text)

    def shown(self, protocol: str) -> Mapping[TokenId, str]:
        """The marks that occur in a protocol."""
        return {token: mark for token, mark in self._marks.items() if mark in protocol}

    def spelled(self, text: str) -> str:
        """Control tokens spelled out again."""
        tokens = self._tokenizer.vocabulary.tokens
        for token, mark in self._marks.items():
            text = text.replace(mark, tokens[token])
        return text
