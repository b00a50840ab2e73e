"""Bodies: limits first, then names for what is wrong."""

from __future__ import annotations

import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.api.body import ClientGone, decode, read_body
from stoker.api.openai.chat_schema import ChatRequest
from stoker.config.schema import LimitsSection
from stoker.errors import InvalidRequest, PayloadTooLarge, RequestTimeout


class Anything(msgspec.Struct):
    value: Any = None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('[]{}"\\x', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('[]{}"\\', max_size=3), inner)
    ),
    max_leaves=30,
)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


@given(VALUES, st.integers(1, 6))
def test_depth_is_that_of_the_brackets_outside_strings(value: Any, most: int) -> None:
    body = json.dumps({"value": value}).encode()
    if depth({"value": value}) <= most:
        assert decode(body, Anything, most).value == value
    else:
        with pytest.raises(InvalidRequest, match="nests deeper"):
            decode(body, Anything, most)


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        decode(body, ChatRequest, 32)


DEEP = b'{"model":"m","messages":' + b"[" * 40
"""Over the limit, so that the strings have to be told from the brackets."""


@pytest.mark.parametrize("end", [b"", b'"', b'\\n":1}', b'":1'])
@pytest.mark.parametrize("start", [b"", b'{"', b'{"model":"', DEEP, DEEP + b'"'])
@pytest.mark.parametrize(
    "unit",
    [b"[", b"[]", b'"', b'\\"', b'{"a":', b'"[', b"\\", b"\\\\", b" - at `$.", b"Expected `", b"`"],
)
def test_hostile_bodies_take_linear_time(start: bytes, unit: bytes, end: bytes) -> None:
    """Eight times the body may take eight times as long; a quadratic scan takes 64 times."""

    def seconds(size: int) -> float:
        body = start + unit * (size // len(unit)) + end
        best = 9.0
        for _ in range(4):
            started = time.thread_time()
            with pytest.raises(InvalidRequest):
                decode(body, ChatRequest, 32)
            best = min(best, time.thread_time() - started)
        return best

    fixed = 2e-4
    """Of which a small body may take any part."""
    assert seconds(32 << 10) <= 24 * max(seconds(4 << 10), fixed)


def messages(*pieces: bytes) -> Any:
    waiting = list(pieces)

    async def receive() -> dict[str, Any]:
        body = waiting.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    return receive


async def test_a_body_may_come_in_pieces() -> None:
    assert await read_body(messages(b"ab", b"", b"c"), 3, LimitsSection()) == b"abc"


async def test_a_body_is_refused_as_soon_as_it_is_too_large() -> None:
    limits = LimitsSection(body_bytes=4)
    with pytest.raises(PayloadTooLarge):
        await read_body(messages(), 5, limits)
    with pytest.raises(PayloadTooLarge):
        await read_body(messages(b"abc", b"de", b"never read"), None, limits)


@pytest.mark.parametrize("body", [b'{"a":', b'{"a":1', b'{"a":1}}', b'{"a":[1,2}', b'{"a":tru}'])
def test_what_is_not_json_is_called_so_before_its_fields_are(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="not valid JSON") as caught:
        decode(body, ChatRequest, 32)
    assert caught.value.param is None


@pytest.mark.parametrize("name", ["a - at `$.b`", "a\nb", "Expected `x`", "`"])
def test_a_strange_name_of_a_field_is_told_as_it_is(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(json.dumps({name: 1}).encode(), ChatRequest, 32)
    assert caught.value.param == name


async def test_a_slow_body_times_out() -> None:
    import asyncio

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    with pytest.raises(RequestTimeout):
        await read_body(receive, None, LimitsSection(body_seconds=0.01))


async def test_a_client_that_leaves_is_noticed() -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientGone):
        await read_body(receive, None, LimitsSection())


@pytest.mark.parametrize(
    ("body", "param", "message", "hint"),
    [
        ({"model": "m"}, "messages", "'messages' is required", ""),
        ({"model": 1}, "model", "must be text or null, not a whole number", ""),
        ({"temperature": 3}, "temperature", "must be a number <= 2.0", ""),
        ({"n": 0}, "n", "must be a whole number >= 1", ""),
        ({"mesages": []}, "mesages", "not a field", "Did you mean 'messages'?"),
        ({"messages": [{"rol": 1}]}, "messages[0].rol", "not a field", "Did you mean 'role'?"),
        ({"messages": [{"role": "x"}]}, "messages[0].role",
         "must be one of 'system', 'developer', 'user', 'assistant'", ""),
        ({"quixotic": 1}, "quixotic", "not a field", "Leave the field out."),
        ({"stop": [1]}, "stop[0]", "must be text", ""),
        ({"stream_options": {"include_usge": 1}}, "stream_options.include_usge", "not a field",
         "Did you mean 'include_usage'?"),
    ],
)  # fmt: skip
def test_the_field_is_named_in_plain_words(
    body: dict[str, Any], param: str, message: str, hint: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(json.dumps(body).encode(), ChatRequest, 32)
    assert caught.value.param == param
    assert message in caught.value.message
    assert hint in caught.value.hint
