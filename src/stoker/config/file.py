"""The configuration file: TOML, one table for each section."""

from __future__ import annotations

import tomllib
from pathlib import Path

from stoker.config.setting import Setting, nearest, sections
from stoker.errors import ConfigError

MAX_BYTES = 1024 * 1024


def settings(path: Path) -> list[Setting]:
    """Settings in the file's order. Raises ConfigError when it cannot be read or is not TOML."""
    source = f"file {path}"
    return [
        Setting(f"{section}.{name}", value, source)
        for section, table in _parse(path).items()
        for name, value in _table(section, table, source).items()
    ]


def _parse(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(f"cannot read configuration file {path}: {reason}") from None
    if len(content) > MAX_BYTES:
        raise ConfigError(f"configuration file {path} is over {MAX_BYTES} bytes")
    try:
        return tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise ConfigError(f"configuration file {path} is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"configuration file {path} is not valid TOML: {error}") from None


def _table(section: str, table: object, source: str) -> dict[str, object]:
    if section not in sections():
        near = nearest(section, sections())
        raise ConfigError(
            f"unknown section [{section}] ({source})",
            param=section,
            hint=f"Did you mean [{near}]?" if near else f"Sections: {', '.join(sections())}.",
        )
    if not isinstance(table, dict):
        raise ConfigError(
            f"{section} must be a table, not {table!r} ({source})",
            param=section,
            hint=f"Write [{section}] on a line of its own and its keys below it.",
        )
    return table
