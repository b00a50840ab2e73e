from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from stoker.errors import PermissionDenied
from stoker.fleet.ticket import LEEWAY_SECONDS, Ticket, TicketBook, sign

KEY, OTHER = b"k" * 32, b"o" * 32
TICKET = Ticket(request_id="r1", tenant="a", model="m", max_tokens=100, expires=1000.0)


def test_a_ticket_says_what_was_signed() -> None:
    assert TicketBook([KEY]).take(sign(TICKET, KEY), "m", 900.0) == TICKET


def test_a_ticket_is_good_once_and_for_one_model() -> None:
    book = TicketBook([KEY])
    with pytest.raises(PermissionDenied, match="another model"):
        book.take(sign(TICKET, KEY), "n", 900.0)
    book.take(sign(TICKET, KEY), "m", 900.0)
    with pytest.raises(PermissionDenied, match="used before"):
        book.take(sign(TICKET, KEY), "m", 900.0)


def test_a_ticket_ends_with_some_leeway_for_clocks() -> None:
    book = TicketBook([KEY])
    with pytest.raises(PermissionDenied, match="expired"):
        book.take(sign(TICKET, KEY), "m", 1000.0 + LEEWAY_SECONDS)
    book.take(sign(TICKET, KEY), "m", 1000.0 + LEEWAY_SECONDS - 0.1)


def test_while_a_key_is_changed_both_are_good() -> None:
    book = TicketBook([OTHER, KEY])
    book.take(sign(TICKET, KEY), "m", 900.0)
    book.take(sign(replace(TICKET, request_id="r2"), OTHER), "m", 900.0)
    with pytest.raises(PermissionDenied):
        TicketBook([OTHER]).take(sign(TICKET, KEY), "m", 900.0)


@given(st.data())
@settings(max_examples=300, derandomize=True, deadline=None)
def test_a_ticket_that_was_changed_anywhere_is_refused(data: st.DataObject) -> None:
    text = sign(TICKET, KEY)
    at = data.draw(st.integers(0, len(text) - 1))
    new = data.draw(st.characters().filter(lambda one: one != text[at]))
    changed = text[:at] + new + text[at + 1 :]
    try:
        found = TicketBook([KEY]).take(changed, "m", 900.0)
    except PermissionDenied:
        return
    assert found == TICKET  # the last character of a signature has bits that mean nothing


@pytest.mark.parametrize(
    "text", ["", ".", "..", "1..", "1.e30.", "2." + sign(TICKET, KEY)[2:], "é.é.é", "x" * 10_000]
)
def test_what_is_no_ticket_is_refused(text: str) -> None:
    with pytest.raises(PermissionDenied):
        TicketBook([KEY]).take(text, "m", 900.0)


def test_what_is_remembered_is_bounded_and_forgotten_in_time() -> None:
    book = TicketBook([KEY], most=10)
    for number in range(10):
        book.take(sign(replace(TICKET, request_id=f"r{number}"), KEY), "m", 900.0)
    late = replace(TICKET, request_id="late", expires=5000.0)
    with pytest.raises(PermissionDenied, match="too many"):
        book.take(sign(late, KEY), "m", 900.0)
    book.take(sign(late, KEY), "m", 1000.0 + LEEWAY_SECONDS)
