"""One request on its way through the replicas of a model, from arrival to its one ending.

A stream whose replica is lost goes on at another one with the tokens it has delivered; since a
token depends only on the model, the tokens before it and (seed, position), nothing of it changes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

from msgspec.structs import replace

from stoker import errors
from stoker.core.clock import Clock
from stoker.core.output import Finish, FinishReason, TokenDelta
from stoker.core.request import Request
from stoker.engine.continuation import Continuation
from stoker.engine.interface import EngineState
from stoker.fleet.interface import Replica, ReplicaId
from stoker.gateway.replica_account import Dispatched
from stoker.gateway.replica_set import ReplicaSet
from stoker.gateway.trial import Trial

WAIT_SECONDS = 600.0
"""For a replica, when a request has no deadline of its own."""
FIRST_PAUSE = 0.02
LONGEST_PAUSE = 1.0
"""Before replicas that all refused are asked again, if nothing changes before."""

LOST = Finish(FinishReason.ERROR, error_code=errors.ReplicaLost.code)
LOSSES = frozenset({errors.ReplicaLost.code, errors.Draining.code})
"""How a replica ends a stream that it will not complete: it died, or it was told to go."""


class Journey:
    def __init__(self, request: Request, replicas: ReplicaSet, trial: Trial, clock: Clock) -> None:
        now = clock.monotonic()
        deadline = None if request.timeout is None else now + request.timeout
        self._request = request
        self._replicas = replicas
        self._trial = trial
        self._clock = clock
        self._latest = now + WAIT_SECONDS if deadline is None else deadline
        self._continuation = Continuation(request, deadline)
        self._accepted = False
        """Whether a replica took it: from then on it is carried on rather than refused."""
        self._verdict: Finish | None = None
        self._replica: Replica | None = None
        self._refused: set[ReplicaId] = set()
        self._pause = FIRST_PAUSE

    def stop(self, finish: Finish) -> None:
        """Asks for an early end, with this ending unless it ends by itself before."""
        self._verdict = self._verdict or finish
        if self._replica is None:
            self._replicas.wake()
        else:
            self._replica.backend.cancel(self._request.request_id)

    async def deltas(self) -> AsyncGenerator[TokenDelta, None]:
        """The last one carries the ending. Raises StokerError only while no replica took it."""
        try:
            while True:
                async with aclosing(self._attempt()) as deltas:
                    async for delta in deltas:
                        yield delta
                        if delta.finish is not None:
                            return
        except Ended as ended:
            yield self._last(ended.finish)
        except errors.StokerError as error:
            if not self._accepted:
                raise
            yield self._last(Finish(FinishReason.ERROR, error_code=error.code))

    # --- one attempt ------------------------------------------------------------------------

    async def _attempt(self) -> AsyncGenerator[TokenDelta, None]:
        """At one replica, until the ending, its loss or its refusal."""
        replica, remaining, entry = await self._placed()
        self._replica = replica
        submitted = cast("AsyncGenerator[TokenDelta, None]", replica.backend.submit(remaining))
        try:
            async with aclosing(submitted) as deltas:
                async for raw in deltas:
                    self._accepted = True
                    delta = self._took(raw, remaining, entry)
                    if delta.finish is not None or delta.token_ids or delta.prompt_logprobs:
                        yield delta
        except errors.CapacityError as error:
            self._refused_by(replica, error)
        finally:
            self._replica = None
            self._replicas.ended(entry)
            self._free_trial()

    def _took(self, raw: TokenDelta, remaining: Request, entry: Dispatched) -> TokenDelta:
        """What of it is delivered. A loss is no ending: the request goes on elsewhere."""
        if raw.finish is not None:
            self._continuation.died_computing(raw.finish.deaths)
        delta = self._continuation.took(raw)
        entry.took(remaining, delta, self._clock.monotonic())
        if delta.token_ids:
            self._refused.clear()
            self._free_trial()
        return replace(delta, finish=self._ending(delta.finish))

    def _ending(self, finish: Finish | None) -> Finish | None:
        """The request's, after its replica's."""
        if finish is None:
            return None
        if finish.reason is FinishReason.CANCELLED:
            return self._verdict or finish
        return None if finish.error_code in LOSSES else finish

    def _refused_by(self, replica: Replica, error: errors.CapacityError) -> None:
        """Others are asked. When all are full, a request that none took yet is told so."""
        self._refused.add(replica.replica_id)
        full = isinstance(error, errors.Overloaded)
        if full and not self._accepted and not self._replicas.taking(self._refused):
            raise error

    def _free_trial(self) -> None:
        if self._trial.over(self._continuation):
            self._replicas.wake()

    # --- waiting for a replica --------------------------------------------------------------

    async def _placed(self) -> tuple[Replica, Request, Dispatched]:
        """Waits when no replica takes it but one will. Raises what ends it."""
        while True:
            now = self._clock.monotonic()
            self._check_hope(now)
            taking = self._replicas.taking(self._refused)
            if taking and self._trial.admits(self._continuation):
                remaining = self._continuation.request(now)
                replica, entry = self._replicas.dispatch(remaining, taking)
                return replica, remaining, entry
            await self._wait(self._latest - now)

    async def _wait(self, left: float) -> None:
        if not self._refused:
            await self._replicas.changed(left)
            return
        await self._replicas.changed(min(left, self._pause))
        self._refused.clear()
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def _check_hope(self, now: float) -> None:
        if self._verdict is not None:
            raise Ended(self._verdict)
        if self._continuation.hopeless:
            raise Ended(self._continuation.lost)
        if self._replicas.state is EngineState.STOPPED:
            raise errors.NoCapacity("no replica is left")
        if now >= self._latest:
            raise errors.DeadlineExceeded("no replica was free in time")

    def _last(self, finish: Finish) -> TokenDelta:
        return TokenDelta(self._request.request_id, finish=finish)


class Ended(Exception):
    """The request ends while no replica has it."""

    def __init__(self, finish: Finish) -> None:
        super().__init__()
        self.finish = finish
