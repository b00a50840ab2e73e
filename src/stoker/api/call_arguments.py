"""The arguments of a call for interfaces in which they are an object, not text."""

from __future__ import annotations

import msgspec


def arguments_object(text: str) -> msgspec.Raw:
    """On one line. What the model wrote and is no object becomes one that holds it, the same that
    the model is shown of it later."""
    encoded = text.encode(errors="replace")
    try:
        value = msgspec.json.decode(encoded)
        encoded = msgspec.json.format(encoded, indent=-1)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return msgspec.Raw(msgspec.json.encode({"arguments": text}))
    if isinstance(value, dict):
        return msgspec.Raw(encoded)
    return msgspec.Raw(b'{"arguments":%b}' % encoded)
