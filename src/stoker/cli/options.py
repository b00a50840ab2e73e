"""Flags that set configuration keys, declared once and shared by the commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from stoker.config.load import LoadedConfig, load
from stoker.config.setting import Setting

_SETTINGS = "stoker.settings"
_FILE = "stoker.file"


def flag(name: str, key: str, text: str, **attributes: Any) -> Callable[..., Any]:
    """An option that sets the configuration key `key`. Its type is checked where the key's is."""

    def remember(ctx: click.Context, _option: click.Parameter, value: object) -> None:
        if value is not None:
            found = Setting(key, value, f"flag {name}", textual=True)
            ctx.meta.setdefault(_SETTINGS, []).append(found)

    return click.option(
        name, default=None, help=text, callback=remember, expose_value=False, **attributes
    )


def config_file(command: Callable[..., Any]) -> Callable[..., Any]:
    def remember(ctx: click.Context, _option: click.Parameter, value: str | None) -> None:
        ctx.meta[_FILE] = value

    return click.option(
        "--config",
        metavar="FILE",
        default=None,
        help="TOML or YAML file; flags and STOKER_* variables win over it.",
        callback=remember,
        expose_value=False,
    )(command)


def engine_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """What every command that runs a model takes."""
    for decorate in (
        flag("--draft", "model.draft", "A smaller model of the same vocabulary, to guess ahead."),
        flag("--speculation", "engine.speculation", "prompt_lookup or off."),
        flag("--kv-cache-mib", "engine.kv_cache_mib", "Memory for keys and values; 0: automatic."),
        flag("--max-context", "engine.max_context", "Longest sequence; 0: the model's limit."),
        flag("--max-running", "engine.max_running", "Sequences computed together."),
        flag("--kernels", "engine.kernels", "auto, avx512_vnni, avx2 or portable."),
        flag("--threads", "engine.threads", "0: one per core this process may use."),
        config_file,
    ):
        command = decorate(command)
    return command


quantize_flag = flag(
    "--quantize", "model.quantize", "Quantise while loading, to q8_0, q4_1 or q4_k."
)


def loaded_config(ctx: click.Context, model: str | None = None) -> LoadedConfig:
    """The effective configuration of this command line. Raises ConfigError."""
    settings = list(ctx.meta.get(_SETTINGS, ()))
    if model is not None:
        settings.append(Setting("model.name", model, "argument MODEL"))
    return load(settings, path=ctx.meta.get(_FILE))
