"""Reads one value as its field's type, or says in plain words what was expected."""

from __future__ import annotations

import math
import types
from typing import Annotated, Literal, Union, get_args, get_origin

import msgspec

from stoker.config.setting import Setting
from stoker.errors import ConfigError

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
    "_milliseconds": "milliseconds",
    "_characters": "characters",
}


def read(setting: Setting, annotation: object) -> object:
    """The setting's value in its field's type. Raises ConfigError."""
    try:
        value: object = msgspec.convert(
            setting.value,
            annotation,
            strict=not setting.textual,
        )
    except (msgspec.ValidationError, ValueError):
        raise _refusal(setting, annotation) from None
    if isinstance(value, float) and not math.isfinite(value):
        raise _refusal(setting, annotation)
    return value


def _refusal(setting: Setting, annotation: object) -> ConfigError:
    unit = _unit(setting.key)
    expected = describe(annotation) + (f" of {unit}" if unit else "")
    shown = "a secret" if setting.key == "server.api_key" else repr(setting.value)
    return ConfigError(
        f"{setting.key} must be {expected}, not {shown} ({setting.source})",
        param=setting.key,
        hint="Write a bare number; the unit is part of the name." if unit else None,
    )


def _unit(key: str) -> str:
    return next((unit for suffix, unit in _UNITS.items() if key.endswith(suffix)), "")


def describe(annotation: object) -> str:
    """The annotated type in words, ranges included."""
    origin = get_origin(annotation)
    if origin is Annotated:
        base, *metadata = get_args(annotation)
        return describe(base) + "".join(_range(item) for item in metadata)
    if origin is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(annotation))
    if origin in (Union, types.UnionType):
        return " or ".join(
            describe(option) for option in get_args(annotation) if option is not types.NoneType
        )
    if origin is tuple:
        return f"a list of {describe(get_args(annotation)[0])}"
    return _WORDS[annotation]


def _range(meta: object) -> str:
    if not isinstance(meta, msgspec.Meta):
        return ""
    if meta.gt is not None:
        return f" above {meta.gt}"
    if meta.le is not None:
        return f" from {meta.ge} to {meta.le}"
    return f" of at least {meta.ge}"
