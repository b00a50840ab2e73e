"""`stoker keys new`: a key for a client, and what the configuration has to hold of it."""

from __future__ import annotations

import secrets

import click

from stoker.gateway.identity import digest_of, new_key


@click.group(name="keys")
def command() -> None:
    """Make keys for clients. Only a key's digest is ever kept."""


@command.command(name="new")
@click.argument("tenant")
@click.option("--id", "key_id", default=None, help="What reports call the key.")
@click.option("--expires", default=None, metavar="DATE", help="ISO date or time, UTC.")
def new(tenant: str, key_id: str | None, expires: str | None) -> None:
    """Print a new key for TENANT, once, and the table to put into the configuration."""
    key = new_key()
    click.echo(f"Give this to the client; it is shown only now:\n\n  {key}\n", err=True)
    click.echo("And put this into the configuration:\n", err=True)
    lines = [
        "[[keys]]",
        f'id = "{key_id or f"{tenant}-{secrets.token_hex(3)}"}"',
        f'tenant = "{tenant}"',
        f'digest = "sha256:{digest_of(key.encode()).hex()}"',
        *([f'expires = "{expires}"'] if expires else []),
    ]
    click.echo("\n".join(lines))
