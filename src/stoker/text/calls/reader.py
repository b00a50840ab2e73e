"""Takes an answer apart while it is written: reasoning, text, tool calls.

Nothing is lost and nothing told twice. What begins like a call and is none is text; a call whose
name was told stays one, and its arguments are what the model wrote. White space next to protocol
belongs to the protocol.
"""

from __future__ import annotations

import re

from stoker.text.calls.format import AnswerFormat, CallsFormat, NamedCall, ObjectCall
from stoker.text.calls.incoming import Incoming, Markers, Reading
from stoker.text.calls.literal import Literal
from stoker.text.calls.named_call import read_named_call
from stoker.text.calls.object_call import read_bare_call, read_object_call
from stoker.text.calls.pieces import Arguments, CallBegun, Content, Piece, Reasoning
from stoker.text.calls.schemas import OfferedTools
from stoker.text.calls.sink import CallSink
from stoker.text.calls.spaced_text import SpacedText

CONTROL = re.compile("[\ud800-\udfff]+")
"""Control tokens, and halves of characters that JSON can spell."""

FENCE, FENCE_END = Literal(("```json",)), Literal(("```",))


class AnswerReader:
    """Of one answer. `prompt_end` is the text that the answer goes on from."""

    def __init__(
        self, form: AnswerFormat, tools: OfferedTools | None, prompt_end: str = ""
    ) -> None:
        self._form = form
        self._calls = form.calls if tools is not None else None
        self._tools = tools or OfferedTools([])
        self._incoming = Incoming()
        self._pieces: list[Piece] = []
        self._text = SpacedText(lambda text: self._tell(Content(text)))
        literals = [*form.closings]
        literals += [form.reasoning.open, form.reasoning.close] if form.reasoning else []
        literals += [self._calls.opening] if self._calls else []
        self._markers = Markers([literal.first for literal in literals if literal])
        self._reading = self._read(prompt_end.rstrip())
        next(self._reading, None)

    def push(self, text: str) -> list[Piece]:
        self._incoming.push(text)
        return self._went_on()

    def end(self) -> list[Piece]:
        """What was held back. Nothing may be pushed after it."""
        self._incoming.end()
        return self._went_on()

    def _went_on(self) -> list[Piece]:
        next(self._reading, None)
        pieces, self._pieces = self._pieces, []
        return pieces

    def _tell(self, piece: Piece) -> None:
        match piece:
            case CallBegun():
                self._incoming.release()
                self._pieces.append(piece)
            case Content(text) | Reasoning(text) | Arguments(text):
                self._add(type(piece), CONTROL.sub("", text))

    def _add(self, kind: type[Content | Reasoning | Arguments], text: str) -> None:
        """Joined to what was told just before, if that was of the same kind."""
        last = self._pieces[-1] if self._pieces else None
        if isinstance(last, kind):
            self._pieces[-1] = kind(last.text + text)
        elif text:
            self._pieces.append(kind(text))

    # --- the answer ---------------------------------------------------------------------------

    def _read(self, prompt_end: str) -> Reading[None]:
        reasoning, calls = self._form.reasoning, self._calls
        if reasoning and reasoning.begun and prompt_end.endswith(reasoning.begun):
            yield from self._reason(reasoning.close)
        begun = bool(calls and (not calls.opening or calls.begun))
        begun = begun and prompt_end.endswith(calls.begun if calls else "")
        while (yield from self._incoming.peek()):
            if not (calls and (yield from self._at_once(calls, begun))):
                yield from self._incoming.accept_literal(self._form.content_open)
                yield from self._some_text()
            begun = False
        self._text.flush()

    def _some_text(self) -> Reading[None]:
        """Up to the end of something that is no text."""
        while (yield from self._incoming.copy_until(self._markers, self._text.push)) is not None:
            if (yield from self._protocol()):
                return
            self._text.push(self._incoming.take(1))

    def _protocol(self) -> Reading[bool]:
        """Reads a marker and what it begins, if it is one."""
        reasoning, calls = self._form.reasoning, self._calls
        if reasoning and (yield from self._comes(reasoning.open)):
            self._text.drop()
            yield from self._reason(reasoning.close)
            return True
        if calls and calls.opening and (yield from self._attempt(calls, calls.opening)):
            return True
        closings = [*self._form.closings, *([reasoning.close] if reasoning else [])]
        for closing in closings:
            if (yield from self._comes(closing)):
                self._text.drop()
                return True
        return False

    def _comes(self, literal: Literal) -> Reading[bool]:
        """Reads it if it comes next, and is anything."""
        return bool(literal) and (yield from self._incoming.accept_literal(literal)) is not None

    def _reason(self, close: Literal) -> Reading[None]:
        told = SpacedText(lambda text: self._tell(Reasoning(text)))
        told.drop()
        markers = Markers([close.first])
        while (yield from self._incoming.copy_until(markers, told.push)) is not None:
            if (yield from self._incoming.accept_literal(close)) is not None:
                self._text.drop()
                return
            told.push(self._incoming.take(1))

    # --- calls --------------------------------------------------------------------------------

    def _attempt(self, calls: CallsFormat, opening: Literal) -> Reading[bool]:
        """Reads calls, if that is what comes next."""
        if not (yield from self._call(calls, opening)):
            return False
        while (yield from self._next_call(calls)):
            pass
        return True

    def _at_once(self, calls: CallsFormat, begun: bool) -> Reading[bool]:
        """Reads calls that the prompt has opened, or whose object a model writes without what
        belongs around it, plain or in a block of code: small models often do."""
        if begun:
            return (yield from self._attempt(calls, Literal(())))
        form = calls.call
        if not isinstance(form, ObjectCall) or form.name_key is None:
            return False
        place = self._incoming.hold()
        fenced = (yield from self._incoming.accept_literal(FENCE)) is not None
        read = yield from self._bare(form)
        if not read:
            self._incoming.return_to(place)
        self._incoming.release()
        while read and (yield from self._bare(form)):
            pass
        if read and fenced:
            yield from self._incoming.accept_literal(FENCE_END)
        return read

    def _bare(self, form: ObjectCall) -> Reading[bool]:
        sink = CallSink(self._tools.names, self._tell)
        return (yield from self._held(read_bare_call(self._incoming, form, sink)))

    def _call(self, calls: CallsFormat, opening: Literal) -> Reading[bool]:
        return (yield from self._held(self._opened(calls, opening)))

    def _held(self, call: Reading[bool]) -> Reading[bool]:
        """Reads a call, or nothing."""
        place = self._incoming.hold()  # `_tell` releases it when it is a call
        read = yield from call
        if read:
            self._text.drop()
        else:
            self._incoming.return_to(place)
            self._incoming.release()
        return read

    def _opened(self, calls: CallsFormat, opening: Literal) -> Reading[bool]:
        sink = CallSink(self._tools.names, self._tell)
        there = (yield from self._incoming.accept_literal(opening)) is not None
        return there and (yield from self._body(calls, sink))

    def _body(self, calls: CallsFormat, sink: CallSink) -> Reading[bool]:
        match calls.call:
            case ObjectCall() as form:
                return (yield from read_object_call(self._incoming, form, sink))
            case NamedCall() as named:
                return (yield from read_named_call(self._incoming, calls, named, self._tools, sink))

    def _next_call(self, calls: CallsFormat) -> Reading[bool]:
        """Reads what closes a call, and another one if it follows."""
        incoming = self._incoming
        yield from incoming.accept_literal(calls.call_close)
        if (yield from self._comes(calls.section_close)):
            return False
        place = incoming.hold()
        separated = yield from self._comes(calls.separator)
        if not separated and (yield from incoming.skip_space()) == ",":
            incoming.take(1)
        follows = bool((yield from incoming.skip_space()))
        follows = follows and (yield from self._call(calls, calls.call_open))
        if not follows:
            incoming.return_to(place)
        incoming.release()
        return follows
