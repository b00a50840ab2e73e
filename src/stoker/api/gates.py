"""What a request must show before its route is even looked up: a known host, origin and key."""

from __future__ import annotations

import ipaddress
import re

from stoker.api.exchange import Exchange
from stoker.api.front import Front
from stoker.config.schema import ServerSection
from stoker.core.clock import Clock
from stoker.errors import (
    InvalidApiKey,
    InvalidRequest,
    MisdirectedHost,
    PermissionDenied,
)
from stoker.gateway.tenant import Principal

OPEN_PATHS = frozenset({"/health", "/health/live", "/health/ready"})
"""Probes carry no key. Everything else needs one when one is set."""

PRINCIPAL = "stoker.principal"
"""In the scope of a request that comes from this process (api/in_process.py), whose it is."""

_HOST = re.compile(
    r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})))(?::\d{1,5})?"
)


class HostGate:
    """Refuses names a browser was tricked into (rebinding), and pages of other sites.

    A literal address cannot be rebound, so when all addresses are listened on, any is accepted.
    """

    def __init__(self, server: ServerSection) -> None:
        self._names = {"localhost", server.host.lower(), *map(str.lower, server.allowed_hosts)}
        self._any_address = server.host in ("0.0.0.0", "::")  # noqa: S104

    def check(self, exchange: Exchange) -> None:
        host = exchange.header(b"host")
        if not host:
            raise InvalidRequest("the Host header is missing")
        if not self._known(_hostname(host)):
            raise MisdirectedHost("this server does not answer to that host name")
        origin = exchange.header(b"origin")
        if origin is not None and not self._known(_origin_name(origin)):
            raise PermissionDenied(
                "pages of that origin may not call this server",
                hint="Add the origin's host name to server.allowed_hosts.",
            )

    def _known(self, name: str | None) -> bool:
        if name is None:
            return False
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or self._any_address


def _hostname(value: str) -> str | None:
    match = _HOST.fullmatch(value)
    return (match.group(1) or match.group(2)).lower() if match else None


def _origin_name(origin: str) -> str | None:
    scheme, separator, rest = origin.partition("://")
    return _hostname(rest) if separator and scheme in ("http", "https") else None


class KeyGate:
    """Finds out whose request it is. A key comes as a bearer token, or as `x-api-key`, which is
    where clients of Anthropic's interface put it."""

    def __init__(self, front: Front, clock: Clock) -> None:
        self._front = front
        self._clock = clock

    def check(self, exchange: Exchange) -> None:
        if exchange.scope["path"] not in OPEN_PATHS:
            keyring = self._front.keyring
            inside: Principal | None = exchange.scope.get(PRINCIPAL)
            if inside is not None:
                exchange.principal = inside
                return
            key = None if keyring.open else _key(exchange)
            exchange.principal = keyring.authenticate(key, self._clock.wall())


def _key(exchange: Exchange) -> bytes | None:
    bearer, other = exchange.headers(b"authorization"), exchange.headers(b"x-api-key")
    if len(bearer) + len(other) > 1:
        raise InvalidApiKey("more than one API key was sent")
    if other:
        return other[0]
    if not bearer:
        return None
    scheme, _, key = bearer[0].partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else b""
