"""A front's word that a request may run, for replicas that clients might reach by themselves.

A ticket names the request and what it may use, for a short time, under a key that front and
replica share. Without one a replica answers nobody, so there is no way around the front's limits.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import heapq
import hmac
from collections.abc import Sequence

import msgspec

from stoker.errors import PermissionDenied

VERSION = "1"
LEEWAY_SECONDS = 30.0
"""How far two machines' clocks may be apart."""
MOST_BYTES = 2048
LEAST_KEY_BYTES = 32


class Ticket(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    request_id: str
    tenant: str
    model: str
    max_tokens: int
    """The most it may produce."""
    adapter: str = ""
    """Key of the adapter that computes it."""
    priority: int = 0
    expires: float
    """Unix seconds."""
    body: str = ""
    """See `body_digest`; the replica answers this body and no other. Empty: for frames."""
    seconds: float = 0.0
    """How long the answer to `body` may take."""
    front: str = ""
    """Who wants to know how that ended."""


def sign(ticket: Ticket, key: bytes) -> str:
    """`version.payload.signature`, fit for a header."""
    payload = f"{VERSION}.{_text(msgspec.json.encode(ticket))}"
    return f"{payload}.{_text(_mac(payload, key))}"


def body_digest(path: str, body: bytes) -> str:
    """What a ticket says of the one body that it is for, and of where that is sent."""
    return hashlib.blake2b(path.encode() + b"\0" + body, digest_size=32).hexdigest()


def edge_token(key: bytes) -> str:
    """By which a front knows that a request came through the proxy in front of it. The key itself
    cannot be told from it."""
    return _text(_mac("edge", key))


class TicketBook:
    """Checks tickets. Each is good once: those seen are remembered until they have expired."""

    def __init__(self, keys: Sequence[bytes], most: int = 100_000) -> None:
        """The first key signs at the fronts; a second is for the time of changing it. `most`
        tickets are remembered; when more are alive at once, new ones are refused."""
        self._keys = tuple(keys)
        self._most = most
        self._seen: set[str] = set()
        self._by_expiry: list[tuple[float, str]] = []
        """A heap of all that are in `_seen`."""

    def take(self, text: str, model: str, wall: float) -> Ticket:
        """`wall` in Unix seconds. Raises PermissionDenied: forged, expired, used before, or for
        another model. It never says which key would have fitted."""
        ticket = self.check(text, model, wall)
        self._forget(wall)
        if ticket.request_id in self._seen:
            raise PermissionDenied("the ticket was used before")
        if len(self._seen) >= self._most:
            raise PermissionDenied("too many tickets are in use")
        self._seen.add(ticket.request_id)
        heapq.heappush(self._by_expiry, (ticket.expires, ticket.request_id))
        return ticket

    def check(self, text: str, model: str, wall: float) -> Ticket:
        """As `take`, of a ticket that stays good until it expires."""
        ticket = self._read(text)
        if ticket.model != model:
            raise PermissionDenied("the ticket is for another model")
        if ticket.expires + LEEWAY_SECONDS <= wall:
            raise PermissionDenied("the ticket has expired")
        return ticket

    def _read(self, text: str) -> Ticket:
        payload, _, signature = text.rpartition(".")
        given = _bytes(signature) if len(text) <= MOST_BYTES else b""
        known = [hmac.compare_digest(given, _mac(payload, key)) for key in self._keys]
        version, _, body = payload.partition(".")
        if not any(known) or version != VERSION:
            raise PermissionDenied("the ticket is not valid")
        try:
            return msgspec.json.decode(_bytes(body), type=Ticket)
        except msgspec.DecodeError:
            raise PermissionDenied("the ticket is of another version") from None

    def _forget(self, wall: float) -> None:
        while self._by_expiry and self._by_expiry[0][0] + LEEWAY_SECONDS <= wall:
            self._seen.discard(heapq.heappop(self._by_expiry)[1])


def _mac(payload: str, key: bytes) -> bytes:
    return hmac.new(key, payload.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(
            text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True
        )
    except (binascii.Error, ValueError):
        return b""
