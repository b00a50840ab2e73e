"""`stoker edge nginx`: the configuration of a real proxy in front of this server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from stoker.cli.options import config_file, loaded_config
from stoker.errors import SetupError
from stoker.gateway.edge_nginx import Edge, nginx_configuration

OWNER_ONLY = 0o600


@click.group(name="edge")
def command() -> None:
    """Write the configuration of a proxy for TLS, limits and several fronts."""


@command.command(name="nginx")
@click.option("--name", "names", multiple=True, help="A host name to answer to; repeat.")
@click.option("--certificate", default="", help="PEM file; with it, TLS.")
@click.option("--certificate-key", default="", help="PEM file.")
@click.option("--listen", default=None, type=click.IntRange(1, 65535),
              help="Port. Default: 443 with a certificate, else 80.")  # fmt: skip
@click.option("--requests-a-second", default=0, type=click.IntRange(min=0),
              help="Of one client address; 0: no limit.")  # fmt: skip
@click.option("--connections", default=0, type=click.IntRange(min=0),
              help="Of one client address; 0: no limit.")  # fmt: skip
@click.option("--upstream", "upstreams", multiple=True, metavar="HOST:PORT",
              help="A front; repeat. Default: the one of the configuration.")  # fmt: skip
@click.option("--folder", default="/run/stoker-nginx", show_default=True,
              help="Where nginx keeps its process id and large bodies.")  # fmt: skip
@click.option("--output", default="-", type=click.Path(dir_okay=False, allow_dash=True),
              help="- is stdout.")  # fmt: skip
@config_file
@click.pass_context
def nginx(ctx: click.Context, /, output: str, listen: int | None, **chosen: Any) -> None:
    """Print a complete nginx.conf for this configuration."""
    config = loaded_config(ctx).config
    port = listen or (443 if chosen["certificate"] else 80)
    names = chosen.pop("names") or ("_",)
    text = nginx_configuration(config, Edge(names=names, listen=port, **chosen))
    if output == "-":
        click.echo(text, nl=False)
        return
    try:
        path = Path(output)
        path.touch(mode=OWNER_ONLY)
        path.chmod(OWNER_ONLY)  # in direct mode it holds what the front knows nginx by
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SetupError(f"cannot write {output}: {error.strerror or error}") from None
