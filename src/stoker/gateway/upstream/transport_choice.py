"""The transport that an address asks for."""

from __future__ import annotations

from stoker.config.fleet_schema import BackendEntry
from stoker.gateway.upstream.aiohttp_transport import AiohttpTransport
from stoker.gateway.upstream.backend_address import BackendAddress
from stoker.gateway.upstream.plain_transport import PlainTransport
from stoker.gateway.upstream.transport import Transport


def make_transport(entry: BackendEntry) -> Transport:
    """Raises ConfigError. aiohttp where there is TLS, or a user's name and password."""
    base = BackendAddress(entry.url).base
    plain = base.scheme == "http" and base.user is None and base.password is None
    return PlainTransport(entry) if plain else AiohttpTransport(entry)
