"""Turns the decoder's complaint into an InvalidRequest that names the field in plain words."""

from __future__ import annotations

import difflib
import re
from typing import Literal, get_args, get_origin, get_type_hints

import msgspec

from stoker.errors import InvalidRequest

_WORDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_PATH = re.compile(r" - at `(?:key in )?\$\.?([\w.\[\]]*+)`\Z", re.ASCII)
"""Before it stands what the client wrote: only what cannot hold another beginning may follow."""
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`\Z", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`$")
_TYPE = re.compile(r"Expected `([^`]*)`(?:, got `([^`]*)`| (.*))$")


def refusal(error: msgspec.ValidationError, record: type[msgspec.Struct]) -> InvalidRequest:
    """`record` is what the body was decoded into; its fields feed the suggestion."""
    text = str(error)
    found = _PATH.search(text)
    path = found.group(1) if found else ""
    complaint = text[: found.start()] if found else text
    if unknown := _UNKNOWN.match(complaint):
        return _unknown(path, unknown.group(1), record)
    if missing := _MISSING.match(complaint):
        param = _join(path, missing.group(1))
        return InvalidRequest(f"'{param}' is required", param=param)
    if complaint.startswith("Invalid enum value"):
        expected = f"must be one of {', '.join(map(repr, _choices(record, path)))}"
    else:
        expected = _expected(complaint)
    return InvalidRequest(f"{_subject(path)} {expected}", param=path or None)


def _unknown(path: str, name: str, record: type[msgspec.Struct]) -> InvalidRequest:
    shown = name[:64]
    known = [field.encode_name for field in msgspec.structs.fields(_record_at(record, path))]
    near = difflib.get_close_matches(shown, known, n=1, cutoff=0.6)
    hint = f"Did you mean '{near[0]}'?" if near else "Leave the field out."
    param = _join(path, shown)
    return InvalidRequest(f"'{param}' is not a field of this request", param=param, hint=hint)


def _record_at(record: type[msgspec.Struct], path: str) -> type[msgspec.Struct]:
    """The struct that the path leads to; the outermost one when that cannot be told."""
    for name in re.findall(r"[A-Za-z_]+", path):
        inner = _struct_in(get_type_hints(record).get(name))
        if inner is None:
            break
        record = inner
    return record


def _struct_in(annotation: object) -> type[msgspec.Struct] | None:
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation if issubclass(annotation, msgspec.Struct) else None
    for part in get_args(annotation):
        if (inner := _struct_in(part)) is not None:
            return inner
    return None


def _choices(record: type[msgspec.Struct], path: str) -> list[str]:
    """The words that the field at the path may be."""
    name = path.rpartition(".")[2]
    annotation = get_type_hints(_record_at(record, path)).get(name)
    parts = [annotation, *get_args(annotation)]
    return [word for part in parts if get_origin(part) is Literal for word in get_args(part)]


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _subject(path: str) -> str:
    return f"'{path}'" if path else "the body"


def _expected(complaint: str) -> str:
    if complaint.startswith("Number out of range"):
        return "is out of range"
    match = _TYPE.match(complaint)
    if match is None:
        return "is not valid"
    wanted, got, bound = match.groups()
    words = " or ".join(_WORDS.get(name, name) for name in wanted.split(" | "))
    if got is not None:
        return f"must be {words}, not {_WORDS.get(got, got)}"
    return f"must be {words} {bound}"
