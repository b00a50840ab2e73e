"""The configuration file: TOML, or YAML if its name ends so. One table for each section."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from stoker.config.refusal import not_a_list, not_a_table, unknown_section
from stoker.config.setting import Setting, lists, sections
from stoker.errors import ConfigError

MAX_BYTES = 1024 * 1024
YAML_ENDINGS = (".yaml", ".yml")


def settings(path: Path) -> list[Setting]:
    """Settings in the file's order. Raises ConfigError when it cannot be read or parsed."""
    source = f"file {path}"
    return [
        setting
        for name, value in parse(path).items()
        for setting in _settings(Setting(str(name), value, source))
    ]


def parse(path: Path) -> Mapping[str, object]:
    """The file as tables, lists and values. Raises ConfigError."""
    text = read(path)
    if path.suffix.lower() in YAML_ENDINGS:
        from stoker.config.yaml_text import parse_yaml

        return parse_yaml(text, path)
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(
            f"configuration file {path} is not valid TOML: {error}",
            hint=_toml_hint(text),
        ) from None


def _toml_hint(text: str) -> str:
    """For the common mistake of writing one format in a file named as the other."""
    first = next((line for line in text.splitlines() if line.strip() and line[0] != "#"), "")
    return "Name the file .yaml if it is YAML." if first.rstrip().endswith(":") else ""


def read(path: Path) -> str:
    """The file's text. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(f"cannot read configuration file {path}: {reason}") from None
    if len(content) > MAX_BYTES:
        raise ConfigError(f"configuration file {path} is over {MAX_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"configuration file {path} is not UTF-8 text") from None


def _settings(found: Setting) -> list[Setting]:
    """One setting for each key of a section, or one for a whole list."""
    name, value, source = found.key, found.value, found.source
    if name in lists():
        if not isinstance(value, list | None):
            raise not_a_list(found)
        return [Setting(name, value or [], source)]
    if name not in sections():
        raise unknown_section(name, source)
    if not isinstance(value, dict | None):
        raise not_a_table(found)
    return [Setting(f"{name}.{key}", item, source) for key, item in (value or {}).items()]
