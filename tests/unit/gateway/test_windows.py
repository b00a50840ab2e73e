from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stoker.gateway.windows import LastMinute, window_of


@pytest.mark.parametrize(
    ("kind", "window"),
    [
        ("hour", "hour 2026-02-28T23:00"),
        ("day", "day 2026-02-28"),
        ("week", "week 2026-02-23"),
        ("month", "month 2026-02-01"),
        ("ever", "ever "),
    ],
)
def test_windows_are_the_calendars_in_utc(kind: str, window: str) -> None:
    moment = datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC).timestamp()
    assert window_of(kind, moment) == window
    assert (window_of(kind, moment + 1) > window) == (kind in ("hour", "day", "month"))


def test_no_sixty_seconds_hold_more_than_was_let_in() -> None:
    minute = LastMinute()
    minute.add(5, 10.9)
    assert minute.total(70.9) == 5  # the second 10.0 to 11.0 ends its minute at 71.0
    assert minute.total(71.0) == 0


def test_a_correction_of_what_no_longer_counts_changes_nothing() -> None:
    minute = LastMinute()
    second = minute.add(5, 0.0)
    minute.add(3, 65.0)
    assert minute.total(65.0) == 3
    minute.correct(second, -5)
    assert minute.total(65.0) == 3
