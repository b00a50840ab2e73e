"""The front's handle to an engine process: routes deltas, and lets streams outlive the engine.

Every live request is kept with the tokens delivered so far. When the engine dies or gets stuck, a
new one is started and each request is submitted again with those tokens; since a token depends
only on the model, the tokens before it and (seed, position), the stream goes on exactly.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable

from stoker import errors
from stoker.core.clock import Clock, SystemClock
from stoker.core.ids import RequestId
from stoker.core.output import FinishReason, TokenDelta
from stoker.core.request import Request
from stoker.core.validation import refuse_too_long, validate
from stoker.engine import frames, rejection
from stoker.engine.adapter_shelf import AdapterShelf
from stoker.engine.frames import EngineSettings
from stoker.engine.interface import BlockListener, EngineInfo, EngineLoad, EngineState
from stoker.engine.rest import Rest
from stoker.engine.stream import Stream
from stoker.engine.supervisor import Supervisor

log = logging.getLogger(__name__)

LATE_SECONDS = 0.25
"""How long after a deadline the engine may still report it itself."""
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
        adapters: AdapterShelf | None = None,
    ) -> None:
        self._settings = settings
        self._adapters = adapters or AdapterShelf()
        self._clock = clock or SystemClock()
        self._progress = progress
        self._blocks: BlockListener | None = None
        self._supervisor = Supervisor(
            settings,
            self,
            max_restarts=max_restarts,
            stuck_after=stuck_after,
            clock=self._clock,
        )
        self._rest = Rest(self._supervisor.send)
        self._task: asyncio.Task[None] | None = None
        self._loaded: asyncio.Future[None] | None = None
        self._final: EngineState | None = None
        """DRAINING or STOPPED: nothing leads back from there."""
        self._info: EngineInfo | None = None
        self._load = EngineLoad()
        self._streams: dict[RequestId, Stream] = {}
        self._suspects: deque[Stream] = deque()
        self._on_trial: Stream | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    # --- Backend ----------------------------------------------------------------------------

    @property
    def info(self) -> EngineInfo:
        if self._info is None:
            raise errors.Loading("the model is loading", retry_after=1.0)
        return self._info

    @property
    def state(self) -> EngineState:
        if self._rest.asleep and self._supervisor.takes_requests:
            return self._final or EngineState.SLEEPING
        return self._final or self._supervisor.state

    @property
    def load(self) -> EngineLoad:
        return self._load

    @property
    def num_restarts(self) -> int:
        return self._supervisor.num_restarts

    @property
    def pid(self) -> int | None:
        """Of the engine process, for operators and fault tests."""
        return self._supervisor.pid

    def listen(self, listener: BlockListener) -> None:
        """`listener` is told what the engine caches, if the settings have a `cache_key`."""
        self._blocks = listener

    async def start(self) -> None:
        """Starts the process and waits until the model is loaded. Raises SetupError's kinds, or
        ReplicaLost when the process died."""
        self._loaded = asyncio.get_running_loop().create_future()
        self._adapters.follow(self._supervisor.send)
        self._task = asyncio.create_task(self._supervise(), name="engine supervisor")
        try:
            await self._loaded
        except BaseException:
            await self.close()
            raise

    async def submit(self, request: Request) -> AsyncGenerator[TokenDelta, None]:
        self._refuse(request)
        stream = self._open(request)
        expiry: asyncio.TimerHandle | None = None
        try:
            self._hand_over(stream)
            expiry = self._expire_later(stream)
            while True:
                delta = await stream.next()
                yield delta
                if delta.finish is not None:
                    return
        finally:
            if expiry is not None:
                expiry.cancel()
            self._forget(stream)

    def cancel(self, request_id: RequestId) -> None:
        stream = self._streams.get(request_id)
        if stream is None or stream.cancelled:
            return
        stream.cancelled = True
        if stream.in_engine and self._supervisor.takes_requests:
            self._supervisor.send(frames.Cancel(request_id))
        else:
            stream.end(FinishReason.CANCELLED)

    async def sleep(self) -> None:
        """The engine gives back all memory but the weights', unless it has requests. The next one
        wakes it."""
        if self.state is EngineState.READY and not self._streams:
            await self._rest.ask(frames.Sleep())

    async def wake(self) -> None:
        """Returns when the engine is awake, or gone."""
        if self._supervisor.takes_requests and self._final is None:
            await self._rest.ask(frames.Wake())

    async def drain(self, grace: float) -> None:
        self._final = self._final or EngineState.DRAINING
        await self._empty(grace)

    async def close(self) -> None:
        """Ends every stream and the process. Safe to call twice."""
        self._stop(errors.NoCapacity("the engine was closed while loading"))
        self._adapters.leave(self._supervisor.send)
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _empty(self, grace: float) -> None:
        """Lets requests finish for `grace` seconds, then ends them."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), grace)
        self._end_all(errors.Draining.code)

    # --- streams ----------------------------------------------------------------------------

    def _refuse(self, request: Request) -> None:
        if self.state is EngineState.LOADING:
            raise errors.Loading("the model is loading", retry_after=1.0)
        if self.state is EngineState.DRAINING:
            raise errors.Draining("the server is shutting down")
        if self.state is EngineState.STOPPED:
            raise errors.NoCapacity("the engine has stopped")
        if len(self._streams) >= self.info.max_requests:
            raise errors.Overloaded("too many requests are waiting already", retry_after=1.0)
        if request.request_id in self._streams:
            raise errors.InternalError("two requests have the same id")
        validate(request, self.info.vocab_size, self.info.abilities)
        self._adapters.check(request.adapter)
        refuse_too_long(request, self.info.max_context)
        try:
            frames.encode(frames.Submit(request))  # later there may be nobody left to refuse it to
        except errors.ProtocolError as error:
            raise errors.InvalidRequest(error.message) from None

    def _open(self, request: Request) -> Stream:
        now = self._clock.monotonic()
        stream = Stream(request, None if request.timeout is None else now + request.timeout)
        self._streams[request.request_id] = stream
        self._idle.clear()
        return stream

    def _hand_over(self, stream: Stream) -> None:
        """Without an engine, the next one gets it when it is ready."""
        if self._supervisor.takes_requests:
            stream.in_engine = True
            self._supervisor.send(frames.Submit(stream.request))

    def _expire_later(self, stream: Stream) -> asyncio.TimerHandle | None:
        """A deadline holds even while there is no engine to notice it."""
        if stream.request.timeout is None:
            return None
        loop = asyncio.get_running_loop()
        late = stream.request.timeout + LATE_SECONDS
        return loop.call_later(late, stream.end, FinishReason.DEADLINE)

    def _forget(self, stream: Stream) -> None:
        """The consumer is done; whatever the engine still does for it is stopped."""
        self._streams.pop(stream.request.request_id, None)
        self._stop_computing(stream)
        if stream is self._on_trial:
            self._on_trial = None
            self._try_suspect()
        if not self._streams:
            self._idle.set()

    def _stop_computing(self, stream: Stream) -> None:
        if stream.in_engine:
            stream.in_engine = False
            self._supervisor.send(frames.Cancel(stream.request.request_id))

    def _end_all(self, error_code: str) -> None:
        for stream in self._streams.values():
            stream.end(FinishReason.ERROR, error_code)
            self._stop_computing(stream)

    # --- what the supervisor tells ------------------------------------------------------------

    async def _supervise(self) -> None:
        try:
            await self._supervisor.run()
        except errors.StokerError as error:
            if self._info is not None:  # else `start` raises it
                log.error("%s", error.message)
            self._stop(error)
        except Exception:
            log.exception("the engine's supervisor failed")
            self._stop(errors.InternalError("the engine cannot be supervised"))

    def _stop(self, why: errors.StokerError) -> None:
        """No engine will follow: every stream ends, and so does waiting for the first load."""
        self._final = EngineState.STOPPED
        if self._loaded is not None and not self._loaded.done():
            self._loaded.set_exception(why)
        self._end_all(errors.ReplicaLost.code)

    def engine_ready(self, info: EngineInfo) -> None:
        self._info = info
        for source in self._adapters.sources:
            self._supervisor.send(frames.LoadAdapter(source))
        self._rested(asleep=False)
        self._on_trial = None
        self._suspects.clear()
        now = self._clock.monotonic()
        for stream in self._streams.values():
            if stream.hopeless:
                stream.end(FinishReason.ERROR, errors.ReplicaLost.code)
            elif stream.suspect:
                self._suspects.append(stream)
            elif not stream.finished:
                self._resume(stream, now)
        self._try_suspect()
        if self._loaded is not None and not self._loaded.done():
            self._loaded.set_result(None)

    def _resume(self, stream: Stream, now: float) -> None:
        stream.in_engine = True
        self._supervisor.send(frames.Resume(stream.continuation(now)))

    def _try_suspect(self) -> None:
        """One of the requests that may have killed an engine is computed at a time: the next when
        this one has got a token or ended."""
        while self._suspects and (self._on_trial is None or not self._on_trial.suspect):
            self._on_trial = self._suspects.popleft()
            if self._on_trial.suspect:
                self._resume(self._on_trial, self._clock.monotonic())

    def engine_said(self, frame: frames.AnyFrame) -> None:
        match frame:
            case frames.Deltas(deltas, load):
                self._load = load
                for delta in deltas:
                    self._deliver(delta)
                self._try_suspect()
            case frames.Asleep() | frames.Awake():
                self._rested(asleep=isinstance(frame, frames.Asleep))
            case frames.Blocks(events):
                if self._blocks is not None:
                    self._blocks.changed(events)
            case frames.Computing(request_ids):
                self._computing(frozenset(request_ids))
            case frames.AdapterLoaded(_, error):
                if error is not None:
                    log.error("%s", error.message)
            case frames.Rejected():
                self._reject(frame)
                self._try_suspect()
            case frames.Progress(done, total):
                if self._progress is not None:
                    self._progress(done, total)
            case _:
                raise errors.ProtocolError(f"{type(frame).__name__} is not for a front")

    def _computing(self, request_ids: frozenset[RequestId]) -> None:
        for request_id, stream in self._streams.items():
            stream.computing = request_id in request_ids

    def _rested(self, *, asleep: bool) -> None:
        if asleep and self._blocks is not None:
            self._blocks.lost()
        self._rest.heard(asleep=asleep)

    def engine_died(self) -> None:
        self._load = EngineLoad()
        self._rested(asleep=False)
        if self._blocks is not None:
            self._blocks.lost()
        for stream in self._streams.values():
            computing = stream.engine_died()
            if stream.cancelled:
                stream.end(FinishReason.CANCELLED)
            else:
                self._bereaved(stream, computing)

    def _bereaved(self, stream: Stream, computing: bool) -> None:
        """What becomes of a stream whose engine died: it waits for the next one. `computing`:
        whether it was part of the step under way."""

    def _deliver(self, delta: TokenDelta) -> None:
        stream = self._streams.get(delta.request_id)
        if stream is not None:
            stream.in_engine = stream.in_engine and delta.finish is None
            stream.push(delta)

    def _reject(self, frame: frames.Rejected) -> None:
        stream = self._streams.get(frame.request_id)
        if stream is not None:
            stream.in_engine = False
            stream.refuse(rejection.error_of(frame))
