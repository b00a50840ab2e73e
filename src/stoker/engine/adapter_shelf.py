"""The adapters that every engine of a model is to have. Engines follow it: they are told of each
that comes, and that one is gone when the last request that uses it has ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from stoker.core.adapter import BASE, AdapterSource
from stoker.engine.frames import Frame, LoadAdapter, UnloadAdapter
from stoker.errors import ConfigError, ModelNotFound
from stoker.model.adapter import read_adapter
from stoker.model.adapter_files import adapter_source
from stoker.model.spec import DecoderSpec

Send = Callable[[Frame], None]


class AdapterShelf:
    """All methods but `open` belong to one event loop."""

    def __init__(self, most: int = 0, most_bytes: int = 0, spec: DecoderSpec | None = None) -> None:
        """`spec` is what adapters must fit; None: the engines alone judge that."""
        self._most = most
        self._most_bytes = most_bytes
        self._spec = spec
        self._by_name: dict[str, AdapterSource] = {}
        self._by_key: dict[str, AdapterSource] = {}
        """Those in use under a name that is gone as well."""
        self._uses: Counter[str] = Counter()
        self._engines: list[Send] = []

    @property
    def names(self) -> Sequence[str]:
        return tuple(self._by_name)

    @property
    def sources(self) -> Sequence[AdapterSource]:
        """All that engines must have."""
        return tuple(self._by_key.values())

    def open(self, name: str, folder: Path) -> AdapterSource:
        """Reads all of it, on any thread. Raises ConfigError or ModelFileError for what no engine
        would take."""
        source = adapter_source(name, folder, self._most_bytes)
        if self._spec is not None:
            read_adapter(folder, self._spec)
        return source

    def add(self, source: AdapterSource) -> None:
        """Raises ConfigError for a name that is taken, and for one too many."""
        if source.name in self._by_name:
            raise ConfigError(f"'{source.name}' is loaded already", hint="Unload it first.")
        if source.key not in self._by_key:
            self._make_room(source)
            self._by_key[source.key] = source
            self._tell(LoadAdapter(source))
        self._by_name[source.name] = source

    def remove(self, name: str) -> None:
        """New requests cannot have it any more. Raises ModelNotFound."""
        source = self._by_name.pop(name, None)
        if source is None:
            raise _not_loaded()
        self._leave_if_unused(source.key)

    @contextmanager
    def using(self, wanted: str) -> Iterator[AdapterSource | None]:
        """Holds an adapter by its name or key; None for the model as it is. Raises
        ModelNotFound."""
        if wanted == BASE:
            yield None
            return
        source = self._by_name.get(wanted) or self._by_key.get(wanted)
        if source is None:
            raise _not_loaded()
        self._uses[source.key] += 1
        try:
            yield source
        finally:
            self._uses[source.key] -= 1
            self._leave_if_unused(source.key)

    def check(self, key: str) -> None:
        """Raises ModelNotFound for an adapter that engines need not have."""
        if key != BASE and key not in self._by_key:
            raise _not_loaded()

    def follow(self, engine: Send) -> None:
        self._engines.append(engine)

    def leave(self, engine: Send) -> None:
        if engine in self._engines:
            self._engines.remove(engine)

    def _leave_if_unused(self, key: str) -> None:
        named = any(source.key == key for source in self._by_name.values())
        if named or self._uses[key]:
            return
        del self._uses[key]
        if self._by_key.pop(key, None) is not None:
            self._tell(UnloadAdapter(key))

    def _make_room(self, source: AdapterSource) -> None:
        total = sum(one.num_bytes for one in self.sources) + source.num_bytes
        if len(self._by_key) >= self._most or total > self._most_bytes:
            raise ConfigError(
                f"there is no room for '{source.name}' beside {len(self._by_key)} adapters",
                hint="Unload one, or raise engine.max_adapters or engine.adapter_mib.",
            )

    def _tell(self, frame: Frame) -> None:
        for engine in self._engines:
            engine(frame)


def _not_loaded() -> ModelNotFound:
    return ModelNotFound("the adapter that this model needs is not loaded", param="model")
