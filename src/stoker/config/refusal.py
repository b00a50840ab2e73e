"""Every sentence with which a configuration is refused: what is wrong, where, and what to do."""

from __future__ import annotations

import re
from collections.abc import Collection

from stoker.config.annotation import choices, describe, unit
from stoker.config.redaction import plain, refused
from stoker.config.setting import Setting, fields, lists, nearest, sections
from stoker.config.unit_text import converted
from stoker.errors import ConfigError

_NUMBER = re.compile(r"-?\d+(\.\d+)?")
LISTED = 12
"""Names a hint lists at most."""


def label(name: str) -> str:
    """A section or list as a TOML file writes it."""
    return f"[[{name}]]" if name in lists() else f"[{name}]"


def listed(names: Collection[str]) -> str:
    shown = list(names)[:LISTED]
    return ", ".join(shown) + (" and more" if len(names) > len(shown) else "")


def unknown_section(section: str, source: str) -> ConfigError:
    known = [*sections(), *lists()]
    near = nearest(section, known)
    owner = near is None and _owner(section)
    if near:
        hint = f"Did you mean {label(near)}?"
    elif owner:
        hint = f"{section} is a key of {label(owner)}."
    else:
        hint = f"Sections: {', '.join(known)}."
    return ConfigError(f"unknown section [{plain(section)}] ({source})", param=section, hint=hint)


def unknown_key(place: str, name: str, siblings: Collection[str], source: str) -> ConfigError:
    """`place` is where the key stands: a section, or an entry such as models[1]."""
    near = nearest(name, siblings) or _in_another_unit(name, siblings)
    owner = near is None and _owner(name)
    if near:
        hint = f"Did you mean {place}.{near}?"
    elif owner:
        hint = f"{name} is a key of {label(owner)}."
    else:
        hint = f"Keys of [{place}]: {', '.join(siblings)}."
    key = f"{place}.{plain(name)}"
    return ConfigError(f"unknown key {key} ({source})", param=key, hint=hint)


def _owner(name: str) -> str:
    """The section that has a key of this very name; empty when none or several do."""
    owners = [key.partition(".")[0] for key in fields() if key.partition(".")[2] == name]
    return owners[0] if len(owners) == 1 else ""


def _in_another_unit(name: str, siblings: Collection[str]) -> str | None:
    """max_seconds for somebody who wrote max_ms."""
    stem = name.rpartition("_")[0]
    found = [key for key in siblings if unit(key) and key.rpartition("_")[0] == stem]
    return found[0] if found else None


def missing_key(place: str, name: str, source: str) -> ConfigError:
    return ConfigError(
        f"{place}.{name} is missing ({source})",
        param=f"{place}.{name}",
        hint=f"Every entry of {place.rpartition('[')[0]} needs {name}.",
    )


def not_a_table(setting: Setting) -> ConfigError:
    name = setting.key
    if name in sections():
        hint = f"Write [{name}] on a line of its own and its keys below it."
        if isinstance(setting.value, list) and (several := nearest(f"{name}s", lists())):
            hint = f"Did you mean [[{several}]]?"
    else:
        hint = "Write { key = value } in TOML, or the keys indented below it in YAML."
    found = refused(setting.value, None)
    return ConfigError(
        f"{name} must be a table, not {found} ({setting.source})", param=name, hint=hint
    )


def not_a_list(setting: Setting) -> ConfigError:
    name = setting.key
    top = f"[[{name}]] above each entry" if name in lists() else "[{ key = value }, ...]"
    found = "one table" if isinstance(setting.value, dict) else refused(setting.value, None)
    return ConfigError(
        f"{name} must be a list of tables, not {found} ({setting.source})",
        param=name,
        hint=f"Write {top} in TOML, or begin each with '- ' in YAML.",
    )


def wrong_value(setting: Setting, annotation: object) -> ConfigError:
    measured = unit(setting.key)
    expected = describe(annotation)
    if measured and measured not in expected:
        expected += f" {measured}" if measured.startswith("a ") else f" of {measured}"
    return ConfigError(
        f"{setting.key} must be {expected}, not {refused(setting.value, annotation)} "
        f"({setting.source})",
        param=setting.key,
        hint=_value_hint(setting, annotation, measured),
    )


def _value_hint(setting: Setting, annotation: object, measured: str) -> str | None:
    allowed = choices(annotation)
    if allowed:
        near = nearest(str(setting.value), allowed)
        return f"Did you mean {near}?" if near else None
    if _is_number(setting):
        return _meaning(setting.key)
    if not measured:
        return None
    number = converted(setting.value, measured)
    if number is not None:
        return f"Write {number:.12g}; the unit is part of the name."
    return "Write a bare number; the unit is part of the name."


def _is_number(setting: Setting) -> bool:
    if setting.textual:
        return _NUMBER.fullmatch(str(setting.value)) is not None
    return isinstance(setting.value, int | float) and not isinstance(setting.value, bool)


def _meaning(key: str) -> str:
    """To somebody who gave a number out of its range. Empty for a price of one model."""
    from stoker.config.reference import keys

    name = re.sub(r"\[\d+\]", "[]", key)
    return next((found.meaning for found in keys() if found.name == name), "")


def unknown_name(where: str, name: str, kind: str, known: Collection[str]) -> ConfigError:
    """`name` refers to a `kind` (a model, a backend, ...) that the file does not have."""
    near = nearest(name, known)
    if near:
        hint = f"Did you mean {near}?"
    else:
        hint = f"There is {listed(known)}." if known else f"The file has no {kind}."
    return ConfigError(f"{where} names no {kind}: '{name}'", param=where, hint=hint)


def repeated(where: str, first: str, name: str) -> ConfigError:
    return ConfigError(
        f"{where} is '{name}' again, as {first}",
        param=where,
        hint="Names are the same in upper and lower case; give one of the two another.",
    )


def contradiction(where: str, message: str, hint: str) -> ConfigError:
    return ConfigError(f"{where} {message}", param=where, hint=hint)
