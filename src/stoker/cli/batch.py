"""`stoker batch`: a file of requests answered in this process, without a server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from stoker.cli.options import engine_flags, loaded_config, quantize_flag
from stoker.config.selection import select
from stoker.errors import SetupError


@click.command(name="batch")
@click.argument("requests", type=click.Path(path_type=Path))
@click.argument("results", type=click.Path(path_type=Path))
@click.option("--model", default=None, help="Answers every line, whatever model the lines name.")
@quantize_flag
@engine_flags
@click.pass_context
def command(ctx: click.Context, requests: Path, results: Path, model: str | None) -> int:
    """Answer the lines of REQUESTS, in the form of OpenAI's batches, into RESULTS.

    Results come in the order they are done, one line for each custom_id. After a Ctrl-C, a crash or
    a full disk the same command goes on where it ended. The exit code is 1 when a line was refused.
    """
    from stoker.cli.batch_run import BatchRun, look_through
    from stoker.cli.result_file import ResultFile

    found = look_through(requests)
    name = model or _only(found.models)
    config = select(loaded_config(ctx, name).config, (name,) if name else ())
    with ResultFile(results) as file:
        if not found.ids - file.done:
            click.echo(f"all {len(found.ids)} results are in {results} already", err=True)
            return 0
        run = BatchRun(requests, file, config, replaced=model is not None)
        try:
            asyncio.run(run.run(len(found.ids)))
        finally:
            left = len(found.ids - file.done)
            rest = f"; {left} are left: the same command goes on with them" if left else ""
            click.echo(f"{run.answered} answered, {run.refused} refused{rest}", err=True)
    return 1 if run.refused else 0


def _only(models: set[str]) -> str | None:
    """None: what the configuration says. Raises SetupError when lines name several."""
    named = sorted(models - {""})
    if len(named) > 1:
        raise SetupError(
            f"the lines name several models: {', '.join(named[:3])}",
            hint="Say with --model which one answers all of them, or split the file.",
        )
    return named[0] if named else None
