"""The checker that judges histories finds each way in which one can be wrong."""

from __future__ import annotations

import pytest

from tests.support.fault_table import row
from tests.support.history import Accepted, Ending, Event, Refused, Tokens, problems

WANTED = {"a": [1, 2, 3]}
GOOD: list[Event] = [Accepted("a"), Tokens("a", [1]), Tokens("a", [2, 3]), Ending("a", "length")]


def test_a_right_history_has_no_problem() -> None:
    assert problems(GOOD, WANTED) == []
    assert problems([Refused("a")], WANTED) == []


@pytest.mark.parametrize(
    ("events", "says"),
    [
        (GOOD[:-1], "0 endings"),
        ([*GOOD, Ending("a", "length")], "2 endings"),
        ([*GOOD[:2], Ending("a", "length")], "2 tokens are missing"),
        ([GOOD[0], GOOD[1], *GOOD[1:]], "wrong from token 1"),
        ([GOOD[0], *GOOD[2:]], "wrong from token 0"),
        ([*GOOD[:3], Tokens("a", [4]), GOOD[3]], "wrong from token 3"),
        ([*GOOD[:3], GOOD[3], Tokens("a", [])], "deltas after the ending"),
        ([*GOOD[:3], Ending("a", "replica_lost")], "ended with replica_lost"),
        (GOOD[1:], "accepted 0 and refused 0 times"),
        ([Refused("a"), *GOOD], "refused, and answered"),
        ([GOOD[0], *GOOD], "accepted 2"),
    ],
)
def test_each_wrong_history_is_found(events: list[Event], says: str) -> None:
    assert any(says in one for one in problems(events, WANTED)), problems(events, WANTED)


def test_a_beginning_is_enough_where_an_early_end_is_right() -> None:
    early = [*GOOD[:2], Ending("a", "cancelled")]
    assert problems(early, WANTED, lambda _name, reason: reason == "cancelled") == []


def test_a_case_that_nothing_tried_or_that_failed_once_is_not_passed() -> None:
    assert row("F01", "x", []).endswith("not tried")
    assert row("F01", "x", ["passed", "failed"]).endswith("FAILED 1")
    assert row("F01", "x", ["passed", "skipped"]).endswith("FAILED 1")
    assert row("F01", "x", ["passed", "passed"]).endswith("2 tests  passed")
