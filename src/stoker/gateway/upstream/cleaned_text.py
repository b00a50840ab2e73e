"""What another server says about a request, made fit to be shown to the one who sent it."""

from __future__ import annotations

import re

import msgspec

LONGEST = 300
_ADDRESS = re.compile(
    r"\w+://\S+|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b|\[[0-9a-f:.]*:[0-9a-f:.]*\](?::\d+)?"
    r"|\b[\w-]+(?:\.[\w-]+)+:\d{2,5}\b|\blocalhost(?::\d+)?\b",
    re.IGNORECASE,
)
_KEY = re.compile(r"(?i)\b(?:bearer|basic)\s+\S+|\b(?:sk|hf|gsk|key|xai)[-_][\w*.-]{6,}")
_PATH = re.compile(r"(?<![\w/])/(?:[\w.-]+/)+[\w.-]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def cleaned(text: str, secret: str | None) -> str:
    """One short line without addresses, paths, or anything like a key; `secret` is ours for that
    server."""
    shown = text[: 8 * LONGEST]
    if secret:
        shown = shown.replace(secret, "[key]")
    for pattern, instead in ((_KEY, "[key]"), (_ADDRESS, "[address]"), (_PATH, "[path]")):
        shown = pattern.sub(instead, shown)
    return _CONTROL.sub(" ", shown).strip()[:LONGEST]


class _Inner(msgspec.Struct):
    message: str = ""
    code: object = None
    """llama.cpp and vLLM put the status here, and the name at `type`."""
    type: str | None = None


class _Said(msgspec.Struct):
    """OpenAI, Anthropic, llama.cpp and newer vLLM put an object at `error`, TGI and Triton a text;
    older vLLM has its message outside, and FastAPI calls it `detail`."""

    error: object = None
    message: object = None
    detail: object = None


class Complaint(msgspec.Struct, frozen=True):
    """Raw: not to be shown before it is cleaned."""

    message: str = ""
    code: str = ""


def complaint(body: bytes) -> Complaint:
    """What an error's body says, in any of the usual shapes; empty when it has none of them."""
    try:
        said = msgspec.json.decode(body, type=_Said)
        if isinstance(said.error, dict):
            inner = msgspec.convert(said.error, _Inner)
            named = (value for value in (inner.code, inner.type) if isinstance(value, str))
            return Complaint(inner.message, next(named, ""))
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return Complaint()
    found = (value for value in (said.error, said.message, said.detail) if isinstance(value, str))
    return Complaint(next(found, ""))
