"""What stands around the calls of tools, and which form a call has."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from stoker.text.calls.call_parts import Span, inner, json_spans, key_of
from stoker.text.calls.derive_arguments import derive_arguments
from stoker.text.calls.format import (
    CallsFormat,
    JsonArguments,
    NamedCall,
    ObjectCall,
    PlainArguments,
    TaggedArguments,
)
from stoker.text.calls.literal import (
    HOLE,
    Literal,
    common_prefix,
    common_suffix,
    pattern,
    without_half_tag,
    without_tag_rest,
)
from stoker.text.calls.probes import (
    ARGUMENTS,
    CONTENT,
    FIRST,
    KEYS,
    MARKUP,
    SECOND,
    TEXT,
    Prober,
    without_ids,
)


@dataclass(frozen=True, slots=True)
class FoundCall:
    """One call in what was written: all of it, and what is told of its form."""

    span: Span
    call: ObjectCall | NamedCall
    name_end: str = ""
    """As it was written."""


def derive_calls(prober: Prober, epilogue: str) -> tuple[CallsFormat | None, list[str]]:
    """And what the template writes after text or calls that is part of neither."""
    one = prober.answer(None, [(FIRST, ARGUMENTS)])
    text = without_ids(one.text) if one else ""
    found = _find(text, 0, FIRST)
    if one is None or found is None:
        return None, []
    before = text[: found.span.start].replace(FIRST, HOLE)
    tail = text[found.span.end :].replace(FIRST, HOLE)
    beside = _beside_content(prober)
    content_close = aside = ""
    if beside is not None:
        content_close = without_half_tag(common_prefix(beside, epilogue)).rstrip()
        shared = common_suffix(before, beside)
        shared = without_tag_rest(shared, before)
        before = shared if shared.strip() or not beside.strip() else beside
        before = before.lstrip().removeprefix(content_close)
        aside = beside.removeprefix(content_close).removesuffix(before)
    between, second = _between(prober)
    form = found.call if second is None else _merged(found, second)
    call_open = before if between is None else common_suffix(before, between)
    call_open = without_tag_rest(call_open, before)
    rest = (between or "").removesuffix(call_open)
    ending = common_suffix(tail, epilogue.removeprefix(content_close))
    ending = without_tag_rest(ending, tail)
    tail = tail.removesuffix(ending)
    call_close = tail if between is None else without_half_tag(common_prefix(tail, rest))
    prompt = one.prompt.rstrip()
    begins = before.strip() and prompt.endswith(before.strip())
    form = _with_wrapping(prober, form)
    calls = CallsFormat(
        section_open=Literal.of(before.removesuffix(call_open)),
        call_open=Literal.of(call_open),
        call=form,
        call_close=Literal.of(call_close),
        separator=Literal.of(rest.removeprefix(call_close)),
        section_close=Literal.of(tail[len(call_close) :]),
        begun=before.strip() if begins else "",
    )
    return calls, [content_close, aside, ending, tail[len(call_close) :]]


def _beside_content(prober: Prober) -> str | None:
    """What stands between text and the call after it."""
    written = prober.answer(CONTENT, [(FIRST, ARGUMENTS)])
    text = without_ids(written.text) if written else ""
    at = text.find(CONTENT)
    found = _find(text, at + len(CONTENT), FIRST) if at >= 0 else None
    return text[at + len(CONTENT) : found.span.start].replace(FIRST, HOLE) if found else None


def _between(prober: Prober) -> tuple[str | None, FoundCall | None]:
    """What stands between two calls, and the second one."""
    written = prober.answer(None, [(FIRST, ARGUMENTS), (SECOND, ARGUMENTS)])
    text = without_ids(written.text) if written else ""
    first = _find(text, 0, FIRST)
    second = _find(text, first.span.end, SECOND) if first else None
    if first is None or second is None:
        return None, None
    return text[first.span.end : second.span.start].replace(SECOND, HOLE).replace(
        FIRST, HOLE
    ), second


def _merged(first: FoundCall, second: FoundCall) -> ObjectCall | NamedCall:
    """With a hole where the two differ: they are numbered."""
    if not isinstance(first.call, NamedCall) or not isinstance(second.call, NamedCall):
        return first.call
    return replace(first.call, name_end=Literal.of(pattern(first.name_end, second.name_end)))


def _find(text: str, start: int, name: str) -> FoundCall | None:
    key = text.find(KEYS[0], start)
    at = text.rfind(name, start, key)
    if key < 0 or at < 0:
        return None
    for span, value in json_spans(text, start, at):
        if span.end > key and (form := _object_form(value, name)):
            return FoundCall(span, form)
    end = at + len(name)
    for span, value in json_spans(text, end, key):
        if value == ARGUMENTS:
            return _named(Span(at, span.end), text[end : span.start], JsonArguments())
    found = derive_arguments(text, end)
    if found is None:
        return None
    return _named(Span(at, found.end), found.name_end, found.form)


def _named(
    span: Span, name_end: str, arguments: JsonArguments | TaggedArguments | PlainArguments
) -> FoundCall:
    return FoundCall(span, NamedCall(Literal.of(name_end), arguments), name_end)


def _object_form(value: object, name: str) -> ObjectCall | None:
    holder = inner(value, name)
    if holder is None:
        return None
    if holder.get(name) == ARGUMENTS:
        return ObjectCall(None, "")
    name_key = key_of(holder, name)
    arguments_key = key_of(holder, ARGUMENTS) or key_of(holder, json.dumps(ARGUMENTS))
    return ObjectCall(name_key, arguments_key) if name_key and arguments_key else None


def _with_wrapping(prober: Prober, form: ObjectCall | NamedCall) -> ObjectCall | NamedCall:
    """With what the template puts around text that holds markup."""
    if not isinstance(form, NamedCall) or not isinstance(form.arguments, TaggedArguments):
        return form
    plain = prober.answer(None, [(FIRST, {KEYS[0]: TEXT})])
    marked = prober.answer(None, [(FIRST, {KEYS[0]: MARKUP})])
    if plain is None or marked is None or MARKUP not in marked.text:
        return form
    before, _, after = plain.text.partition(TEXT)
    around = marked.text.partition(MARKUP)
    wrapping = (around[0].removeprefix(before), around[2].removesuffix(after))
    return replace(form, arguments=replace(form.arguments, wrapping=wrapping))
