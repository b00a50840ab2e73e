"""Values as programs write them - Python's, JavaScript's, or with a model's own quotes - to JSON.

Read by hand: nothing a model writes is ever evaluated (S09).
"""

from __future__ import annotations

import json
import re
from typing import Any

MOST_DEPTH = 64
_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"[^\s,:=(){}\[\]'\"]+")
_ESCAPE = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0"}
_WORDS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_CLOSING = {"{": "}", "[": "]", "(": ")"}


class NotAValue(ValueError):
    pass


def read_plain(text: str, quote: str = "'") -> Any:
    """Raises NotAValue."""
    reader = _Reader(text, quote)
    value = reader.value(0)
    reader.space()
    if reader.at != len(text):
        raise NotAValue
    return value


class _Reader:
    def __init__(self, text: str, quote: str) -> None:
        self.text = text
        self.at = 0
        self._quotes = sorted({quote, "'", '"'}, key=len, reverse=True)

    def space(self) -> None:
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def value(self, depth: int) -> Any:
        if depth > MOST_DEPTH:
            raise NotAValue
        self.space()
        for quote in self._quotes:
            if self.text.startswith(quote, self.at):
                return self._string(quote)
        if self.text[self.at : self.at + 1] in _CLOSING:
            return self._nested(depth)
        return _scalar(self._word())

    def _string(self, quote: str) -> str:
        self.at += len(quote)
        read: list[str] = []
        while not self.text.startswith(quote, self.at):
            character = self.text[self.at : self.at + 1]
            if not character:
                raise NotAValue
            self.at += 1
            read.append(self._escaped() if character == "\\" and len(quote) == 1 else character)
        self.at += len(quote)
        return "".join(read)

    def _escaped(self) -> str:
        letter = self.text[self.at : self.at + 1]
        self.at += 1
        digits = {"x": 2, "u": 4}.get(letter, 0)
        code = self.text[self.at : self.at + digits]
        if not digits or not re.fullmatch(rf"[0-9a-fA-F]{{{digits}}}", code):
            return _ESCAPE.get(letter, letter)
        self.at += digits
        return chr(int(code, 16))

    def _nested(self, depth: int) -> Any:
        opening = self.text[self.at]
        self.at += 1
        items: list[Any] = []
        pairs: dict[str, Any] = {}
        while not self._accepts(_CLOSING[opening]):
            if opening == "{":
                key = self._key(depth)
                pairs[key] = self.value(depth + 1)
            else:
                items.append(self.value(depth + 1))
            self._accepts(",")
        return pairs if opening == "{" else items

    def _key(self, depth: int) -> str:
        self.space()
        quoted = self.text[self.at : self.at + 1] in "'\"" or any(
            self.text.startswith(quote, self.at) for quote in self._quotes
        )
        key = self.value(depth + 1) if quoted else self._word()
        if not self._accepts(":") or not isinstance(key, str):
            raise NotAValue
        return key

    def _word(self) -> str:
        found = _WORD.match(self.text, self.at)
        if found is None:
            raise NotAValue
        self.at = found.end()
        return found[0]

    def _accepts(self, character: str) -> bool:
        self.space()
        if not self.text.startswith(character, self.at):
            return False
        self.at += 1
        return True


def _scalar(word: str) -> Any:
    return _WORDS[word] if word in _WORDS else _loaded(word)


def _loaded(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise NotAValue from None


def _refuse(constant: str) -> None:
    raise NotAValue


def as_json(text: str, types: frozenset[str], quote: str = "'") -> str:
    """The JSON for an argument that stands without quotes where it is a string."""
    for read in (_loaded, lambda text: read_plain(text, quote)):
        try:
            value = read(text)
        except NotAValue:
            continue
        if not types or _type(value) & types:
            return text.strip() if read is _loaded else json.dumps(value, ensure_ascii=False)
    return json.dumps(text, ensure_ascii=False)


def _type(value: Any) -> frozenset[str]:
    """The names that JSON Schema has for it."""
    match value:
        case bool():
            return frozenset(["boolean"])
        case int():
            return frozenset(["integer", "number"])
        case float():
            return frozenset(["number"])
        case str():
            return frozenset(["string"])
        case None:
            return frozenset(["null"])
        case dict():
            return frozenset(["object"])
    return frozenset(["array"])
