"""Compares a file's tensors with what a spec needs, before anything is packed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from stoker.errors import ModelFileError
from stoker.model.spec import DecoderSpec
from stoker.model.weights.interface import TensorInfo


def expected_shape(spec: DecoderSpec, canonical: str) -> tuple[int, ...]:
    """Shape of a tensor by its canonical name (model/spec.py)."""
    hidden, feed = spec.hidden_size, spec.feed_forward_size
    queries, keys = spec.num_heads * spec.head_dim, spec.num_kv_heads * spec.head_dim
    kind = canonical.rpartition(".")[2]
    shapes: dict[str, tuple[int, ...]] = {
        "embedding": (spec.vocab_size, hidden),
        "head": (spec.vocab_size, hidden),
        "q": (queries, hidden),
        "k": (keys, hidden),
        "v": (keys, hidden),
        "o": (hidden, queries),
        "q_bias": (queries,),
        "k_bias": (keys,),
        "v_bias": (keys,),
        "q_norm": (spec.head_dim,),
        "k_norm": (spec.head_dim,),
        "gate": (feed, hidden),
        "up": (feed, hidden),
        "down": (hidden, feed),
    }
    return shapes.get(kind, (hidden,))


def check_shapes(
    path: Path,
    spec: DecoderSpec,
    names: Mapping[str, str],
    tensors: Mapping[str, TensorInfo],
    ignore: Iterable[str] = (),
) -> None:
    """`names` maps canonical names to the file's. Raises ModelFileError for a missing, misshapen
    or unexpected tensor: an unexpected one means that we would compute a different model."""
    if spec.num_heads % spec.num_kv_heads:
        raise ModelFileError(path, "the number of heads is not a multiple of key-value heads")
    for canonical, name in names.items():
        info = tensors.get(name)
        if info is None:
            raise ModelFileError(path, f"tensor '{name}' is missing")
        wanted = expected_shape(spec, canonical)
        if info.shape != wanted:
            raise ModelFileError(path, f"tensor '{name}' is {info.shape}, the model needs {wanted}")
    unexpected = sorted(set(tensors) - set(names.values()) - set(ignore))
    if unexpected:
        raise ModelFileError(
            path, f"tensor '{unexpected[0]}' has no place in a {spec.family} model"
        )
