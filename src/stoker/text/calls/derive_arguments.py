"""The form of arguments that are not one JSON value."""

from __future__ import annotations

import re
from dataclasses import dataclass

from stoker.text.calls.format import PlainArguments, TaggedArguments
from stoker.text.calls.literal import (
    HOLE,
    Literal,
    common_prefix,
    common_suffix,
    pattern,
    without_tag_rest,
)
from stoker.text.calls.probes import KEYS, NUMBER, OTHER_TEXT, TEXT

_BEFORE = re.compile(r"^\s*")
_AFTER = re.compile(r"\s*$")


@dataclass(frozen=True, slots=True)
class FoundArguments:
    form: TaggedArguments | PlainArguments
    name_end: str
    end: int
    """Where the last argument ends."""


def derive_arguments(text: str, start: int) -> FoundArguments | None:
    """`text[start:]` follows the name of a call with the arguments of the probes."""
    pieces = _pieces(text, start)
    if pieces is None:
        return None
    before, to_text, between, to_number, end = pieces
    if to_text != to_number and to_text.startswith(to_number):
        quote = to_text[len(to_number) :]
        if not between.startswith(quote):
            return None
        form = PlainArguments(to_number.strip(), quote)
        return FoundArguments(form, before, end)
    close = between.replace(KEYS[0], HOLE)
    key_open = without_tag_rest(common_suffix(before, close), close)
    key_open = without_tag_rest(key_open, before)
    close = close.removesuffix(key_open)
    if not key_open.strip() or not close.strip():
        return None
    opening = pattern(to_text, to_number)
    tagged = TaggedArguments(
        key_open=Literal.of(key_open),
        value_open=Literal.of(opening),
        value_close=Literal.of(close),
        string_word=_hole(to_text, opening) if HOLE in opening else None,
        padding=(_spaces(_AFTER, opening), _spaces(_BEFORE, close)),
    )
    tail = _tail(text[end:], close)
    return FoundArguments(tagged, before.removesuffix(key_open), end + tail)


def _pieces(text: str, start: int) -> tuple[str, str, str, str, int] | None:
    """What stands before the first key, between key and value of a string, between an argument
    and the next, between key and value of a number; and where the number ends."""
    wanted = (KEYS[0], TEXT, KEYS[1], OTHER_TEXT, KEYS[2], str(NUMBER))
    places = []
    at = start
    for word in wanted:
        at = text.find(word, at)
        if at < 0:
            return None
        places.append((at, at + len(word)))
        at += len(word)
    (key, key_end), (value, value_end), (following, _), _, (_, third_end), (number, end) = places
    return (
        text[start:key],
        text[key_end:value],
        text[value_end:following],
        text[third_end:number],
        end,
    )


def _hole(text: str, opening: str) -> str:
    before, _, after = opening.partition(HOLE)
    return text[len(before) : len(text) - len(after)]


def _spaces(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[0] if found else ""


def _tail(text: str, close: str) -> int:
    """How much of what follows the last value closes it."""
    shown = close.replace(HOLE, KEYS[2])
    return len(common_prefix(text, shown))
