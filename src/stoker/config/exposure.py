"""Who can reach an address, and that nobody far away does without a key."""

from __future__ import annotations

import ipaddress

from stoker.config.schema import ServerSection
from stoker.errors import ConfigError


def check_exposure(server: ServerSection) -> None:
    """Refuses to serve other machines without a key. Raises ConfigError."""
    if server.api_key is None and not is_loopback(server.host):
        raise ConfigError(
            f"listening on {server.host} needs an API key",
            param="server.api_key",
            hint="Set STOKER_API_KEY, or listen on 127.0.0.1.",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address. Names other than localhost count as no."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
