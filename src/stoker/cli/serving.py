"""One run of the server: models load while it already listens, and all ends together."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

import click

from stoker.api.app import Application
from stoker.api.assembly import Parts, assemble
from stoker.api.batch.runner import BatchRunner
from stoker.api.front import Front
from stoker.api.reloading import Reloading
from stoker.api.server import Server
from stoker.cli.scaling import Scaling
from stoker.cli.served_model import ServedModel
from stoker.config.load import LoadedConfig
from stoker.config.paths import cache_folder
from stoker.config.reload import Reload
from stoker.config.schema import Config
from stoker.config.watch import ConfigWatcher
from stoker.core.clock import SystemClock
from stoker.core.lasting import keep_what_was_made
from stoker.gateway.identity import Keyring
from stoker.gateway.ledger import Ledger, NoLimits
from stoker.gateway.stores.choice import open_ledger

log = logging.getLogger("stoker.start")


class Serving:
    """Its timeline is logged at debug level."""

    def __init__(
        self,
        loaded: LoadedConfig,
        load: Callable[[], LoadedConfig],
        models: Sequence[ServedModel],
        started: float,
    ) -> None:
        """`load` reads the configuration again, for a reload."""
        self._loaded = loaded
        self._config = loaded.config
        self._load_again = load
        self._models = models
        self._started = started
        self._passed("model files read")

    async def run(self) -> int:
        """The exit code. Raises SetupError's kinds; every engine process has ended by then."""
        loading = asyncio.create_task(self._load())
        try:
            return await self._serve(loading)
        finally:
            loading.cancel()
            await asyncio.gather(loading, return_exceptions=True)
            await asyncio.gather(*(model.close() for model in self._models))

    async def _load(self) -> None:
        async with asyncio.TaskGroup() as group:
            for model in self._models:
                group.create_task(model.start())
        self._passed("engines ready")

    async def _serve(self, loading: asyncio.Task[None]) -> int:
        """Listens as soon as there is text to check requests with; until a model is ready, those
        for it are told that it is loading."""
        application = await self._application()
        server = Server(application, self._config.server, self._announce)
        running = asyncio.create_task(server.run_until_stopped())
        scaling = Scaling(self._models, application.front, self._config)
        watching = asyncio.create_task(
            self._watch(application.front, scaling), name="configuration"
        )
        batches = asyncio.create_task(self._batches(application, loading), name="batches")
        scaling_task = asyncio.create_task(self._scale(scaling, loading), name="scaling")
        try:
            await asyncio.wait({running, loading}, return_when=asyncio.FIRST_COMPLETED)
            if loading.done() and not server.stopping:  # stopped while loading is no failure
                _raise_first(loading)
            return await running
        finally:
            tasks = (watching, scaling_task, batches, running)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _application(self) -> Application:
        texts = await asyncio.gather(*(model.text() for model in self._models))
        self._passed("text layers ready")
        parts = [
            Parts(model.entry, model.backend, text, model.adapters)
            for model, text in zip(self._models, texts, strict=True)
        ]
        config = self._config
        keyring = Keyring(config.tenants, config.keys, config.server.api_key)
        return assemble(config, parts, keyring, await self._ledger(keyring))

    async def _ledger(self, keyring: Keyring) -> Ledger:
        """A replica has none: its fronts count."""
        config = self._config
        if config.server.replica:
            return NoLimits()
        return await open_ledger(
            config.store, keyring.tenants.values(), cache_folder(config.model), SystemClock()
        )

    async def _scale(self, scaling: Scaling, loading: asyncio.Task[None]) -> None:
        await asyncio.wait({loading})
        await scaling.run()

    async def _batches(self, application: Application, loading: asyncio.Task[None]) -> None:
        """From when the models can answer until the first sign of an end."""
        await asyncio.wait({loading})
        if (desk := application.front.batches) is not None:
            await BatchRunner(desk, application).run()

    async def _watch(self, front: Front, scaling: Scaling) -> None:
        if self._loaded.path is None:
            return
        reloading = Reloading(front, cache_folder(self._config.model))

        async def apply(config: Config, reload: Reload) -> None:
            await reloading.apply(config, reload)
            scaling.configure(config)

        await ConfigWatcher(self._loaded, self._load_again, apply).run()

    def _announce(self, url: str) -> None:
        keep_what_was_made()
        seconds = time.monotonic() - self._started
        names = ", ".join(model.entry.name for model in self._models) or "nothing of its own"
        verb = "is" if len(self._models) == 1 else "are"
        click.echo(f"{names} {verb} served at {url} (ready in {seconds:.1f} s)")

    def _passed(self, milestone: str) -> None:
        log.debug("%4.0f ms: %s", (time.monotonic() - self._started) * 1000, milestone)


def _raise_first(loading: asyncio.Task[None]) -> None:
    """What stopped the first model that could not be loaded."""
    error = loading.exception()
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if error is not None:
        raise error
