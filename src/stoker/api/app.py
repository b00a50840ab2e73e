"""The ASGI application: gates, routes, and one place where every error becomes an answer."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Sequence

from starlette.routing import Router

from stoker.api.asgi import Receive, Scope, Send
from stoker.api.body import ClientGone
from stoker.api.connections import most_requests
from stoker.api.dialect import OPENAI
from stoker.api.exchange import Exchange
from stoker.api.failure import as_stoker_error
from stoker.api.front import Front
from stoker.api.gates import OPEN_PATHS, HostGate, KeyGate
from stoker.api.operation import Operation
from stoker.api.routes import operations, router
from stoker.config.schema import ServerSection
from stoker.core.clock import SystemClock
from stoker.errors import Overloaded

log = logging.getLogger("stoker.access")
CLIENT_LEFT = 499
"""nginx's number for a client that went away before its answer began; only in logs and metrics."""


class Application:
    """Raw ASGI. `idle` is set while no request is open: what a drain waits for."""

    def __init__(
        self, front: Front, server: ServerSection, table: Sequence[Operation] | None = None
    ) -> None:
        """`table` is what clients may do; by default, all that fronts offer."""
        self.front = front
        self.open_requests = 0
        self._most = most_requests(front.limits)
        self.idle = asyncio.Event()
        self.idle.set()
        self._host_gate = HostGate(server)
        self._key_gate = KeyGate(front, SystemClock())
        offered = operations(front) if table is None else table
        self._dialects = {operation.path: operation.dialect for operation in offered}
        self._router: Router = router(offered)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request_id, dialect = (
            f"req_{secrets.token_hex(12)}",
            self._dialects.get(scope["path"], OPENAI),
        )
        exchange = Exchange(scope, receive, send, self.front.limits, request_id, dialect)
        self.open_requests += 1
        self.idle.clear()
        try:
            await self._serve(exchange)
        finally:
            self.open_requests -= 1
            if not self.open_requests:
                self.idle.set()
            self._record(exchange)

    async def _serve(self, exchange: Exchange) -> None:
        try:
            self._host_gate.check(exchange)
            self._key_gate.check(exchange)
            self._check_room(exchange)
            exchange.scope["stoker.exchange"] = exchange
            await self._router(exchange.scope, exchange.receive, exchange.send)
        except ClientGone:
            return
        except Exception as caught:
            error = as_stoker_error(caught, exchange.request_id)
            self.front.metrics.failed(error.code)
            if exchange.started:
                raise  # the connection is broken off, which no client takes for an ending
            await exchange.fail(error)

    def _check_room(self, exchange: Exchange) -> None:
        if self.open_requests > self._most and exchange.scope["path"] not in OPEN_PATHS:
            raise Overloaded(f"{self._most} requests are open already", retry_after=1.0)

    def _record(self, exchange: Exchange) -> None:
        status = exchange.status or CLIENT_LEFT
        self.front.metrics.responded(status)
        log.info(
            "%s %s %d",
            exchange.scope["method"],
            exchange.route,
            status,
            extra={
                "request_id": exchange.request_id,
                "seconds": round(time.monotonic() - exchange.arrived, 4),
            },
        )
