"""Has constraints tried out in a process of its own before an engine meets them."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict

import msgspec

from stoker.constrain.token_table import TokenTable
from stoker.constrain.trial_child import TrialChild
from stoker.core.constraint import Constraint
from stoker.errors import Overloaded, UnsupportedConstraint

PATIENCE = 20.0
"""Seconds for an answer. The process ends itself after one or two of its own time; this is for a
machine so busy that it does not get even that."""
REMEMBERED = 1024
MOST_WAITING = 64
RETRY_SECONDS = 2.0
IDLE_SECONDS = 60.0
"""Without a constraint the process is not kept longer."""


class Trial:
    """For one vocabulary; belongs to one event loop. One constraint is tried at a time."""

    def __init__(self, table: TokenTable) -> None:
        self._table = table
        self._turn = asyncio.Lock()
        self._child: TrialChild | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._verdicts: OrderedDict[bytes, str] = OrderedDict()
        self._waiting = 0

    @property
    def process_id(self) -> int | None:
        """Of the process, while there is one."""
        return self._child.process_id if self._child is not None and self._child.alive else None

    async def check(self, constraint: Constraint, param: str) -> None:
        """Raises UnsupportedConstraint, with the reason, naming the field `param`; Overloaded when
        too many are to be tried, or the machine is too busy for one."""
        reason = await self._reason(constraint)
        if reason:
            raise UnsupportedConstraint(
                f"'{param}' cannot be enforced: {reason}",
                param=param,
                hint="Simplify it, or leave it out; no answer is given without it.",
            )

    async def _reason(self, constraint: Constraint) -> str:
        key = _digest(constraint)
        if key not in self._verdicts:
            await self._learn(key, constraint)
        self._verdicts.move_to_end(key)
        reason = self._verdicts[key]
        if len(self._verdicts) > REMEMBERED:
            self._verdicts.popitem(last=False)
        return reason

    async def _learn(self, key: bytes, constraint: Constraint) -> None:
        if self._waiting >= MOST_WAITING:
            raise Overloaded("too many constraints wait to be compiled", retry_after=RETRY_SECONDS)
        self._waiting += 1
        try:
            async with self._turn:
                if key not in self._verdicts:
                    self._verdicts[key] = await self._verdict(constraint)
        finally:
            self._waiting -= 1

    async def _verdict(self, constraint: Constraint) -> str:
        if not self._table.ends:
            return "nothing is known to end what this model writes"
        try:
            message = msgspec.msgpack.encode(constraint)
        except UnicodeEncodeError:
            return "it holds half a character (a lone surrogate)"
        fresh = self._child is None
        reason = await self._asked(message)
        if reason is None and not fresh:  # what came before may be to blame
            reason = await self._asked(message)
        return "it takes too long, or too much memory, to compile" if reason is None else reason

    async def _asked(self, message: bytes) -> str | None:
        """None: the process ended over it."""
        try:
            async with asyncio.timeout(PATIENCE):
                child = await self._running()
                return await child.ask(message)
        except TimeoutError:
            await self._end()
            raise Overloaded(
                "the constraint could not be compiled in time", retry_after=RETRY_SECONDS
            ) from None
        except (asyncio.IncompleteReadError, ConnectionError):
            await self._end()
            return None
        except BaseException:
            await self._end()
            raise

    async def _running(self) -> TrialChild:
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._retire)
        if self._child is None or not self._child.alive:
            self._child = await TrialChild.start(msgspec.msgpack.encode(self._table))
        return self._child

    def _retire(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.retire()

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await child.end()

    async def close(self) -> None:
        """Safe to call twice."""
        if self._expiry is not None:
            self._expiry.cancel()
        await self._end()


def _digest(constraint: Constraint) -> bytes:
    text = f"{constraint.kind.value} {constraint.text}".encode(errors="surrogatepass")
    return hashlib.blake2b(text, digest_size=16).digest()
