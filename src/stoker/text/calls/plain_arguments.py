"""Reads `city='Oslo', days=7` or `{city:"Oslo",days:7}`, up to the bracket that closes it."""

from __future__ import annotations

import json
import re

from stoker.text.calls.format import PlainArguments
from stoker.text.calls.incoming import Incoming, Reading, Sink
from stoker.text.calls.values import as_json

MOST_KEY = 1024
_OPENING, _CLOSING = "([{", ")]}"
_ORDINARY = re.compile(r"[^\\'\"()\[\]{},<\ud800-\udfff]+")


def read_plain_arguments(incoming: Incoming, form: PlainArguments, sink: Sink) -> Reading[None]:
    sink("{")
    separator = ""
    while (next_character := (yield from incoming.skip_space())) not in ("", *_CLOSING):
        if next_character == ",":
            incoming.take(1)
            continue
        key = yield from incoming.short_text([form.assign], MOST_KEY)
        if key is None:
            return
        incoming.take(len(form.assign))
        sink(f"{separator}{json.dumps(key.strip().strip(QUOTES), ensure_ascii=False)}: ")
        text, complete = yield from _value(incoming, form.quote)
        sink(as_json(text.strip(), frozenset(), form.quote) if complete else text)
        if not complete:
            return
        separator = ", "
    if next_character:
        sink("}")


QUOTES = "'\""


def _value(incoming: Incoming, quote: str) -> Reading[tuple[str, bool]]:
    """Up to the comma or bracket after it, and whether there is one."""
    read: list[str] = []
    depth = 0
    quotes = sorted({quote, *QUOTES}, key=len, reverse=True)
    while True:
        read.append(incoming.match(_ORDINARY))
        character = yield from incoming.peek()
        if not character:
            return "".join(read), False
        if not depth and (character == "," or character in _CLOSING):
            return "".join(read), True
        quoted = yield from _quoted(incoming, quotes)
        if quoted:
            read.append(quoted)
            continue
        if _ORDINARY.match(character):
            continue
        depth += (character in _OPENING) - (character in _CLOSING)
        read.append(incoming.take(1))


def _quoted(incoming: Incoming, quotes: list[str]) -> Reading[str]:
    """A string with its quotes if one comes next; what there is of one that does not end."""
    for quote in quotes:
        if not (yield from incoming.accept(quote)):
            continue
        read = [quote]
        while not (yield from incoming.accept(quote)):
            if not (yield from incoming.peek()):
                return "".join(read)
            character = incoming.take(1)
            if character == "\\" and len(quote) == 1:
                yield from incoming.peek()
                character += incoming.take(1)
            read.append(character)
        return "".join([*read, quote])
    return ""
