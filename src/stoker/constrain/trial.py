"""Has constraints tried out in a process of its own before an engine meets them."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict

import msgspec

from stoker.constrain.token_table import TokenTable
from stoker.constrain.trial_child import TrialChild
from stoker.core.constraint import Constraint
from stoker.errors import UnsupportedConstraint

PATIENCE = 20.0
"""Seconds for an answer. The process ends itself after one or two of its own time; this is for a
machine so busy that it does not get even that."""
REMEMBERED = 1024
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

    async def check(self, constraint: Constraint, param: str) -> None:
        """Raises UnsupportedConstraint, with the reason, naming the field `param`."""
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
            async with self._turn:
                if key not in self._verdicts:
                    self._verdicts[key] = await self._tried(constraint)
        self._verdicts.move_to_end(key)
        reason = self._verdicts[key]
        if len(self._verdicts) > REMEMBERED:
            self._verdicts.popitem(last=False)
        return reason

    async def _tried(self, constraint: Constraint) -> str:
        try:
            message = msgspec.msgpack.encode(constraint)
            child = await self._running()
            async with asyncio.timeout(PATIENCE):
                return await child.ask(message)
        except UnicodeEncodeError:
            return "it holds half a character (a lone surrogate)"
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            await self._end()
            return "it takes too long, or too much memory, to compile"
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
