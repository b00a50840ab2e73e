"""Text to token ids and back."""

from __future__ import annotations

import re
from collections.abc import Sequence

from llguidance import LLTokenizer

from stoker.core.ids import TokenId
from stoker.errors import InvalidRequest
from stoker.text.vocabulary import Vocabulary


class Tokenizer:
    """Thread-safe: the Rust tokenizer and the tables are read-only.

    Text from a user never becomes a control token, whatever it spells; only `encode_template`
    recognises those, and only where the template wrote them.
    """

    def __init__(self, vocabulary: Vocabulary, tokenizer_json: str) -> None:
        self.vocabulary = vocabulary
        self._rust = LLTokenizer(
            tokenizer_json, eos_token=sorted(vocabulary.eos_token_ids) or None, slices=[]
        )
        control = vocabulary.control_tokens
        self._control = control
        longest_first = sorted(control, key=len, reverse=True)
        self._control_pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    @property
    def vocab_size(self) -> int:
        return len(self.vocabulary.tokens)

    @property
    def eos_token_ids(self) -> frozenset[TokenId]:
        return self.vocabulary.eos_token_ids

    def encode(self, text: str, *, add_bos: bool = False) -> list[TokenId]:
        """Ordinary text. Raises InvalidRequest for text that is not valid Unicode."""
        try:
            ids = self._rust.tokenize_str(text)
        except UnicodeEncodeError:
            raise InvalidRequest(
                "the text holds a lone surrogate, which is not a character"
            ) from None
        bos = self.vocabulary.bos_token_id
        if add_bos and self.vocabulary.adds_bos and bos is not None:
            return [bos, *ids]
        return ids

    def encode_template(self, rendered: str, guard: str) -> list[TokenId]:
        """A rendered chat template. `guard` marks what users spelled (see `protect`)."""
        ids: list[TokenId] = []
        position = 0
        for match in self._control_pattern.finditer(rendered):
            ids += self._ordinary(rendered[position : match.start()], guard)
            ids.append(self._control[match.group()])
            position = match.end()
        return ids + self._ordinary(rendered[position:], guard)

    def protect(self, text: str, guard: str) -> str:
        """Breaks every control token that `text` spells by a guard after its first character."""
        return self._control_pattern.sub(
            lambda match: match.group()[0] + guard + match.group()[1:], text
        )

    def _ordinary(self, text: str, guard: str) -> list[TokenId]:
        return self.encode(text.replace(guard, "")) if text else []

    def token_bytes(self, token: TokenId) -> bytes:
        return self.vocabulary.token_bytes[token]

    def is_control(self, token: TokenId) -> bool:
        return self.vocabulary.tokens[token] in self._control

    def decode_bytes(self, tokens: Sequence[TokenId], *, skip_control: bool = True) -> bytes:
        return b"".join(
            self.vocabulary.token_bytes[token]
            for token in tokens
            if not (skip_control and self.is_control(token))
        )

    def decode(self, tokens: Sequence[TokenId], *, skip_control: bool = True) -> str:
        return self.decode_bytes(tokens, skip_control=skip_control).decode(errors="replace")
