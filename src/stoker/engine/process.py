"""The engine process: `python -m stoker.engine.process SOCKET`, started by the front.

Two threads. The main one computes: take in what arrived, run a step, send what it produced. The
reader decodes frames and answers pings itself, so that a step that never ends is visible from
outside. When the front goes away the process exits at once, whatever it is doing.

Exit codes: 0 asked to or front gone · 1 a defect · 3 its self-test failed · 4 loading failed.
"""

from __future__ import annotations

import ctypes
import logging
import os
import queue
import signal
import socket
import sys
import threading

from stoker.constrain.matcher import Matcher
from stoker.core.adapter import AdapterSource
from stoker.core.ids import RequestId
from stoker.core.lasting import keep_what_was_made
from stoker.core.output import Finish, FinishReason, TokenDelta
from stoker.core.request import Request
from stoker.engine import frames
from stoker.engine.build import build_engine
from stoker.engine.engine import Engine
from stoker.engine.peer import check_same_user
from stoker.engine.preparation import Accept, Preparation, Prepared
from stoker.engine.rejection import rejected
from stoker.errors import ProtocolError, StokerError

EXIT_BROKEN = 3
EXIT_LOAD = 4
MAX_INBOX = 4096
RECEIVE_BYTES = 256 * 1024
PR_SET_PDEATHSIG = 1

log = logging.getLogger(__name__)


class Link:
    """The socket to the front. `send` may be called from both threads."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._lock = threading.Lock()
        self._reader = frames.FrameReader()

    def send(self, frame: frames.Frame) -> None:
        data = frames.encode(frame)
        with self._lock:
            self._socket.sendall(data)

    def receive(self) -> list[frames.AnyFrame]:
        """Blocks for the next bytes. Raises EOFError when the front has gone."""
        data = self._socket.recv(RECEIVE_BYTES)
        if not data:
            raise EOFError
        return list(self._reader.feed(data))


class EngineProcess:
    def __init__(self, link: Link) -> None:
        self._link = link
        self._inbox: queue.Queue[frames.AnyFrame | Prepared] = queue.Queue(MAX_INBOX)
        self._engine: Engine | None = None
        self._preparation: Preparation

    def run(self) -> int:
        self._link.send(frames.Hello())
        threading.Thread(target=self._read, name="reader", daemon=True).start()
        load = self._inbox.get()
        if not isinstance(load, frames.Load):
            raise ProtocolError(f"{type(load).__name__} came before Load")
        most = load.settings.max_running + load.settings.max_waiting
        self._preparation = Preparation(load.settings.token_table, self._inbox.put, most)
        try:
            engine, info = build_engine(load.settings, self._report_progress)
        except StokerError as error:
            self._link.send(frames.Failed(error.code, error.message, error.hint))
            return EXIT_LOAD
        self._engine = engine
        engine.announce = lambda request_ids: self._link.send(frames.Computing(request_ids))
        keep_what_was_made()
        self._link.send(frames.Ready(info))
        return self._serve(engine)

    def _serve(self, engine: Engine) -> int:
        while not engine.broken:
            for frame in self._arrived(wait=engine.idle):
                self._handle(engine, frame)
            before = engine.num_steps
            deltas = engine.step()
            if events := engine.block_log.take():
                self._link.send(frames.Blocks(events))
            if deltas or engine.num_steps != before:
                self._link.send(frames.Deltas(deltas, engine.load()))
        return EXIT_BROKEN

    def _arrived(self, *, wait: bool) -> list[frames.AnyFrame | Prepared]:
        arrived = [self._inbox.get()] if wait else []
        while True:
            try:
                arrived.append(self._inbox.get_nowait())
            except queue.Empty:
                return arrived

    def _handle(self, engine: Engine, frame: frames.AnyFrame | Prepared) -> None:
        match frame:
            case frames.Submit(request):
                self._begin(engine, engine.submit, request)
            case frames.Resume(request):
                self._begin(engine, engine.resume, request)
            case Prepared():
                if self._preparation.done(frame):
                    self._prepared(engine, frame)
            case frames.Sleep():
                engine.sleep()
                self._link.send(frames.Asleep() if engine.asleep else frames.Awake())
            case frames.Wake():
                engine.wake()
                self._link.send(frames.Awake())
            case frames.LoadAdapter(source):
                self._load_adapter(engine, source)
            case frames.UnloadAdapter(key):
                engine.adapters.unload(key)
            case frames.Cancel(request_id):
                self._cancel(engine, request_id)
            case _:
                raise ProtocolError(f"{type(frame).__name__} is not for an engine")

    def _load_adapter(self, engine: Engine, source: AdapterSource) -> None:
        failed = None
        try:
            engine.adapters.load(source)
        except StokerError as error:
            failed = frames.Failed(error.code, error.message, error.hint)
        self._link.send(frames.AdapterLoaded(source.key, failed))

    def _wake(self, engine: Engine) -> None:
        if engine.asleep:
            engine.wake()
            self._link.send(frames.Awake())

    def _begin(self, engine: Engine, accept: Accept, request: Request) -> None:
        if request.constraint is None:
            self._take(engine, accept, request, None)
            return
        try:
            self._preparation.begin(request, request.constraint, accept)
        except StokerError as error:
            self._link.send(rejected(request, error))

    def _prepared(self, engine: Engine, prepared: Prepared) -> None:
        if isinstance(prepared.result, StokerError):
            self._link.send(rejected(prepared.request, prepared.result))
        else:
            self._take(engine, prepared.accept, prepared.request, prepared.result)

    def _take(
        self, engine: Engine, accept: Accept, request: Request, guide: Matcher | None
    ) -> None:
        self._wake(engine)
        try:
            accept(request, guide)
        except StokerError as error:
            self._link.send(rejected(request, error))

    def _cancel(self, engine: Engine, request_id: RequestId) -> None:
        engine.cancel(request_id)
        if self._preparation.cancel(request_id):
            delta = TokenDelta(request_id, finish=Finish(FinishReason.CANCELLED))
            self._link.send(frames.Deltas([delta], engine.load()))

    def _report_progress(self, done: int, total: int) -> None:
        self._link.send(frames.Progress(done, total))

    def _read(self) -> None:
        """The reader thread. Ends only with the process."""
        try:
            while True:
                for frame in self._link.receive():
                    match frame:
                        case frames.Ping(nonce):
                            self._link.send(self._pong(nonce))
                        case frames.Shutdown():
                            os._exit(0)
                        case _:
                            self._inbox.put(frame)
        except (EOFError, OSError):
            os._exit(0)
        except ProtocolError as error:
            log.error("%s", error)
            os._exit(1)

    def _pong(self, nonce: int) -> frames.Pong:
        engine = self._engine
        return frames.Pong(nonce, *(engine.pulse() if engine is not None else (0, 0.0, 0.0)))


def main(path: str) -> int:
    # The front decides when an engine ends; a Ctrl-C in the terminal reaches the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="engine: %(message)s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(path)
            check_same_user(connection)
            return EngineProcess(Link(connection)).run()
        except (ConnectionError, FileNotFoundError):  # the front is gone
            return 0


if __name__ == "__main__":
    code = main(sys.argv[1])
    sys.stdout.flush()
    os._exit(code)  # not sys.exit: the reader thread may be blocked in recv
