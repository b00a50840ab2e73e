"""Connections to replicas that speak HTTP."""

from __future__ import annotations

import aiohttp

CONNECT_SECONDS = 3.0


def remote_session() -> aiohttp.ClientSession:
    """For one event loop; to be closed. It reads no proxy from the environment."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
    connector = aiohttp.TCPConnector(limit=0)
    return aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False)
