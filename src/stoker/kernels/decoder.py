"""Builds a native decoder from a model: the one place where weights cross into the core."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np

from stoker.errors import ConfigError, ModelFileError
from stoker.kernels import _native
from stoker.model.spec import DecoderSpec
from stoker.model.weights.interface import Weights

Decoder = _native.Decoder
BLOCK_TOKENS: int = _native.PAGE
"""Positions in a block of keys and values."""
Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""


def available_kernels() -> list[str]:
    """Instruction sets this machine can run, best first."""
    return list(_native.available_kernels())


def load_decoder(
    spec: DecoderSpec,
    weights: Weights,
    *,
    kernels: str = "auto",
    threads: int,
    progress: Progress | None = None,
) -> Decoder:
    """Packs every tensor, one at a time, so that the model is never in memory twice.

    Raises ConfigError for kernels this machine lacks, ModelFileError for a model whose shape the
    kernels cannot run.
    """
    if kernels != "auto" and kernels not in available_kernels():
        raise ConfigError(
            f"engine.kernels: this machine cannot run '{kernels}'",
            hint=f"It can run: {', '.join(available_kernels())}.",
        )
    try:
        decoder = Decoder(msgspec.to_builtins(spec), kernels, threads)
        _pack(decoder, weights, progress)
    except ValueError as error:
        raise ModelFileError(spec.family, str(error)) from None
    return decoder


def _pack(decoder: Decoder, weights: Weights, progress: Progress | None) -> None:
    infos = [weights.info(name) for name in weights.names()]
    total = sum(info.num_bytes for info in infos)
    done = 0
    for info in infos:
        source = np.frombuffer(weights.read(info.name), dtype=np.uint8)
        decoder.set_tensor(info.name, int(info.type), info.rows, info.columns, source)
        done += info.num_bytes
        if progress is not None:
            progress(done, total)
    decoder.finish()
