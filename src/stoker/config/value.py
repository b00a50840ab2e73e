"""Reads values as their fields' types, entry by entry and key by key, so that a refusal names the
place: models[1].replicas."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import get_origin

import msgspec

from stoker.config.annotation import item_of, struct_in
from stoker.config.redaction import plain
from stoker.config.refusal import missing_key, not_a_list, not_a_table, unknown_key, wrong_value
from stoker.config.setting import Setting


def read(setting: Setting, annotation: object) -> object:
    """The setting's value in its field's type. Raises ConfigError."""
    table, entry = struct_in(annotation), struct_in(item_of(annotation))
    if table is not None and setting.value is not None:
        return read_table(setting, table)
    if entry is None:
        return _plain(setting, annotation)
    if get_origin(annotation) is dict:
        return _read_named(setting, entry)
    return read_entries(setting, entry)


def read_entries(setting: Setting, entry: type[msgspec.Struct]) -> tuple[msgspec.Struct, ...]:
    """A list of tables. Raises ConfigError."""
    if not isinstance(setting.value, list | tuple):
        raise not_a_list(setting)
    return tuple(
        read_table(replace(setting, key=f"{setting.key}[{number}]", value=value), entry)
        for number, value in enumerate(setting.value)
    )


def read_table(setting: Setting, kind: type[msgspec.Struct]) -> msgspec.Struct:
    """One table; what it does not set has the field's default. Raises ConfigError."""
    if not isinstance(setting.value, Mapping):
        raise not_a_table(setting)
    place, source = setting.key, setting.source
    known = {field.name: field for field in msgspec.structs.fields(kind)}
    for name in setting.value:
        if name not in known:
            raise unknown_key(place, str(name), list(known), source)
    for name, field in known.items():
        if field.required and name not in setting.value:
            raise missing_key(place, name, source)
    return kind(
        **{
            name: read(replace(setting, key=f"{place}.{name}", value=value), known[name].type)
            for name, value in setting.value.items()
        }
    )


def _read_named(setting: Setting, kind: type[msgspec.Struct]) -> dict[str, msgspec.Struct]:
    if not isinstance(setting.value, Mapping):
        raise not_a_table(setting)
    return {
        str(name): read_table(
            replace(setting, key=f"{setting.key}.{plain(str(name))}", value=value), kind
        )
        for name, value in setting.value.items()
    }


def _plain(setting: Setting, annotation: object) -> object:
    given = setting.value
    if isinstance(given, datetime.date | datetime.time):  # TOML has them; our keys take their text
        given = given.isoformat()
    try:
        value: object = msgspec.convert(given, annotation, strict=not setting.textual)
    except (msgspec.ValidationError, ValueError):
        raise wrong_value(setting, annotation) from None
    if isinstance(value, float) and not math.isfinite(value):
        raise wrong_value(setting, annotation)
    return value
