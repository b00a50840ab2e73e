"""`stoker models`: what can be had by name, and what is here already."""

from __future__ import annotations

import click

from stoker.cli.columns import aligned
from stoker.cli.options import config_file, loaded_config
from stoker.config.paths import cache_folder


@click.command(name="models")
@config_file
@click.pass_context
def command(ctx: click.Context) -> None:
    """List the models that can be had by name.

    Any GGUF file, folder of safetensors, or hub repository (owner/name) can be served too.
    """
    from stoker.model.catalog import CATALOG, CatalogModel
    from stoker.model.catalog_folder import FOLDERS, CatalogFolder
    from stoker.model.pull import cached
    from stoker.model.pull_folder import cached_folder

    cache = cache_folder(loaded_config(ctx).config.model)
    models: list[CatalogModel | CatalogFolder] = [*CATALOG.values(), *FOLDERS.values()]
    here = {model.name for model in CATALOG.values() if cached(model, cache)}
    here |= {model.name for model in FOLDERS.values() if cached_folder(model, cache)}
    rows = [
        (
            model.name,
            f"{model.size / 1e6:,.0f} MB",
            "here" if model.name in here else "to fetch",
            model.about,
            model.licence,
        )
        for model in models
    ]
    for line in aligned([("NAME", "SIZE", "STATE", "ABOUT", "LICENCE"), *rows]):
        click.echo(line)
