"""Constraints are compiled beside the step loop, before the engine sees their requests."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from stoker.constrain.compiler import Compiler
from stoker.constrain.matcher import Matcher
from stoker.constrain.token_table import TokenTable
from stoker.core.constraint import Constraint
from stoker.core.ids import RequestId, TokenId
from stoker.core.request import Request
from stoker.errors import InternalError, Overloaded, StokerError

log = logging.getLogger(__name__)

Accept = Callable[[Request, Matcher | None], None]
"""What takes a request in: the engine's `submit` or `resume`."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request whose constraint was compiled, or refused."""

    request: Request
    accept: Accept
    result: Matcher | StokerError


class Preparation:
    """Used by one thread; its own thread compiles and calls `deliver`."""

    def __init__(self, table: TokenTable, deliver: Callable[[Prepared], None], most: int) -> None:
        """`most` requests are prepared or wait for that."""
        self._deliver = deliver
        self._most = most
        self._pending: set[RequestId] = set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="constraints")
        # At once: it holds the interpreter for as long as it takes, and now nobody waits for that.
        self._compiler = self._thread.submit(Compiler, table)

    def begin(self, request: Request, constraint: Constraint, accept: Accept) -> None:
        """Raises Overloaded."""
        if len(self._pending) >= self._most:
            raise Overloaded(
                f"{self._most} constraints are being prepared already", retry_after=1.0
            )
        self._pending.add(request.request_id)
        self._thread.submit(self._prepare, request, constraint, accept)

    def cancel(self, request_id: RequestId) -> bool:
        """Whether it was being prepared; then it never gets to the engine."""
        cancelled = request_id in self._pending
        self._pending.discard(request_id)
        return cancelled

    def done(self, prepared: Prepared) -> bool:
        """Whether the request is still wanted."""
        return self.cancel(prepared.request.request_id)

    def _prepare(self, request: Request, constraint: Constraint, accept: Accept) -> None:
        compiled = self._compiled(constraint, request.output_token_ids)
        self._deliver(Prepared(request, accept, compiled))

    def _compiled(
        self, constraint: Constraint, output: tuple[TokenId, ...]
    ) -> Matcher | StokerError:
        try:
            return self._compiler.result().matcher(constraint, output)
        except StokerError as error:
            return error
        except Exception:
            log.exception("a constraint could not be compiled")
            return InternalError("a constraint could not be compiled")
