"""What clients give to make vectors of, as tokens within the model's limits."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.api.openai.job import vocabulary_of
from stoker.api.openai.sampling import check_token_ids
from stoker.api.service import Service
from stoker.api.vectors import Text
from stoker.core.ids import TokenId
from stoker.errors import ContextLengthExceeded, InvalidRequest

TO_THE_LIMIT = -1
"""A length: as many tokens as the model takes."""

Given = str | list[str] | list[int] | list[list[int]]


class TextReader:
    """Slow when there is much text. `field` is what messages name."""

    def __init__(self, service: Service, field: str, cut: int | None = None) -> None:
        """`cut`: longer texts are cut at so many tokens; None: they are refused."""
        self._tokenizer = service.text.tokenizer
        self._frame = service.text.frame
        self._most_texts = service.limits.batch_texts
        self._vocabulary = vocabulary_of(service)
        self._field = field
        limit = self._vocabulary.max_context
        self._cut = limit if cut == TO_THE_LIMIT else min(cut or limit, limit)
        self._cuts = cut is not None

    def read(self, given: Given, *, framed: bool = True) -> list[Text]:
        """Texts, or token ids, which are taken as they are. Raises RequestError."""
        return [self._text(item, framed) for item in self._items(given)]

    def pair(self, first: str, second: str) -> Text:
        """For a model that reads both at once. What is too much is cut off the second."""
        ids = self._tokenizer.encode(first), self._tokenizer.encode(second)
        room = self._cut - self._frame.pair_size - len(ids[0])
        cut = ids[1][: max(room, 0)] if self._cuts else ids[1]
        tokens, second_part = self._frame.pair(ids[0], cut)
        return Text(self._checked(tokens), second_part)

    def check_number(self, count: int) -> None:
        if count > self._most_texts:
            raise InvalidRequest(
                f"'{self._field}' has more than {self._most_texts} entries", param=self._field
            )

    def _items(self, given: Given) -> Sequence[str | list[int]]:
        if isinstance(given, str):
            return [given]
        if not given:
            raise InvalidRequest(f"'{self._field}' is empty", param=self._field)
        if isinstance(given[0], int):
            return [given]
        self.check_number(len(given))
        return given

    def _text(self, item: str | list[int], framed: bool) -> Text:
        if not item:
            raise InvalidRequest(f"'{self._field}' holds an empty text", param=self._field)
        if not isinstance(item, str):
            check_token_ids(item, self._vocabulary.size, self._field)
            return Text(self._checked(tuple(item[: self._cut] if self._cuts else item)))
        ids = self._tokenizer.encode(item)
        around = self._frame.size if framed else 0
        if self._cuts:
            ids = ids[: max(self._cut - around, 1)]
        return Text(self._checked(self._frame.one(ids) if framed else tuple(ids)))

    def _checked(self, tokens: tuple[TokenId, ...]) -> tuple[TokenId, ...]:
        if not tokens:
            raise InvalidRequest(f"'{self._field}' holds a text without tokens", param=self._field)
        if len(tokens) > self._vocabulary.max_context:
            raise ContextLengthExceeded(
                f"'{self._field}' holds a text of {len(tokens)} tokens; this model takes "
                f"{self._vocabulary.max_context}",
                param=self._field,
                hint="Shorten it, or name a length in 'truncate_prompt_tokens'.",
            )
        return tokens
