"""Packs an adapter for a native decoder."""

from __future__ import annotations

from collections.abc import Iterable

from stoker.errors import ConfigError
from stoker.kernels import _native
from stoker.kernels.decoder import Decoder
from stoker.model.adapter import LowRank

Adapter = _native.Adapter


def load_adapter(decoder: Decoder, pairs: Iterable[LowRank]) -> Adapter:
    """Raises ConfigError for one that does not fit the decoder."""
    adapter = Adapter(decoder)
    try:
        for pair in pairs:
            a, b = pair.a, pair.b
            adapter.set(
                pair.name,
                pair.scale,
                int(a.type),
                a.shape,
                a.rows.reshape(-1),
                int(b.type),
                b.shape,
                b.rows.reshape(-1),
            )
    except ValueError as error:
        raise ConfigError(f"the adapter does not fit the model: {error}") from None
    return adapter
