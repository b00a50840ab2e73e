"""Keeps one engine process running: starts it, watches it, replaces it when it dies."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from typing import Any, Protocol

from stoker import errors
from stoker.core.clock import Clock
from stoker.engine import frames
from stoker.engine.child import EngineChild
from stoker.engine.frames import EngineSettings
from stoker.engine.interface import EngineInfo, EngineState
from stoker.engine.watchdog import Watchdog

log = logging.getLogger(__name__)

PING_SECONDS = 1.0
LOADING_PATIENCE = 6.0
"""While loading, silence may last this many times longer."""
RESTART_WINDOW = 600.0
FIRST_BACKOFF = 0.05
MAX_BACKOFF = 5.0


class EngineEvents(Protocol):
    """What a supervisor tells its owner."""

    def engine_ready(self, info: EngineInfo) -> None:
        """An engine has loaded and takes requests."""
        ...

    def engine_said(self, frame: frames.AnyFrame) -> None: ...

    def engine_died(self) -> None:
        """Whatever was in the engine is lost. Another one follows, or `run` raises."""
        ...


class Supervisor:
    def __init__(
        self,
        settings: EngineSettings,
        events: EngineEvents,
        *,
        max_restarts: int,
        stuck_after: float,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._events = events
        self._max_restarts = max_restarts
        self._stuck_after = stuck_after
        self._clock = clock
        self._child: EngineChild | None = None
        self._watchdog = Watchdog(stuck_after)
        self._restarts: deque[float] = deque()
        self.state = EngineState.LOADING
        """LOADING, READY, STUCK or RESTARTING."""
        self.num_restarts = 0

    @property
    def pid(self) -> int | None:
        return None if self._child is None else self._child.pid

    @property
    def takes_requests(self) -> bool:
        return self.state is EngineState.READY

    def send(self, frame: frames.Frame) -> None:
        """To the engine there is now, if it has loaded."""
        if self._child is not None and self.takes_requests:
            self._child.send(frame)

    async def run(self) -> None:
        """Runs engines one after the other. Raises why it ends: what was wrong when the first one
        loaded, or ReplicaLost when too many died."""
        while True:
            reason = await self._run_one()
            if self.state is EngineState.LOADING:
                raise reason
            log.error("%s", reason.message)
            if not self._may_restart():
                raise errors.ReplicaLost("the engine died too often; giving up")
            await asyncio.sleep(min(FIRST_BACKOFF * 2 ** len(self._restarts), MAX_BACKOFF))

    def _may_restart(self) -> bool:
        now = self._clock.monotonic()
        while self._restarts and now - self._restarts[0] > RESTART_WINDOW:
            self._restarts.popleft()
        if len(self._restarts) >= self._max_restarts:
            return False
        self._restarts.append(now)
        self.num_restarts += 1
        return True

    async def _run_one(self) -> errors.StokerError:
        """One engine's life. Returns what ended it."""
        try:
            child = await EngineChild.start()
        except (errors.SetupError, errors.ReplicaLost) as error:
            return error
        self._child = child
        reason: errors.StokerError | None = None
        try:
            await self._converse(child)
        except errors.SetupError as error:
            reason = error
        finally:
            self._child = None
            if self.state is not EngineState.LOADING:
                self.state = EngineState.RESTARTING
            self._events.engine_died()
            code = await _finished(child.close())
        while_loading = " while loading" if self.state is EngineState.LOADING else ""
        return reason or errors.ReplicaLost(f"the engine ended with code {code}{while_loading}")

    async def _converse(self, child: EngineChild) -> None:
        self._watchdog = Watchdog(self._stuck_after * LOADING_PATIENCE)
        watch = asyncio.create_task(self._watch(child), name="engine watchdog")
        try:
            child.send(frames.Load(self._settings))
            async for frame in child.frames():
                self._receive(frame)
        finally:
            watch.cancel()

    def _receive(self, frame: frames.AnyFrame) -> None:
        match frame:
            case frames.Pong(_, num_steps, step_seconds, expected_seconds):
                self._watchdog.observe_answer(num_steps, step_seconds, expected_seconds)
            case frames.Ready(info):
                self._watchdog = Watchdog(self._stuck_after)
                self.state = EngineState.READY
                self._events.engine_ready(info)
            case frames.Failed(code, message, hint):
                raise _SETUP_ERRORS.get(code, errors.SetupError)(message, hint=hint)
            case _:
                self._events.engine_said(frame)

    async def _watch(self, child: EngineChild) -> None:
        """Pings the engine; one that makes no progress is killed, which ends its frames."""
        interval = min(PING_SECONDS, self._stuck_after / 4)
        nonce = 0
        before = self._clock.monotonic()
        while not self._watchdog.stuck:
            nonce += 1
            child.send(frames.Ping(nonce))
            await asyncio.sleep(interval)
            now = self._clock.monotonic()
            # A longer pause was this process's own: it says nothing of the engine.
            self._watchdog.tick(min(now - before, 2 * interval))
            before = now
        log.error("the engine makes no progress; replacing it")
        if self.takes_requests:
            self.state = EngineState.STUCK
        child.kill()


async def _finished(work: Coroutine[Any, Any, int]) -> int:
    """Its result. Awaited even when cancelled meanwhile: no process is left half ended."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    finally:
        await task


_SETUP_ERRORS: dict[str, type[errors.SetupError]] = {
    kind.code: kind
    for kind in (errors.ConfigError, errors.UnsupportedModel, errors.PullError, errors.SetupError)
}
