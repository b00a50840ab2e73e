"""Where the parts of calls are in what a template wrote for them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_decoder = json.JSONDecoder(strict=False)


@dataclass(frozen=True, slots=True)
class Span:
    start: int
    end: int


def json_spans(text: str, start: int, end: int) -> Iterator[tuple[Span, Any]]:
    """JSON objects that begin in text[start:end], outermost first."""
    at = text.find("{", start, end)
    while at >= 0:
        try:
            value, stop = _decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            pass
        else:
            yield Span(at, stop), value
        at = text.find("{", at + 1, end)


def key_of(mapping: Mapping[str, Any], wanted: Any) -> str | None:
    return next((key for key, value in mapping.items() if value == wanted), None)


def inner(value: Any, name: str) -> Mapping[str, Any] | None:
    """The object that holds the name: this one, or one in it."""
    if not isinstance(value, dict):
        return None
    if name in value.values() or name in value:
        return value
    return next((found for item in value.values() if (found := inner(item, name))), None)
