"""`stoker serve`: one model behind HTTP. The engine loads while the text layer does."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stoker.cli.options import engine_flags, flag, loaded_config, quantize_flag
from stoker.cli.progress import bar
from stoker.config.paths import cache_folder
from stoker.config.schema import Config, ServerSection
from stoker.errors import SetupError

if TYPE_CHECKING:
    from stoker.engine.client import EngineClient
    from stoker.text.vocabulary import Vocabulary

log = logging.getLogger("stoker.start")


@click.command(name="serve")
@click.argument("model", required=False)
@flag("--host", "server.host", "Address to listen on; beyond loopback an API key is needed.")
@flag("--port", "server.port", "0: any free port.")
@flag("--allowed-host", "server.allowed_hosts", "A Host header to accept; repeat.", multiple=True)
@flag("--drain-seconds", "server.drain_seconds", "Time running requests get at shutdown.")
@flag("--served-name", "model.served_name", "What clients call the model.")
@flag("--max-waiting", "engine.max_waiting", "Requests beyond this get 429.")
@flag("--log-level", "log.level", "debug, info, warning or error.")
@flag("--log-format", "log.format", "text or json.")
@quantize_flag
@engine_flags
@click.pass_context
def command(ctx: click.Context, model: str | None) -> int:
    """Serve MODEL: a catalog name, a GGUF file, a folder, or a hub repository (owner/name).

    Without MODEL it is smollm2:135m. SIGTERM or Ctrl-C lets running requests finish; a second one
    ends at once.
    """
    import uvloop

    from stoker.cli.fetch import fetch
    from stoker.observe.logs import set_up_logging

    started = time.monotonic()
    config = loaded_config(ctx, model).config
    set_up_logging(config.log)
    check_address(config.server)
    path = fetch(config.model)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(Serving(config, path, started).run())


class Serving:
    """One run of the server. Its timeline is logged at debug level."""

    def __init__(self, config: Config, path: Path, started: float) -> None:
        self._config = config
        self._path = path
        self._started = started
        self._name = config.model.served_name or config.model.name

    async def run(self) -> int:
        """The exit code. Raises SetupError's kinds; the engine process has ended by then."""
        from stoker.engine.client import EngineClient
        from stoker.engine.settings import engine_settings
        from stoker.text.load import load_vocabulary

        metadata = read_metadata(self._path)
        vocabulary = load_vocabulary(self._path, metadata)
        self._passed("model file read")
        settings = engine_settings(self._config, self._path, vocabulary.eos_token_ids)
        with contextlib.ExitStack() as bars:
            client = EngineClient(
                settings,
                max_restarts=self._config.engine.max_restarts,
                progress=bars.enter_context(bar(f"Loading {self._name}")),
            )
            loading = asyncio.create_task(self._load(client, bars))
            try:
                return await self._serve(client, metadata, vocabulary, loading)
            finally:
                loading.cancel()
                await asyncio.gather(loading, return_exceptions=True)
                await client.close()

    async def _load(self, client: EngineClient, bars: contextlib.ExitStack) -> None:
        try:
            await client.start()
        finally:
            bars.close()
        self._passed("engine ready")

    async def _serve(
        self,
        client: EngineClient,
        metadata: Mapping[str, Any],
        vocabulary: Vocabulary,
        loading: asyncio.Task[None],
    ) -> int:
        """Listens as soon as there is text to check requests with; until the engine is ready,
        they are told that the model is loading."""
        from stoker.api.app import create_app
        from stoker.api.server import Server
        from stoker.text.load import load_text

        cache = cache_folder(self._config.model)
        text = await asyncio.to_thread(load_text, self._path, metadata, cache, vocabulary)
        self._passed("text layer ready")
        section = self._config.server
        application = create_app(
            client, text, name=self._name, server=section, limits=self._config.limits
        )
        server = Server(application, section, self._announce)
        running = asyncio.create_task(server.run_until_stopped())
        try:
            await asyncio.wait({running, loading}, return_when=asyncio.FIRST_COMPLETED)
            if loading.done() and not server.stopping:  # stopped while loading is no failure
                loading.result()
            return await running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def _announce(self, url: str) -> None:
        seconds = time.monotonic() - self._started
        click.echo(f"{self._name} is served at {url} (ready in {seconds:.1f} s)")

    def _passed(self, milestone: str) -> None:
        log.debug("%4.0f ms: %s", (time.monotonic() - self._started) * 1000, milestone)


def read_metadata(path: Path) -> Mapping[str, Any]:
    """What the text layer needs of a model file. Raises ModelFileError or UnsupportedModel."""
    from stoker.model.load import open_model

    model = open_model(path)
    try:
        return model.metadata
    finally:
        model.close()


def check_address(section: ServerSection) -> None:
    """Raises SetupError when the address cannot be listened on, before anything is loaded."""
    try:
        found = socket.getaddrinfo(
            section.host, section.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, kind, protocol, _, address in found:
            with socket.socket(family, kind, protocol) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                trial.bind(address)
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        raise SetupError(
            f"cannot listen on {section.host}:{section.port}: {error.strerror or error}",
            hint="Another server is running there; choose another with --port." if in_use else "",
        ) from None
