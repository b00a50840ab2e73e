"""Reads a call that is a JSON object: `{"name": "f", "arguments": {…}}`, keys in any order."""

from __future__ import annotations

import json

from stoker.text.calls.format import ObjectCall
from stoker.text.calls.incoming import Incoming, Reading
from stoker.text.calls.json_text import copy_value, read_value
from stoker.text.calls.sink import CallSink

ARGUMENTS = frozenset(["arguments", "parameters"])
"""Models mix these up."""
NAMES = frozenset(["name"])
MOST_DEPTH = 3


def read_object_call(incoming: Incoming, form: ObjectCall, sink: CallSink) -> Reading[bool]:
    """False when it is no call of a tool that was offered. Once it has a name and arguments, or a
    name and its end, it is one."""
    if (yield from _read(incoming, form, sink, MOST_DEPTH)):
        sink.settle()
    return sink.begun


def read_bare_call(incoming: Incoming, form: ObjectCall, sink: CallSink) -> Reading[bool]:
    """The same where nothing but the object says so: it must have arguments."""
    yield from _read(incoming, form, sink, MOST_DEPTH)
    return sink.begun


def _read(incoming: Incoming, form: ObjectCall, sink: CallSink, depth: int) -> Reading[bool]:
    """Whether to read on after the object."""
    if not depth or (yield from incoming.skip_space()) != "{":
        return False
    incoming.take(1)
    while True:
        key = yield from _key(incoming)
        if key is None:
            return (yield from incoming.accept("}"))
        if not (yield from _member(incoming, form, sink, key, depth)):
            return False
        if (yield from incoming.skip_space()) == ",":
            incoming.take(1)


def _key(incoming: Incoming) -> Reading[str | None]:
    if (yield from incoming.skip_space()) != '"':
        return None
    key = _decoded((yield from read_value(incoming)))
    if (yield from incoming.skip_space()) != ":":
        return None
    incoming.take(1)
    return key


def _member(
    incoming: Incoming, form: ObjectCall, sink: CallSink, key: str, depth: int
) -> Reading[bool]:
    next_character = yield from incoming.skip_space()
    if form.name_key is None:
        return sink.name(key) and (yield from _arguments(incoming, sink))
    if key == form.name_key or (key in NAMES and next_character == '"'):
        name = _decoded((yield from read_value(incoming)))
        return name is not None and sink.name(name)
    if key == form.arguments_key or key in ARGUMENTS:
        return (yield from _arguments(incoming, sink))
    if next_character == "{":
        return (yield from _read(incoming, form, sink, depth - 1))
    return (yield from read_value(incoming)) is not None


def _arguments(incoming: Incoming, sink: CallSink) -> Reading[bool]:
    if (yield from incoming.skip_space()) != '"':
        return (yield from copy_value(incoming, sink.arguments))
    text = yield from read_value(incoming)
    if text is None:
        return False
    sink.arguments(_decoded(text) or "")
    return True


def _decoded(text: str | None) -> str | None:
    """The string that a JSON text spells."""
    try:
        value = json.loads(text or "null", strict=False)
    except ValueError:
        return None
    return value if isinstance(value, str) else None
