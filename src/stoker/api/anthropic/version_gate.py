"""The header by which Anthropic's clients say which form of the interface they speak."""

from __future__ import annotations

from stoker.api.dispatch import Endpoint
from stoker.api.exchange import Exchange
from stoker.errors import InvalidRequest

HEADER = "anthropic-version"
KNOWN = ("2023-06-01", "2026-10-21")
"""They differ in what may be asked; an answer has the same form."""


class VersionGate:
    """Lets through those who speak the form that we do, and those who say nothing."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def __call__(self, exchange: Exchange) -> None:
        version = exchange.header(HEADER.encode())
        if version is not None and version not in KNOWN:
            raise InvalidRequest(
                f"the header '{HEADER}' names a version this server does not speak",
                param=HEADER,
                hint=f"Known: {', '.join(KNOWN)}.",
            )
        await self._endpoint(exchange)
