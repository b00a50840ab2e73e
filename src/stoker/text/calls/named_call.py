"""Reads a call whose name stands outside its arguments."""

from __future__ import annotations

from stoker.text.calls.format import (
    CallsFormat,
    JsonArguments,
    NamedCall,
    PlainArguments,
    TaggedArguments,
)
from stoker.text.calls.incoming import Incoming, Reading
from stoker.text.calls.json_text import copy_value
from stoker.text.calls.literal import Literal
from stoker.text.calls.plain_arguments import read_plain_arguments
from stoker.text.calls.schemas import OfferedTools
from stoker.text.calls.sink import CallSink
from stoker.text.calls.tagged_arguments import TaggedReading

MOST_NAME = 256


def read_named_call(
    incoming: Incoming, calls: CallsFormat, form: NamedCall, tools: OfferedTools, sink: CallSink
) -> Reading[bool]:
    """False when it is no call of a tool that was offered."""
    name = yield from _name(incoming, calls, form)
    if name is None or not sink.name(name):
        return False
    match form.arguments:
        case JsonArguments():
            yield from copy_value(incoming, sink.arguments)
        case TaggedArguments() as tagged:
            ends = [end.first for end in (calls.call_close, calls.section_close) if end]
            types = tools.of(name)
            yield from TaggedReading(incoming, tagged, types, ends, sink.arguments).read()
        case PlainArguments() as plain:
            yield from read_plain_arguments(incoming, plain, sink.arguments)
    sink.settle()
    return True


def _name(incoming: Incoming, calls: CallsFormat, form: NamedCall) -> Reading[str | None]:
    ends = [form.name_end] if form.name_end else _ends_of_name(calls, form)
    name = yield from incoming.short_text([end.first for end in ends], MOST_NAME)
    if name is None:
        return None
    if form.name_end and (yield from incoming.accept_literal(form.name_end)) is None:
        return None
    return name.strip()


def _ends_of_name(calls: CallsFormat, form: NamedCall) -> list[Literal]:
    found = [calls.call_close, calls.section_close]
    if isinstance(form.arguments, TaggedArguments):
        found.append(form.arguments.key_open)
    if isinstance(form.arguments, JsonArguments):
        found.append(Literal(("{",)))
    return [literal for literal in found if literal]
