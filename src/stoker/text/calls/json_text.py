"""Where a JSON value ends, found while it arrives. What is in it is not judged."""

from __future__ import annotations

import re

from stoker.text.calls.incoming import Incoming, Reading, Sink

_PLAIN = re.compile(r'[^"{}\[\]]+')
_IN_STRING = re.compile(r'(?:[^"\\]|\\.)+', re.DOTALL)
_BARE = re.compile(r"[^\s,:{}\[\]\"<]+")


def copy_value(incoming: Incoming, sink: Sink) -> Reading[bool]:
    """Gives the text of the next value to `sink` as it comes. True once it is complete; False when
    there is none, or only its beginning."""
    first = yield from incoming.skip_space()
    if first == '"':
        return (yield from _copy_string(incoming, sink))
    if first in ("{", "["):
        return (yield from _copy_nested(incoming, sink))
    return (yield from _copy_bare(incoming, sink))


def read_value(incoming: Incoming) -> Reading[str | None]:
    """The text of the next value, or None where there is no complete one."""
    read: list[str] = []
    complete = yield from copy_value(incoming, read.append)
    return "".join(read) if complete else None


def _copy_nested(incoming: Incoming, sink: Sink) -> Reading[bool]:
    depth = 0
    while True:
        plain = incoming.match(_PLAIN)
        if plain:
            sink(plain)
        character = yield from incoming.peek()
        if not character:
            return False
        if character == '"':
            if not (yield from _copy_string(incoming, sink)):
                return False
            continue
        if character not in "{}[]":
            continue  # more plain text has come
        depth += 1 if character in "{[" else -1
        sink(incoming.take(1))
        if depth == 0:
            return True


def _copy_string(incoming: Incoming, sink: Sink) -> Reading[bool]:
    sink(incoming.take(1))
    while True:
        inside = incoming.match(_IN_STRING)
        if inside:
            sink(inside)
        character = yield from incoming.peek()
        if not character:
            return False
        if character == '"':
            sink(incoming.take(1))
            return True
        if character == "\\" and not (yield from _escape_is_whole(incoming)):
            sink(incoming.take(1))
            return False


def _escape_is_whole(incoming: Incoming) -> Reading[bool]:
    """A backslash that came last waits for what it escapes."""
    place = incoming.hold()
    incoming.take(1)
    there = yield from incoming.peek()
    incoming.return_to(place)
    incoming.release()
    return bool(there)


def _copy_bare(incoming: Incoming, sink: Sink) -> Reading[bool]:
    """A number or a word."""
    some = False
    while True:
        text = incoming.match(_BARE)
        if text:
            some = True
            sink(text)
        elif not some and (yield from incoming.peek()):
            return False
        if (yield from incoming.peek()) == "":
            return some
        if not _BARE.match((yield from incoming.peek())):
            return some
