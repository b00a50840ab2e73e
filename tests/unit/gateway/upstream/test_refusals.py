"""What a server's refusal becomes, and what of its words a client may see."""

from __future__ import annotations

import json

import pytest

from stoker.errors import (
    BackendFailed,
    ContextLengthExceeded,
    InvalidRequest,
    NoCapacity,
    Overloaded,
    PayloadTooLarge,
    StokerError,
)
from stoker.gateway.upstream.breaker import Outcome
from stoker.gateway.upstream.cleaned_text import cleaned, complaint
from stoker.gateway.upstream.refusals import outcome_of, refusal_of


@pytest.mark.parametrize(
    ("status", "kind", "outcome"),
    [
        (400, InvalidRequest, Outcome.ANSWERED),
        (422, InvalidRequest, Outcome.ANSWERED),
        (413, PayloadTooLarge, Outcome.ANSWERED),
        (401, BackendFailed, Outcome.FAILED),
        (403, BackendFailed, Outcome.FAILED),
        (402, BackendFailed, Outcome.FAILED),
        (404, BackendFailed, Outcome.UNKNOWN),
        (302, BackendFailed, Outcome.FAILED),
        (429, Overloaded, Outcome.UNKNOWN),
        (529, Overloaded, Outcome.UNKNOWN),
        (500, BackendFailed, Outcome.FAILED),
        (503, NoCapacity, Outcome.FAILED),
    ],
)
def test_each_status_has_its_error(status: int, kind: type[StokerError], outcome: Outcome) -> None:
    error = refusal_of("b", status, {"retry-after": "9"}, complaint(b""), None)
    assert type(error) is kind
    assert outcome_of(status) is outcome


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("9", 9.0), ("999999", 3600.0), ("soon", None), ("-1", None), ("", None), ("1e9", None)],
)
def test_the_time_to_come_back_is_bounded(header: str, seconds: float | None) -> None:
    error = refusal_of("b", 429, {"retry-after": header}, complaint(b""), None)
    assert error.retry_after == seconds


def test_a_date_to_come_back_at_is_read_by_the_servers_own_clock() -> None:
    date, after = "Tue, 01 Jan 2030 00:00:00 GMT", "Tue, 01 Jan 2030 00:00:20 GMT"
    error = refusal_of("b", 503, {"date": date, "retry-after": after}, complaint(b""), None)
    assert error.retry_after == 20.0


@pytest.mark.parametrize(
    "error",
    [
        {"code": "context_length_exceeded"},
        {"code": 400, "type": "exceed_context_size_error", "n_ctx": 512},
    ],
)
def test_a_prompt_that_is_too_long_has_its_own_error(error: dict[str, object]) -> None:
    said = complaint(json.dumps({"error": {**error, "message": "too long"}}).encode())
    assert isinstance(refusal_of("b", 400, {}, said, None), ContextLengthExceeded)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "said"}},
        {"error": "said"},
        {"object": "error", "message": "said", "code": 400},
        {"detail": "said"},
        {"type": "error", "error": {"type": "invalid_request_error", "message": "said"}},
        {"error": {"message": "said", "code": 400, "type": "x"}},
    ],
)
def test_every_dialects_words_are_found(body: object) -> None:
    assert complaint(json.dumps(body).encode()).message == "said"


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"error":{"message":3}}', b"\xff"])
def test_what_has_no_words_has_none(body: bytes) -> None:
    assert complaint(body).message == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://host.internal:8443/x?a=b now", "see [address] now"),
        ("from 10.1.2.3:8000", "from [address]"),
        ("at [fe80::1]:80 or localhost:99", "at [address] or [address]"),
        ("at node-3.cluster.local:8000", "at [address]"),
        ("key sk-abcdefgh1234 is wrong", "key [key] is wrong"),
        ("Bearer abc.def is wrong", "[key] is wrong"),
        ("mine is SECRET", "mine is [key]"),
        ("in /srv/me/models/a.bin", "in [path]"),
        ("two\r\nlines\x1b[31m\u2028", "two lines [31m"),
        ("max_tokens 1.5 and/or 'n' are fine", "max_tokens 1.5 and/or 'n' are fine"),
    ],
)
def test_keys_and_addresses_are_not_shown(text: str, shown: str) -> None:
    assert cleaned(text, "SECRET") == shown


def test_words_are_few() -> None:
    assert len(cleaned("x " * 10_000, None)) == 300
