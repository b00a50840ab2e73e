"""`stoker pull`: a model's weights onto this machine, checked by digest."""

from __future__ import annotations

import click

from stoker.cli.fetch import fetch
from stoker.cli.options import config_file, loaded_config


@click.command(name="pull")
@click.argument("model")
@config_file
@click.pass_context
def command(ctx: click.Context, model: str) -> None:
    """Fetch MODEL (a catalog name or a hub repository) and print its path."""
    click.echo(str(fetch(loaded_config(ctx, model).config.model)))
