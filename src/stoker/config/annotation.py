"""What a key's annotated type says: in words, as parts, and how much of a value may be shown."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Union, get_args, get_origin

import msgspec

_WORDS: dict[object, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
}
_UNITS = {
    "_mib": "MiB",
    "_bytes": "bytes",
    "_seconds": "seconds",
    "_ms": "milliseconds",
    "_characters": "characters",
    "_minute": "a minute",
}


def unit(key: str) -> str:
    """A key's unit is the end of its name; empty for those without."""
    return next((unit for suffix, unit in _UNITS.items() if key.endswith(suffix)), "")


def describe(annotation: object) -> str:
    """The annotated type in words, ranges included."""
    origin = get_origin(annotation)
    if origin is Annotated:
        base, *metadata = get_args(annotation)
        said = [meta.description for meta in metas(annotation) if meta.description]
        return said[0] if said else describe(base) + "".join(_range(item) for item in metadata)
    if origin is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(annotation))
    if origin in (Union, types.UnionType):
        return " or ".join(describe(option) for option in _options(annotation))
    if origin is tuple:
        return f"a list of {plural(describe(get_args(annotation)[0]))}"
    if origin is dict:
        return "a table of tables"
    return _WORDS.get(annotation, "a table")


def plural(words: str) -> str:
    return words.replace("a name", "names", 1).replace("a table", "tables", 1)


def _range(meta: object) -> str:
    if not isinstance(meta, msgspec.Meta) or meta.ge is meta.gt is None:
        return ""
    if meta.gt is not None:
        return f" above {meta.gt}" + (f" up to {meta.le}" if meta.le is not None else "")
    if meta.le is not None:
        return f" from {meta.ge} to {meta.le}"
    return f" of at least {meta.ge}"


def choices(annotation: object) -> tuple[str, ...]:
    """The values a key is limited to; empty when it is not."""
    if get_origin(annotation) is Literal:
        return tuple(str(choice) for choice in get_args(annotation))
    return tuple(choice for option in _options(annotation) for choice in choices(option))


def struct_in(annotation: object) -> type[msgspec.Struct] | None:
    """The table that a key holds, if it holds one."""
    for option in _options(annotation) or (annotation,):
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            return option
    return None


def item_of(annotation: object) -> object | None:
    """What a list or a table of tables holds; None for anything else."""
    positions: dict[object, int] = {tuple: 0, dict: 1}
    position = positions.get(get_origin(annotation))
    parts: tuple[object, ...] = get_args(annotation)
    return None if position is None else parts[position]


def metas(annotation: object) -> Iterator[msgspec.Meta]:
    """Those of the type itself, of its options and of a list's items."""
    for part in get_args(annotation):
        if isinstance(part, msgspec.Meta):
            yield part
        else:
            yield from metas(part)


def secrecy(annotation: object) -> str:
    """'never', 'without password' or 'beginning'; empty when a value may be shown."""
    extras: Iterator[Mapping[str, str]] = (meta.extra or {} for meta in metas(annotation))
    return next((extra["shown"] for extra in extras if "shown" in extra), "")


def _options(annotation: object) -> tuple[object, ...]:
    if get_origin(annotation) not in (Union, types.UnionType):
        return ()
    return tuple(option for option in get_args(annotation) if option is not types.NoneType)
