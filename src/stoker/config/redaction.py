"""Values as people may see them: never a whole secret."""

from __future__ import annotations

import datetime
from urllib.parse import urlsplit, urlunsplit

from stoker.config.annotation import secrecy

LONGEST = 80
BEGINNING = len("sha256:") + 8


def shown(value: object, annotation: object) -> str:
    """One value for `explain` and `check`."""
    kind = secrecy(annotation)
    if value is None:
        return "not set"
    if kind == "never":
        return "set (hidden)"
    if isinstance(value, bool):
        return str(value).lower()
    if value == {}:
        return "none"
    if isinstance(value, tuple):
        return ", ".join(shown(item, annotation) for item in value) or "none"
    text = "".join(filter(str.isprintable, str(value))) or "empty"
    if kind == "without password":
        return without_password(text)
    return f"{text[:BEGINNING]}…" if kind == "beginning" else text


def refused(value: object, annotation: object) -> str:
    """A value that is not what it should be, for the line that says so. What was meant as a secret
    may be one although it is malformed."""
    if secrecy(annotation):
        return "what is there (hidden)"
    if value is None:
        return "empty"
    if isinstance(value, datetime.date | datetime.time):
        return str(value)
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def plain(text: str) -> str:
    """A word from a file as a terminal may show it: no control characters, and not too long."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[:LONGEST])
    return shown if len(text) <= LONGEST else f"{shown}…"


def without_password(url: str) -> str:
    """The address, with `***` for the password and for every parameter, which may hold one."""
    try:
        parts = urlsplit(url)
        user, at, address = parts.netloc.rpartition("@")
        name = user.partition(":")[0]
        netloc = f"{name}:***@{address}" if ":" in user else f"{name}{at}{address}"
        query = "***" if parts.query else ""
        return plain(urlunsplit((parts.scheme, netloc, parts.path, query, "")))
    except ValueError:
        return "set (hidden)"
