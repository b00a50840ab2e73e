"""Compares a file's tensors with what a spec needs, before anything is packed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from stoker.errors import ModelFileError
from stoker.model.spec import DecoderSpec
from stoker.model.weights.interface import TensorInfo
from stoker.model.weights.pieces import Piece


def check_shapes(
    path: Path,
    spec: DecoderSpec,
    sources: Mapping[str, tuple[Piece, ...]],
    tensors: Mapping[str, TensorInfo],
    ignore: Iterable[str] = (),
) -> None:
    """`sources` says where each canonical tensor is. Raises ModelFileError for a missing, misshapen
    or unexpected tensor: an unexpected one means that we would compute a different model."""
    if spec.num_heads % spec.num_kv_heads:
        raise ModelFileError(path, "the number of heads is not a multiple of key-value heads")
    used = set(ignore)
    for pieces in sources.values():
        for piece in pieces:
            _check(path, piece, tensors)
            used.add(piece.stored)
        if len({tensors[piece.stored].type for piece in pieces}) > 1:
            raise ModelFileError(path, f"tensor '{pieces[0].stored}' and its peers differ in type")
    unexpected = sorted(tensors.keys() - used)
    if unexpected:
        raise ModelFileError(
            path, f"tensor '{unexpected[0]}' has no place in a {spec.family} model"
        )


def _check(path: Path, piece: Piece, tensors: Mapping[str, TensorInfo]) -> None:
    info = tensors.get(piece.stored)
    if info is None:
        raise ModelFileError(path, f"tensor '{piece.stored}' is missing")
    if not piece.fits(info):
        raise ModelFileError(
            path, f"tensor '{piece.stored}' is {info.shape}, the model needs {piece.shape}"
        )
    if piece.shape[0] % piece.groups:
        raise ModelFileError(path, f"tensor '{piece.stored}' does not divide into its parts")
