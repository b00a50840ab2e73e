"""Who gets past it has a ticket from a front of the same version."""

from __future__ import annotations

from stoker.api.exchange import Exchange
from stoker.core.clock import Clock
from stoker.errors import InvalidRequest, PermissionDenied, ProtocolError
from stoker.fleet.replica_protocol import TICKET_HEADER, VERSION_HEADER, check_version
from stoker.fleet.ticket import Ticket, TicketBook


class TicketGate:
    """Both raise PermissionDenied without a good ticket, and InvalidRequest for another version:
    only to those who have one."""

    def __init__(self, model: str, book: TicketBook, clock: Clock) -> None:
        self._model = model
        self._book = book
        self._clock = clock

    def take(self, exchange: Exchange) -> Ticket:
        """Uses it up."""
        ticket = self._book.take(_text(exchange), self._model, self._clock.wall())
        _check_version(exchange)
        return ticket

    def look(self, exchange: Exchange) -> Ticket:
        """For what may be asked again with the same ticket."""
        ticket = self._book.check(_text(exchange), self._model, self._clock.wall())
        _check_version(exchange)
        return ticket


def _text(exchange: Exchange) -> str:
    text = exchange.header(TICKET_HEADER.encode())
    if text is None:
        raise PermissionDenied("this is a replica: it answers fronts that send a ticket")
    return text


def _check_version(exchange: Exchange) -> None:
    try:
        check_version(exchange.header(VERSION_HEADER.encode()), "the front")
    except ProtocolError as error:
        raise InvalidRequest(error.message, param=VERSION_HEADER) from None
