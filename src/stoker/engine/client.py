"""The front's handle to an engine process: routes deltas, and replaces the process when it dies.

Every live request is kept with the tokens delivered so far. When the engine dies or gets stuck, a
new one is started and each request is submitted again with those tokens; since a token depends
only on the model, the tokens before it and (seed, position), the stream goes on exactly.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable

from stoker import errors
from stoker.core.clock import Clock, SystemClock
from stoker.core.ids import RequestId
from stoker.core.output import FinishReason, TokenDelta
from stoker.core.request import Request
from stoker.engine import frames
from stoker.engine.child import EngineChild
from stoker.engine.frames import EngineSettings
from stoker.engine.interface import EngineInfo, EngineLoad, EngineState
from stoker.engine.stream import Stream
from stoker.engine.watchdog import Watchdog

log = logging.getLogger(__name__)

PING_SECONDS = 1.0
RESTART_WINDOW = 600.0
FIRST_BACKOFF = 0.05
MAX_BACKOFF = 5.0
Progress = Callable[[int, int], None]


class EngineClient:
    """Implements Backend. All methods belong to one event loop."""

    def __init__(
        self,
        settings: EngineSettings,
        *,
        max_restarts: int = 5,
        stuck_after: float = 10.0,
        clock: Clock | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._settings = settings
        self._max_restarts = max_restarts
        self._stuck_after = stuck_after
        self._clock = clock or SystemClock()
        self._progress = progress
        self._state = EngineState.LOADING
        self._info: EngineInfo | None = None
        self._load = EngineLoad()
        self._streams: dict[RequestId, Stream] = {}
        self._child: EngineChild | None = None
        self._watchdog = Watchdog(self._clock.monotonic(), stuck_after)
        self._restarts: deque[float] = deque()
        self._supervisor: asyncio.Task[None] | None = None
        self._loaded: asyncio.Future[None] | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self.num_restarts = 0

    # --- Backend ----------------------------------------------------------------------------

    @property
    def info(self) -> EngineInfo:
        if self._info is None:
            raise errors.Loading("the model is loading", retry_after=1.0)
        return self._info

    @property
    def state(self) -> EngineState:
        return self._state

    @property
    def load(self) -> EngineLoad:
        return self._load

    @property
    def pid(self) -> int | None:
        """Of the engine process, for operators and fault tests."""
        return self._child.pid if self._child is not None else None

    async def start(self) -> None:
        """Starts the process and waits until the model is loaded. Raises SetupError's kinds."""
        self._loaded = asyncio.get_running_loop().create_future()
        self._supervisor = asyncio.create_task(self._supervise(), name="engine supervisor")
        try:
            await self._loaded
        except BaseException:
            await self.close()
            raise

    async def submit(self, request: Request) -> AsyncIterator[TokenDelta]:
        self._refuse_if_closed(request)
        deadline = None if request.timeout is None else self._clock.monotonic() + request.timeout
        stream = Stream(request, deadline)
        self._streams[request.request_id] = stream
        self._idle.clear()
        if self._child is not None and self._state in (EngineState.READY, EngineState.STUCK):
            self._child.send(frames.Submit(request))
        try:
            while True:
                delta = await stream.next()
                yield delta
                if delta.finish is not None:
                    return
        finally:
            self._forget(stream)

    def cancel(self, request_id: RequestId) -> None:
        stream = self._streams.get(request_id)
        if stream is None or stream.cancelled:
            return
        stream.cancelled = True
        if self._child is not None and self._state in (EngineState.READY, EngineState.DRAINING):
            self._child.send(frames.Cancel(request_id))
        else:
            stream.end(FinishReason.CANCELLED)

    async def drain(self, grace: float) -> None:
        if self._state is not EngineState.STOPPED:
            self._state = EngineState.DRAINING
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), grace)
        self._end_all(FinishReason.ERROR, errors.Draining.code)

    async def close(self) -> None:
        """Ends the process and every stream. Safe to call twice."""
        self._state = EngineState.STOPPED
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await supervisor
        self._end_all(FinishReason.ERROR, errors.ReplicaLost.code)

    # --- streams ----------------------------------------------------------------------------

    def _refuse_if_closed(self, request: Request) -> None:
        if self._state is EngineState.LOADING:
            raise errors.Loading("the model is loading", retry_after=1.0)
        if self._state is EngineState.DRAINING:
            raise errors.Draining("the server is shutting down")
        if self._state is EngineState.STOPPED:
            raise errors.NoCapacity("the engine has stopped")
        if len(self._streams) >= self._settings.max_waiting + self._settings.max_running:
            raise errors.Overloaded("too many requests are waiting already", retry_after=1.0)
        longest = self.info.max_context
        if request.max_total_tokens > longest:
            raise errors.ContextLengthExceeded(
                f"{request.num_prompt_tokens} prompt tokens and {request.sampling.max_tokens} new "
                f"ones exceed the {longest} tokens this server can hold for one request"
            )

    def _forget(self, stream: Stream) -> None:
        """The consumer is done; whatever the engine still does for it is stopped."""
        request_id = stream.request.request_id
        self._streams.pop(request_id, None)
        if not stream.finished and self._child is not None:
            self._child.send(frames.Cancel(request_id))
        if not self._streams:
            self._idle.set()

    def _end_all(self, reason: FinishReason, error_code: str) -> None:
        for stream in list(self._streams.values()):
            stream.end(reason, error_code)
            if self._child is not None:
                self._child.send(frames.Cancel(stream.request.request_id))

    # --- the process ------------------------------------------------------------------------

    async def _supervise(self) -> None:
        """Runs engines one after the other until told to stop or too many died."""
        while True:
            try:
                await self._run_one()
            except (errors.SetupError, errors.ReplicaLost) as error:
                self._load_failed(error)
                if self._state is EngineState.STOPPED:
                    return
            if not self._may_restart():
                log.error("the engine died too often; giving up")
                self._state = EngineState.STOPPED
                self._end_all(FinishReason.ERROR, errors.ReplicaLost.code)
                return
            await asyncio.sleep(min(FIRST_BACKOFF * 2 ** len(self._restarts), MAX_BACKOFF))

    def _load_failed(self, error: errors.StokerError) -> None:
        """The first load's failure is final and belongs to `start`; a later one is a death."""
        if self._loaded is not None and not self._loaded.done():
            self._state = EngineState.STOPPED
            self._loaded.set_exception(error)
        else:
            log.error("%s", error.message)

    def _may_restart(self) -> bool:
        now = self._clock.monotonic()
        while self._restarts and now - self._restarts[0] > RESTART_WINDOW:
            self._restarts.popleft()
        if len(self._restarts) >= self._max_restarts:
            return False
        self._restarts.append(now)
        self.num_restarts += 1
        return True

    async def _run_one(self) -> None:
        """One engine's life. Returns when it has died."""
        child = await EngineChild.start()
        watch = asyncio.create_task(self._watch(child), name="engine watchdog")
        try:
            child.send(frames.Load(self._settings))
            async for frame in child.frames():
                self._receive(child, frame)
        finally:
            watch.cancel()
            self._child = None
            if self._state is not EngineState.DRAINING and self._state is not EngineState.STOPPED:
                self._state = EngineState.RESTARTING if self._info else EngineState.LOADING
            code = await asyncio.shield(child.close())
            log.log(logging.INFO if self._info else logging.DEBUG, "the engine ended: %s", code)
        if self._info is None:
            raise errors.ReplicaLost(f"the engine ended with code {code} while loading")

    def _receive(self, child: EngineChild, frame: frames.AnyFrame) -> None:
        match frame:
            case frames.Deltas(deltas, load):
                self._deliver(deltas, load)
            case frames.Pong(_, _, step_seconds):
                self._watchdog.observe_answer(self._clock.monotonic(), step_seconds)
            case frames.Rejected():
                self._reject(frame)
            case frames.Progress(done, total):
                if self._progress is not None:
                    self._progress(done, total)
            case frames.Ready(info):
                self._ready(child, info)
            case frames.Failed(code, message, hint):
                raise _setup_error(code, message, hint)
            case _:
                raise errors.ProtocolError(f"{type(frame).__name__} is not for a front")

    def _deliver(self, deltas: list[TokenDelta], load: EngineLoad) -> None:
        self._load = load
        self._watchdog.observe_steps(load.num_steps, load.step_seconds)
        for delta in deltas:
            stream = self._streams.get(delta.request_id)
            if stream is not None:
                stream.push(delta)

    def _reject(self, frame: frames.Rejected) -> None:
        stream = self._streams.get(frame.request_id)
        if stream is None:
            return
        kind = _REJECTIONS.get(frame.code, errors.InternalError)
        stream.fail(kind(frame.message, retry_after=frame.retry_after))

    def _ready(self, child: EngineChild, info: EngineInfo) -> None:
        self._info = info
        self._child = child
        self._watchdog = Watchdog(self._clock.monotonic(), self._stuck_after)
        if self._state is not EngineState.DRAINING:
            self._state = EngineState.READY
        now = self._clock.monotonic()
        for stream in self._streams.values():
            if stream.cancelled:
                stream.end(FinishReason.CANCELLED)
            elif not stream.finished:
                child.send(frames.Submit(stream.continuation(now)))
        if self._loaded is not None and not self._loaded.done():
            self._loaded.set_result(None)

    async def _watch(self, child: EngineChild) -> None:
        """Pings the engine; one that makes no progress is killed, which `_run_one` notices."""
        nonce = 0
        while True:
            await asyncio.sleep(min(PING_SECONDS, self._stuck_after / 4))
            if self._child is not child:
                continue  # still loading
            if self._watchdog.stuck(self._clock.monotonic()):
                log.error("the engine makes no progress; replacing it")
                self._state = EngineState.STUCK
                child.kill()
                return
            nonce += 1
            child.send(frames.Ping(nonce))


_REJECTIONS: dict[str, type[errors.StokerError]] = {
    kind.code: kind
    for kind in (errors.ContextLengthExceeded, errors.InvalidRequest, errors.Overloaded)
}

_SETUP_ERRORS: dict[str, type[errors.SetupError]] = {
    kind.code: kind
    for kind in (errors.ConfigError, errors.UnsupportedModel, errors.PullError, errors.SetupError)
}


def _setup_error(code: str, message: str, hint: str) -> errors.SetupError:
    return _SETUP_ERRORS.get(code, errors.SetupError)(message, hint=hint)
