"""Reads arguments between tags - `<parameter=city>Oslo</parameter>` - into JSON, as they come."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from stoker.text.calls.format import TaggedArguments
from stoker.text.calls.incoming import Incoming, Markers, Reading, Sink
from stoker.text.calls.json_text import read_value
from stoker.text.calls.literal import Literal
from stoker.text.calls.values import as_json

MOST_KEY = 1024
STRING = frozenset(["string"])
Types = Callable[[str], frozenset[str]]
"""The JSON types that the argument of a name may have."""


class TaggedReading:
    def __init__(
        self,
        incoming: Incoming,
        form: TaggedArguments,
        types: Types,
        ends: Sequence[str],
        sink: Sink,
    ) -> None:
        self._incoming = incoming
        self._form = form
        self._types = types
        self._ends = Markers(ends)
        self._sink = sink

    def read(self) -> Reading[None]:
        """What does not fit the form is given as it is, up to the end of the call: the arguments
        are then no JSON, and their reader sees what the model wrote."""
        self._sink("{")
        separator = ""
        while (yield from self._incoming.accept_literal(self._form.key_open)) is not None:
            self._sink(separator)
            if not (yield from self._argument()):
                yield from self._incoming.copy_until(self._ends, self._sink)
                return
            separator = ", "
        self._sink("}")

    def _argument(self) -> Reading[bool]:
        form, incoming = self._form, self._incoming
        key = yield from incoming.short_text([form.value_open.first], MOST_KEY)
        holes = None if key is None else (yield from incoming.accept_literal(form.value_open))
        if key is None or holes is None:
            return False
        self._sink(f"{json.dumps(key.strip(), ensure_ascii=False)}: ")
        before, _ = form.padding
        yield from incoming.accept(before)
        types = self._types(key.strip())
        if form.string_word is not None:
            types = STRING if form.string_word in holes else frozenset()
        if types == STRING:
            return (yield from self._string())
        return (yield from self._other(types))

    def _string(self) -> Reading[bool]:
        self._sink('"')
        held = ""
        after = len(self._form.padding[1])

        def escaped(text: str) -> None:
            nonlocal held
            held += text
            kept = len(held) - after
            if kept > 0:
                self._sink(json.dumps(held[:kept], ensure_ascii=False)[1:-1])
                held = held[kept:]

        wrapped = bool(self._form.wrapping[0]) and (
            yield from self._incoming.accept(self._form.wrapping[0])
        )
        end = self._form.wrapping[1] if wrapped else ""
        closed = yield from self._until_close(escaped, end)
        if closed and not wrapped:
            held = held.removesuffix(self._form.padding[1])
        self._sink(json.dumps(held, ensure_ascii=False)[1:-1])
        if closed:
            self._sink('"')
        return closed

    def _other(self, types: frozenset[str]) -> Reading[bool]:
        if (yield from self._nested()):
            return True
        read: list[str] = []
        closed = yield from self._until_close(read.append)
        text = "".join(read)
        text = text.removesuffix(self._form.padding[1])
        self._sink(as_json(text, types) if closed else text)
        return closed

    def _nested(self) -> Reading[bool]:
        """Reads a value that is JSON with brackets, and what closes it, which may stand in the
        value's strings as well; or nothing."""
        place = self._incoming.hold()
        text: str | None = None
        if (yield from self._incoming.skip_space()) in ("{", "["):
            text = yield from read_value(self._incoming)
        read = text is not None and _is_json(text)
        read = (
            read and (yield from self._incoming.accept_literal(self._form.value_close)) is not None
        )
        if not read:
            self._incoming.return_to(place)
        self._incoming.release()
        if read:
            self._sink(text or "")
        return read

    def _until_close(self, sink: Sink, before: str = "") -> Reading[bool]:
        """Up to what closes a value, and `before` it; both are read."""
        close = Literal(
            (before, *self._form.value_close.words) if before else self._form.value_close.words
        )
        markers = Markers([close.first])
        while (yield from self._incoming.copy_until(markers, sink)) is not None:
            if (yield from self._incoming.accept_literal(close)) is not None:
                return True
            sink(self._incoming.take(1))
        return False


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
