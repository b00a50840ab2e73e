"""The adapters a native executor holds, and which of them the slices of a step need."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stoker.core.adapter import BASE, AdapterSource
from stoker.kernels.adapter import Adapter, load_adapter
from stoker.kernels.decoder import Decoder
from stoker.model.adapter import read_adapter
from stoker.model.adapter_files import check_unchanged
from stoker.model.spec import DecoderSpec
from stoker.scheduler.plan import SequenceSlice


class NativeAdapters:
    def __init__(self, spec: DecoderSpec) -> None:
        self._spec = spec
        self._loaded: dict[str, Adapter] = {}

    def load(self, decoder: Decoder, source: AdapterSource, most_bytes: int) -> None:
        """Raises ConfigError or ModelFileError."""
        check_unchanged(source, most_bytes)
        pairs = read_adapter(Path(source.path), self._spec)
        self._loaded[source.key] = load_adapter(decoder, pairs)

    def unload(self, key: str) -> None:
        self._loaded.pop(key, None)

    def of(self, slices: Sequence[SequenceSlice]) -> list[Adapter | None] | None:
        """One or None for each slice; None where no slice has one."""
        if all(piece.adapter == BASE for piece in slices):
            return None
        return [None if p.adapter == BASE else self._loaded[p.adapter] for p in slices]

    def clear(self) -> None:
        self._loaded.clear()


def in_groups(slices: Sequence[SequenceSlice]) -> list[int]:
    """Indices of the slices such that those with the same adapter are neighbours: the native step
    then reads each adapter once. What a slice gives does not depend on where it stands."""
    return sorted(range(len(slices)), key=lambda index: slices[index].adapter)
