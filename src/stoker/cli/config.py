"""`stoker config`: is a configuration file sound, what would it serve, and what does a key mean."""

from __future__ import annotations

from pathlib import Path

import click

from stoker.cli.columns import aligned
from stoker.cli.options import config_file, loaded_config
from stoker.config.load import load


@click.group(name="config")
def command() -> None:
    """Check a configuration file, or explain its keys."""


@command.command(name="check")
@click.argument("file", required=False)
def check(file: str | None) -> None:
    """Check FILE (or the one in STOKER_CONFIG) and show what would be served.

    Exit code 0: it is sound; advice on what is probably not meant goes to standard error. 2: it is
    not, and one line says why.
    """
    from stoker.config.summary import summary

    loaded = load(path=file)
    click.echo(f"{loaded.path or 'No file: the defaults'} {'is' if loaded.path else 'are'} sound")
    for line in summary(loaded.config):
        click.echo(f"  {line}")
    for advice in loaded.warnings:
        click.echo(f"stoker: {advice}", err=True)


@command.command(name="explain")
@click.argument("key", required=False)
@config_file
@click.pass_context
def explain(ctx: click.Context, key: str | None) -> None:
    """Show every effective value, where it came from, its unit and its meaning.

    KEY may be a key (server.port), a section (queue), a list (models), one entry (models[0]), or
    the last part of a key (replicas). Secrets show only that they are set.
    """
    from stoker.config import explain as explanations

    loaded = loaded_config(ctx)
    rows = explanations.explain_key(loaded, key) if key else explanations.explain(loaded)
    cells = [(row.key, row.value, row.unit, row.source, row.meaning) for row in rows]
    for line in aligned([("KEY", "VALUE", "UNIT", "SOURCE", "MEANING"), *cells]):
        click.echo(line)


@command.command(name="reference")
@click.option(
    "--into",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A page with the markers <!-- keys --> and <!-- end -->, to write between.",
)
def reference(into: Path | None) -> None:
    """Print every key there is, with its default and meaning, as Markdown."""
    from stoker.config.reference import markdown, rewritten

    if into is None:
        click.echo(markdown())
    else:
        into.write_text(rewritten(into.read_text(encoding="utf-8")), encoding="utf-8")
