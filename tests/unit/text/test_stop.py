"""Stop strings against the plain definition, for any split of the text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stoker.text.stop import StopMatcher


def plainly(text: str, stops: list[str]) -> tuple[str, str | None]:
    """Read one character more until the text ends with a stop."""
    for end in range(len(text) + 1):
        ended = [stop for stop in stops if stop and text[:end].endswith(stop)]
        if ended:
            longest = max(ended, key=len)
            return text[: end - len(longest)], longest
    return text, None


def streamed(pieces: list[str], stops: list[str]) -> tuple[str, str | None]:
    matcher = StopMatcher(stops)
    delivered = ""
    for piece in pieces:
        result = matcher.push(piece)
        delivered += result.text
        if result.matched is not None:
            return delivered, result.matched
    return delivered + matcher.flush(), None


words = st.text(alphabet="ab\n", max_size=5)


@settings(max_examples=400)
@given(st.lists(words, max_size=8), st.lists(words, max_size=4))
def test_any_split_gives_the_text_before_the_first_stop(
    pieces: list[str], stops: list[str]
) -> None:
    assert streamed(pieces, stops) == plainly("".join(pieces), stops)


@settings(max_examples=200)
@given(st.lists(words, max_size=8), st.lists(words, min_size=1, max_size=4))
def test_only_what_may_become_a_stop_is_held_back(pieces: list[str], stops: list[str]) -> None:
    matcher = StopMatcher(stops)
    pushed = delivered = ""
    for piece in pieces:
        result = matcher.push(piece)
        if result.matched is not None:
            return
        pushed += piece
        delivered += result.text
        held = pushed.removeprefix(delivered)
        assert not held or any(stop.startswith(held) for stop in stops)


@pytest.mark.parametrize(
    ("text", "stops", "expected"),
    [
        ("one two three", ["two"], ("one ", "two")),
        ("one two three", ["three", "two"], ("one ", "two")),
        ("aaab", ["aab"], ("a", "aab")),
        ("User: hi", ["User:"], ("", "User:")),
        ("a</end>", ["end", "</end>"], ("a</", "end")),
        ("xab", ["b", "ab"], ("x", "ab")),
        ("naïve 👩‍👧 café", ["👧"], ("naïve 👩‍", "👧")),
        ("no stop here", [], ("no stop here", None)),
        ("no stop here", [""], ("no stop here", None)),
        ("almost sto", ["stop"], ("almost sto", None)),
    ],
)
def test_examples(text: str, stops: list[str], expected: tuple[str, str | None]) -> None:
    assert streamed([text], stops) == expected
    assert streamed(list(text), stops) == expected


def test_nothing_follows_a_match() -> None:
    matcher = StopMatcher(["."])
    assert matcher.push("One. Two") == ("One", ".")
    assert matcher.push(" three") == ("", ".")
    assert matcher.flush() == ""


def seconds(length: int) -> float:
    matcher = StopMatcher(["a" * 500 + "b", "a" * 499 + "c"])
    started = time.process_time()
    for _ in range(length // 100):
        matcher.push("a" * 100)
    return time.process_time() - started


def test_time_is_linear_when_every_character_may_begin_a_stop() -> None:
    """S29: one repeated letter. The best of three, so that a busy machine does not matter."""
    once = min(seconds(20_000) for _ in range(3))
    twice = min(seconds(40_000) for _ in range(3))
    assert twice < 2.6 * once
