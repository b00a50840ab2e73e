"""How many connections are open. Each takes a file descriptor, and without one left nobody is
answered, not even a health check: so room is made by closing what has no request."""

from __future__ import annotations

import logging
import resource
import time
from typing import Protocol

from stoker.config.schema import LimitsSection
from stoker.errors import ConfigError

log = logging.getLogger(__name__)

MOST = 16 * 1024
"""When nothing else is configured, whatever the system allows."""
RESERVED_FILES = 256
"""For models, logs, the engine, and connections accepted before others are closed; half of all,
where files are few."""
RESERVED_CONNECTIONS = 8
"""Never taken by requests that are being answered: probes, and answers of 429."""
QUIET_SECONDS = 60.0
"""Between two lines in the log about the same."""


class Connection(Protocol):
    def drop(self) -> None:
        """Closes it, though the client did nothing wrong."""
        ...


def most_connections(limits: LimitsSection) -> int:
    """As configured, else what the limit of open files leaves. Raises ConfigError when that is
    less than what is configured."""
    room = _room()
    if limits.connections > room:
        raise ConfigError(
            f"limits.connections: {limits.connections} is more than the {room} that the limit of "
            "open files leaves",
            hint="Raise that limit (ulimit -n), or leave limits.connections at 0.",
        )
    return limits.connections or min(room, MOST)


def most_requests(limits: LimitsSection) -> int:
    """How many may be open at once, so that connections are left for probes."""
    return max(1, min(limits.open_requests, most_connections(limits) - RESERVED_CONNECTIONS))


def backlog(limits: LimitsSection) -> int:
    """Connections the system may hold ready. All of them are accepted before any is closed."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return 2048
    return max(1, min(2048, (files - most_connections(limits)) // 2))


def _room() -> int:
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return 1 << 20
    return max(files // 2, files - RESERVED_FILES)


class Connections:
    """Of one server. Those without a request are kept in the order in which they fell silent."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: set[Connection] = set()
        self._silent: dict[Connection, None] = {}
        self._quiet_until = 0.0

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, connection: Connection) -> None:
        """Drops the one that is silent for longest when there are too many: this one, when all
        others have a request."""
        self._open.add(connection)
        self._silent[connection] = None
        if len(self._open) > self._most:
            self._drop(next(iter(self._silent)))

    def busy(self, connection: Connection) -> None:
        """It has sent the head of a request."""
        self._silent.pop(connection, None)

    def silent(self, connection: Connection) -> None:
        """Its last request is answered."""
        if connection in self._open:
            self._silent[connection] = None

    def closed(self, connection: Connection) -> None:
        self._open.discard(connection)
        self._silent.pop(connection, None)

    def _drop(self, connection: Connection) -> None:
        self.closed(connection)
        connection.drop()
        now = time.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + QUIET_SECONDS
            log.warning(
                "%d connections are open, which is the most; those without a request are closed "
                "(limits.connections)",
                self._most,
            )
