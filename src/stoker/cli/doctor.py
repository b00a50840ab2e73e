"""`stoker doctor`: everything a bug report needs, and nothing it must not hold."""

from __future__ import annotations

from collections.abc import Iterator

import click

from stoker.cli.options import engine_flags, loaded_config, quantize_flag
from stoker.config import environment
from stoker.config.explain import explain
from stoker.config.load import LoadedConfig
from stoker.config.paths import cache_folder

INTERESTING_FLAGS = (
    "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "avx_vnni",
    "amx_int8", "asimddp", "i8mm", "sve",
)  # fmt: skip


@click.command(name="doctor")
@quantize_flag
@engine_flags
@click.pass_context
def command(ctx: click.Context) -> None:
    """Show this machine, the kernels chosen, and the effective configuration.

    Each value is followed by where it came from. Keys are never shown.
    """
    loaded = loaded_config(ctx)
    for line in _machine(loaded):
        click.echo(line)
    click.echo("\nconfiguration")
    for line in _configuration(loaded):
        click.echo(line)


def _machine(loaded: LoadedConfig) -> Iterator[str]:
    from stoker.bench.machine import cpu_flags, this_machine
    from stoker.kernels.decoder import available_kernels

    machine = this_machine()
    flags = cpu_flags()
    kernels = available_kernels()
    asked = loaded.config.engine.kernels
    chosen = kernels[0] if asked == "auto" else asked
    yield f"stoker     {machine.stoker}, Python {machine.python}, {machine.system}"
    yield f"processor  {machine.cpu}, {machine.cores} usable cores"
    yield f"features   {' '.join(flag for flag in INTERESTING_FLAGS if flag in flags) or 'none'}"
    yield f"memory     {machine.memory_gib} GiB"
    yield f"kernels    {chosen} ({asked}; this machine can run {', '.join(kernels)})"
    if asked not in ("auto", *kernels):
        yield f"           PROBLEM: this machine cannot run '{asked}'"
    yield f"cache      {cache_folder(loaded.config.model)}"


def _configuration(loaded: LoadedConfig) -> Iterator[str]:
    rows = explain(loaded)
    key_width = max(len(row.key) for row in rows)
    value_width = max(len(row.value) for row in rows)
    for row in rows:
        yield f"  {row.key.ljust(key_width)}  {row.value.ljust(value_width)}  {row.source}"
    for name in environment.ignored(environment.current()):
        yield f"  {name} is set and means nothing to this program"
