"""Puts the four sources together: defaults, then file, then environment, then flags."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from stoker.config import environment, file
from stoker.config.advice import advice
from stoker.config.consistency import check
from stoker.config.refusal import unknown_key, unknown_section
from stoker.config.schema import Config
from stoker.config.secret_file import anchored, files, with_secrets
from stoker.config.setting import Setting, fields, lists, sections
from stoker.config.spelling import respelled
from stoker.config.value import read, read_entries
from stoker.errors import ConfigError


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    config: Config
    sources: Mapping[str, str]
    """Key or list → where its value came from; those left at their default are absent."""
    path: Path | None = None
    """The file, if there is one."""
    warnings: tuple[str, ...] = ()
    """What works and is probably not meant, one sentence each. They hold no secret."""


def load(
    flags: Iterable[Setting] = (),
    *,
    path: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> LoadedConfig:
    """The effective configuration. `path` is the file named by a flag, which wins over the
    environment's. Raises ConfigError naming the key, the value and its source."""
    environ = environment.current() if environ is None else environ
    found = path or environment.config_file(environ)
    named = Path(found) if found else None
    written = file.settings(named) if named else []
    settings = [*written, *environment.settings(environ), *flags]
    sources = {key: setting.source for setting in settings for key in places(setting)}
    config = apply(settings)
    if named:
        config = anchored(config, named.parent.absolute())
    check(config)
    warnings = tuple(advice(config, sources, named))
    for key, path_of_secret in files(config):
        sources[key.removesuffix("_file")] = f"file {path_of_secret}"
    return LoadedConfig(with_secrets(respelled(config)), sources, named, warnings)


def apply(settings: Iterable[Setting]) -> Config:
    """The defaults with `settings` laid over them in order; the last one for a key or list wins."""
    known = fields()
    values: dict[str, dict[str, object]] = {name: {} for name in sections()}
    listed: dict[str, object] = {}
    for setting in settings:
        if setting.key in lists():
            listed[setting.key] = read_entries(setting, lists()[setting.key])
        elif setting.key in known:
            section, name = setting.key.split(".")
            values[section][name] = read(setting, known[setting.key])
        else:
            raise _unknown(setting)
    built = {name: section(**values[name]) for name, section in sections().items()}
    return Config(**built, **listed)  # type: ignore[arg-type]  # both mirror Config's own fields


def places(setting: Setting) -> Iterator[str]:
    """The setting's key, and every place inside a list: models[0].autoscale.minimum."""
    yield setting.key
    if setting.key in lists():
        yield from _inside(setting.key, setting.value)


def _inside(place: str, value: object) -> Iterator[str]:
    inner: Iterable[tuple[str, object]] = ()
    if isinstance(value, Mapping):
        inner = ((f"{place}.{name}", item) for name, item in value.items())
    elif isinstance(value, list | tuple):
        inner = ((f"{place}[{number}]", item) for number, item in enumerate(value))
    for name, item in inner:
        yield name
        yield from _inside(name, item)


def _unknown(setting: Setting) -> ConfigError:
    section, _, name = setting.key.partition(".")
    siblings = [key.partition(".")[2] for key in fields() if key.startswith(f"{section}.")]
    if not siblings:
        return unknown_section(section, setting.source)
    return unknown_key(section, name, siblings, setting.source)
