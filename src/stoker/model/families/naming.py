"""Where a family's files keep each tensor."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from stoker.model.spec import DecoderSpec
from stoker.model.tensors import Shape, tensor_shapes
from stoker.model.weights.pieces import Piece

Groups = Callable[[DecoderSpec], int]


def once(_spec: DecoderSpec) -> int:
    return 1


def each_kv_head(spec: DecoderSpec) -> int:
    return spec.num_kv_heads


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored tensor that holds a canonical one: alone, or beside others."""

    names: tuple[str, ...]
    """Files have one of these. {i} stands for the layer, {before} for the one before it and {last}
    for the last; with {e}, every expert has its own."""
    among: tuple[str, ...] = ()
    """What the tensor holds, in order, by canonical names without their layer; () if alone."""
    groups: Groups = once
    """How often that order repeats along its rows."""
    transposed: bool = False


Names = Mapping[str, Stored]


def whole(**names: str) -> dict[str, Stored]:
    return {kind: Stored((name,)) for kind, name in names.items()}


def fused(
    name: str, *among: str, groups: Groups = once, transposed: bool = False
) -> dict[str, Stored]:
    """One tensor for several canonical ones."""
    return {kind: Stored((name,), among, groups, transposed) for kind in among}


def either(prefix: str, names: Names) -> dict[str, Stored]:
    """Names that some files write with `prefix` and others without."""
    return {
        kind: replace(stored, names=tuple(p + n for p in (prefix, "") for n in stored.names))
        for kind, stored in names.items()
    }


def locate(
    spec: DecoderSpec, names: Names, present: Collection[str]
) -> dict[str, tuple[Piece, ...]]:
    """Where each tensor of the spec is in a file that holds those `present`.

    A tensor that is missing keeps its first name, for the message about it.
    """
    return locate_some(spec, names, present, tensor_shapes(spec))


def locate_some(
    spec: DecoderSpec, names: Names, present: Collection[str], wanted: Iterable[str]
) -> dict[str, tuple[Piece, ...]]:
    """As `locate`, of the canonical names `wanted`."""
    shapes = tensor_shapes(spec)
    return {name: _pieces(spec, name, names, shapes, present) for name in wanted}


def _pieces(
    spec: DecoderSpec,
    canonical: str,
    names: Names,
    shapes: Mapping[str, Shape],
    present: Collection[str],
) -> tuple[Piece, ...]:
    layer, kind = _split(canonical)
    stored = names[kind]
    found = [_of_layer(name, layer, spec.num_layers) for name in stored.names]
    experts = spec.layers[int(layer)].experts if layer else None
    if experts is not None and "{e}" in found[0]:
        rows = shapes[canonical][0] // experts.count
        shape = (rows, *shapes[canonical][1:])
        each = [[name.replace("{e}", str(e)) for name in found] for e in range(experts.count)]
        return tuple(
            Piece(_present(options, present), shape, 1, 0, rows, stored.transposed)
            for options in each
        )
    return (_piece(spec, canonical, stored, _present(found, present), shapes),)


def _piece(
    spec: DecoderSpec, canonical: str, stored: Stored, name: str, shapes: Mapping[str, Shape]
) -> Piece:
    prefix = canonical.rpartition(".")[0]
    among = [f"{prefix}.{kind}" for kind in stored.among] or [canonical]
    groups = stored.groups(spec)
    total = sum(shapes[member][0] for member in among)
    before = sum(shapes[member][0] for member in among[: among.index(canonical)])
    return Piece(
        stored=name,
        shape=(total, *shapes[canonical][1:]),
        groups=groups,
        begin=before // groups,
        end=(before + shapes[canonical][0]) // groups,
        transposed=stored.transposed,
    )


def _present(options: list[str], present: Collection[str]) -> str:
    return next((name for name in options if name in present), options[0])


def _of_layer(name: str, layer: str, layers: int) -> str:
    before = str(int(layer) - 1) if layer else ""
    return name.replace("{i}", layer).replace("{before}", before).replace("{last}", str(layers - 1))


def _split(canonical: str) -> tuple[str, str]:
    """The layer's number, or nothing, and the name without it."""
    parts = canonical.split(".")
    return ("", canonical) if len(parts) == 1 else (parts[1], parts[2])
