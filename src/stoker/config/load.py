"""Puts the four sources together: defaults, then file, then environment, then flags."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from stoker.config import environment, file
from stoker.config.schema import Config, ServerSection
from stoker.config.setting import Setting, fields, nearest, sections
from stoker.config.value import read
from stoker.errors import ConfigError


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    config: Config
    sources: Mapping[str, str]
    """Key → where its value came from; keys left at their default are absent."""


def load(
    flags: Iterable[Setting] = (),
    *,
    path: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> LoadedConfig:
    """The effective configuration. `path` is the file named by a flag, which wins over the
    environment's. Raises ConfigError naming the key, the value and its source."""
    environ = environment.current() if environ is None else environ
    named = path or environment.config_file(environ)
    settings = file.settings(Path(named)) if named else []
    settings += environment.settings(environ)
    settings += flags
    config = apply(settings)
    check(config)
    return LoadedConfig(config, {setting.key: setting.source for setting in settings})


def apply(settings: Iterable[Setting]) -> Config:
    """The defaults with `settings` laid over them in order; the last one for a key wins."""
    known = fields()
    values: dict[str, dict[str, object]] = {name: {} for name in sections()}
    for setting in settings:
        if setting.key not in known:
            raise _unknown(setting)
        section, name = setting.key.split(".")
        values[section][name] = read(setting, known[setting.key])
    built = {name: section(**values[name]) for name, section in sections().items()}
    return Config(**built)  # type: ignore[arg-type]  # sections() mirrors Config's own fields


def _unknown(setting: Setting) -> ConfigError:
    section, _, name = setting.key.partition(".")
    siblings = [key.partition(".")[2] for key in fields() if key.startswith(f"{section}.")]
    near = nearest(name, siblings)
    return ConfigError(
        f"unknown key {setting.key} ({setting.source})",
        param=setting.key,
        hint=f"Did you mean {section}.{near}?"
        if near
        else f"Keys of [{section}]: {', '.join(siblings)}.",
    )


def check(config: Config) -> None:
    """Refuses combinations that are each valid alone but unsafe or impossible together."""
    server, engine = config.server, config.engine
    check_exposure(server)
    if server.api_key is not None and not server.api_key.strip():
        raise ConfigError("server.api_key is empty", param="server.api_key")
    if engine.max_step_tokens < engine.max_running:
        raise ConfigError(
            "engine.max_step_tokens must be at least engine.max_running "
            f"({engine.max_step_tokens} < {engine.max_running})",
            param="engine.max_step_tokens",
            hint="Every running sequence needs one token of a step.",
        )


def check_exposure(server: ServerSection) -> None:
    """Refuses to serve other machines without a key. Raises ConfigError."""
    if server.api_key is None and not is_loopback(server.host):
        raise ConfigError(
            f"listening on {server.host} needs an API key",
            param="server.api_key",
            hint="Set STOKER_API_KEY, or listen on 127.0.0.1.",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address. Names other than localhost count as no."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
