"""A real server on a real port, its loop in a thread of its own."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import uvloop

from stoker.api.app import Application
from stoker.api.assembly import Parts, assemble
from stoker.api.server import Server
from stoker.config.fleet_schema import EdgeSection, ModelEntry
from stoker.config.schema import Config, LimitsSection, ServerSection
from stoker.engine.client import EngineClient
from stoker.engine.frames import EngineSettings
from stoker.engine.interface import Backend
from stoker.engine.settings import engine_settings
from stoker.executor.fake import FakeOptions
from stoker.gateway.identity import Keyring
from stoker.gateway.ledger import NoLimits
from stoker.model.load import open_model
from stoker.text.load import TextModel, load_text
from tests.support.local_backend import LocalBackend
from tests.support.text import tiny_text, vocab_size

Result = TypeVar("Result")
MODEL = "tiny"
START_SECONDS = 60.0
LOCAL = ServerSection(port=0, drain_seconds=5.0)


class RunningServer:
    def __init__(
        self,
        make_backend: Callable[[], Coroutine[Any, Any, Backend]],
        text: TextModel,
        name: str = MODEL,
        server: ServerSection = LOCAL,
        limits: LimitsSection | None = None,
        edge: EdgeSection | None = None,
    ) -> None:
        self._make_backend = make_backend
        self._text = text
        self._name = name
        self._section = server
        self._config = Config(
            server=server, limits=limits or LimitsSection(), edge=edge or EdgeSection()
        )
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name="server", daemon=True)
        self.url = ""
        self.backend: Any = None
        self.exit_code: int | None = None
        self.server: Server
        self.application: Application
        self.loop: asyncio.AbstractEventLoop

    def start(self) -> None:
        self._thread.start()
        if not self._ready.wait(START_SECONDS):
            raise TimeoutError("the server did not become ready")
        if self._failure is not None:
            raise self._failure

    def stop(self) -> int | None:
        """Drains, waits for the end, and returns the exit code."""
        self.server.stop()
        self.join()
        return self.exit_code

    def join(self) -> None:
        """Waits for the end of a server that is ending."""
        self._thread.join(START_SECONDS)
        if self._thread.is_alive():
            raise TimeoutError("the server did not stop")

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def call(self, function: Callable[[], Result]) -> Result:
        """Runs a function in the server's loop."""

        async def run() -> Result:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(10)

    def until(self, condition: Callable[[], bool]) -> None:
        """Returns once the condition holds in the server's loop; fails after ten seconds."""

        async def poll() -> None:
            async with asyncio.timeout(10):
                while not condition():
                    await asyncio.sleep(0.002)

        asyncio.run_coroutine_threadsafe(poll(), self.loop).result(15)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def _main(self) -> None:
        try:
            self.exit_code = uvloop.run(self._serve())
        except BaseException as error:
            self._failure = error
            self._ready.set()

    async def _serve(self) -> int:
        self.loop = asyncio.get_running_loop()
        self.backend = await self._make_backend()
        parts = Parts(ModelEntry(name=self._name), self.backend, self._text)
        keyring = Keyring(api_key=self._section.api_key)
        self.application = assemble(self._config, [parts], keyring, NoLimits())
        self.server = Server(self.application, self._section, self._announced)
        return await self.server.run_until_stopped()

    def _announced(self, url: str) -> None:
        self.url = url
        self._ready.set()


@contextmanager
def local_server(
    server: ServerSection = LOCAL,
    eos: tuple[int, ...] = (),
    text: TextModel | None = None,
    **limits: Any,
) -> Iterator[RunningServer]:
    """Over the fake executor, with a byte-level tokenizer. `limits` override the defaults."""
    shown = text or tiny_text()

    async def backend() -> Backend:
        return LocalBackend(vocab_size(), eos, table=shown.tokenizer.vocabulary.table)

    chosen = msgspec.structs.replace(LimitsSection(), **limits)
    running = RunningServer(backend, shown, server=server, limits=chosen)
    running.start()
    try:
        yield running
    finally:
        running.stop()


@contextmanager
def process_server(fake: FakeOptions | None = None, **limits: Any) -> Iterator[RunningServer]:
    """Over the fake executor in an engine process of its own."""
    options = fake or FakeOptions(num_blocks=2048, max_context=2048)
    options = dataclasses.replace(options, vocab_size=vocab_size())

    async def backend() -> Backend:
        table = tiny_text().tokenizer.vocabulary.table
        client = EngineClient(EngineSettings(executor="fake", fake=options, token_table=table))
        await client.start()
        return client

    chosen = msgspec.structs.replace(LimitsSection(), **limits)
    running = RunningServer(backend, tiny_text(), limits=chosen)
    running.start()
    try:
        yield running
    finally:
        running.stop()


@contextmanager
def model_server(name: str) -> Iterator[RunningServer]:
    """The whole stack: a catalog model in an engine process of its own."""
    from tests.support.models import model_path

    with path_server(model_path(name), name) as running:
        yield running


@contextmanager
def path_server(path: Path, name: str = MODEL, **limits: Any) -> Iterator[RunningServer]:
    """The same for the model of a path."""
    from stoker.config.paths import cache_folder

    config = Config()
    text = load_text(path, open_model(path).metadata, cache_folder(config.model))

    async def backend() -> Backend:
        client = EngineClient(engine_settings(config, path, text.tokenizer.vocabulary.table))
        await client.start()
        return client

    chosen = msgspec.structs.replace(LimitsSection(), **limits)
    running = RunningServer(backend, text, name, limits=chosen)
    running.start()
    try:
        yield running
    finally:
        running.stop()


@contextmanager
def replica_server(key_file: Path) -> Iterator[RunningServer]:
    """A replica for fronts on other machines, over the fake executor."""

    async def backend() -> Backend:
        return LocalBackend(vocab_size())

    section = msgspec.structs.replace(LOCAL, replica=True)
    edge = EdgeSection(ticket_key_file=str(key_file))
    running = RunningServer(backend, tiny_text(), server=section, edge=edge)
    running.start()
    try:
        yield running
    finally:
        running.stop()
