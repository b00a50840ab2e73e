"""One model of ours on its way from a name to a service: file, vocabulary, backend, text."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from stoker.cli.fetch import fetch, fetched_draft
from stoker.cli.placing import make_placer
from stoker.cli.progress import bar
from stoker.config.adapter_entries import adapter_entries
from stoker.config.fleet_schema import ModelEntry
from stoker.config.paths import cache_folder
from stoker.config.schema import Config

if TYPE_CHECKING:
    from stoker.model.spec import DecoderSpec
    from stoker.text.load import TextModel


class ServedModel:
    """Nothing is started by making one; weights are fetched. Raises SetupError's kinds."""

    def __init__(self, entry: ModelEntry, config: Config) -> None:
        from stoker.core.clock import SystemClock
        from stoker.engine.adapter_shelf import AdapterShelf
        from stoker.engine.settings import engine_settings
        from stoker.fleet.interface import ReplicaSpec
        from stoker.gateway.balancing import Balancing
        from stoker.gateway.pool import ReplicaPool
        from stoker.text.load import load_vocabulary

        section = msgspec.structs.replace(
            config.model,
            name=entry.source or entry.name,
            draft=entry.draft,
            quantize=entry.quantize,
        )
        self.entry = entry
        self._cache = cache_folder(section)
        self._path = fetch(section)
        self._metadata, decoder = read_model(self._path)
        self.adapters = AdapterShelf(
            config.engine.max_adapters, config.engine.adapter_mib << 20, decoder
        )
        for name, folder in adapter_entries(entry):
            self.adapters.add(self.adapters.open(name, Path(folder)))
        self._vocabulary = load_vocabulary(self._path, self._metadata)
        self._bars = contextlib.ExitStack()
        own = msgspec.structs.replace(config, model=section)
        key = secrets.token_bytes(32)
        engine = msgspec.structs.replace(
            engine_settings(own, self._path, self._vocabulary.table, fetched_draft(section)),
            cache_key=key,
        )
        spec = ReplicaSpec(model=entry.name, source=section.name, engine=engine)
        progress = self._bars.enter_context(bar(f"Loading {entry.name}"))
        self.placer = make_placer(entry, spec, config, progress, self.adapters)
        self.backend = ReplicaPool(self.placer, Balancing(config.balance, key), SystemClock())

    async def start(self) -> None:
        """Returns when the model can answer. Raises SetupError's kinds, or ReplicaLost."""
        try:
            await self.backend.start(self.entry.replicas)
        finally:
            self._bars.close()

    async def text(self) -> TextModel:
        from stoker.text.load import load_text

        return await asyncio.to_thread(
            load_text, self._path, self._metadata, self._cache, self._vocabulary
        )

    async def close(self) -> None:
        self._bars.close()
        await self.backend.close()


def read_model(path: Path) -> tuple[Mapping[str, Any], DecoderSpec]:
    """What the text layer needs of a model file, and what adapters must fit. Raises ModelFileError
    or UnsupportedModel."""
    from stoker.model.load import open_model

    model = open_model(path)
    try:
        return model.metadata, model.spec
    finally:
        model.close()
