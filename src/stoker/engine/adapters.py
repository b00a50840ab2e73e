"""Which adapters an engine has loaded, within bounds of number and memory."""

from __future__ import annotations

from stoker.core.adapter import BASE, AdapterSource
from stoker.errors import ConfigError, ModelNotFound
from stoker.executor.interface import Executor


class Adapters:
    def __init__(self, executor: Executor, most: int, most_bytes: int) -> None:
        self._executor = executor
        self._most = most
        self._left = most_bytes
        self._bytes: dict[str, int] = {}

    def load(self, source: AdapterSource) -> None:
        """Nothing to do if it is loaded. Raises ConfigError or ModelFileError."""
        if source.key in self._bytes:
            return
        if len(self._bytes) >= self._most:
            raise ConfigError(
                f"{self._most} adapters are loaded, and no more fit",
                param="engine.max_adapters",
                hint="Raise engine.max_adapters, or unload one.",
            )
        self._executor.load_adapter(source, self._left)
        self._bytes[source.key] = source.num_bytes
        self._left -= source.num_bytes

    def unload(self, key: str) -> None:
        """No request may need it any more. Unknown keys are ignored."""
        size = self._bytes.pop(key, None)
        if size is not None:
            self._left += size
            self._executor.unload_adapter(key)

    def check(self, key: str) -> None:
        """Raises ModelNotFound for one that is not loaded."""
        if key != BASE and key not in self._bytes:
            raise ModelNotFound("the adapter that this model needs is not loaded", param="model")
