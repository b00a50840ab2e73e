"""Guesses are made where they pay, and what is found in a text is what followed there."""

from __future__ import annotations

import math
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stoker.scheduler.prompt_lookup import PATTERNS, continuation
from stoker.scheduler.speculation import MOST_DRAFTS, Acceptance, num_drafts


def tokens_a_second(rate: float, share: float, row: float, number: int) -> float:
    return sum(rate**i for i in range(number + 1)) / (share + number * row)


@settings(derandomize=True, max_examples=200)
@given(
    rate=st.floats(0.01, 0.99),
    share=st.floats(0.001, 0.1),
    row=st.floats(0.00001, 0.1),
)
def test_no_other_number_of_guesses_gives_more_tokens_a_second(
    rate: float, share: float, row: float
) -> None:
    chosen = num_drafts(rate, share, row)
    best = max(tokens_a_second(rate, share, row, n) for n in range(MOST_DRAFTS + 1))
    assert math.isclose(tokens_a_second(rate, share, row, chosen), best)


@pytest.mark.parametrize("share", [0.0, 0.001])
def test_nothing_pays_where_a_row_takes_a_sequences_whole_share(share: float) -> None:
    assert num_drafts(1.0, share, 0.001) == 0


def test_wrong_guesses_end_guessing_and_after_a_while_it_is_tried_again() -> None:
    acceptance = Acceptance()
    assert num_drafts(acceptance.rate, 0.003, 0.0005) > 0
    steps = 0
    while num_drafts(acceptance.rate, 0.003, 0.0005):
        acceptance.observe(drafts=4, right=0)
        steps += 1
    assert steps < 30
    waited = 0
    while not num_drafts(acceptance.rate, 0.003, 0.0005):
        acceptance.observe(drafts=0, right=0)
        waited += 1
    assert steps < waited < 1000


def test_right_guesses_make_more_of_them() -> None:
    acceptance = Acceptance()
    before = num_drafts(acceptance.rate, 0.003, 0.0005)
    for _ in range(20):
        acceptance.observe(drafts=4, right=4)
    assert before < num_drafts(acceptance.rate, 0.003, 0.0005) == MOST_DRAFTS


def test_what_followed_before_is_what_is_guessed() -> None:
    text = [1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 50, 60, 4, 5]
    assert continuation(text, 3) == [6, 7, 8]
    assert continuation([*text, 6], 2) == [7, 8]


def test_the_latest_of_several_places_counts() -> None:
    assert continuation([1, 2, 30, 1, 2, 40, 1, 2], 1) == [40]


def test_the_longest_pattern_counts() -> None:
    assert continuation([7, 1, 2, 3, 80, 5, 2, 3, 90, 1, 2, 3], 1) == [80]


def test_a_period_goes_on() -> None:
    assert continuation([1, 2, 3, 1, 2, 3], 7) == [1, 2, 3, 1, 2, 3, 1]
    assert continuation([5, 5, 5], 4) == [5, 5, 5, 5]


@settings(derandomize=True, max_examples=300)
@given(st.lists(st.sampled_from([0, 1, 256, 65536, 2**24]), max_size=60), st.integers(1, 8))
def test_a_guess_is_what_a_plain_search_finds(text: list[int], count: int) -> None:
    """Tokens whose bytes overlap with their neighbours' must not be taken for others."""
    assert continuation(array("i", text), count) == plain(text, count)


def plain(text: list[int], count: int) -> list[int]:
    for length in PATTERNS:
        for end in range(len(text) - 1, length - 1, -1):
            if text[end - length : end] == text[-length:]:
                guess = text.copy()
                for position in range(end, end + count):
                    guess.append(guess[position])
                return guess[len(text) :]
    return []
