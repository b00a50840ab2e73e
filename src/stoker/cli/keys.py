"""`stoker keys new`: a key for a client, and what the configuration has to hold of it."""

from __future__ import annotations

import secrets
from datetime import datetime

import click
import msgspec

from stoker.config.fleet_schema import KeyEntry
from stoker.errors import ConfigError
from stoker.gateway.identity import digest_of, new_key


@click.group(name="keys")
def command() -> None:
    """Make keys for clients. Only a key's digest is ever kept."""


@command.command(name="new")
@click.argument("tenant")
@click.option("--id", "key_id", default=None, help="What reports call the key.")
@click.option("--expires", default=None, metavar="DATE", help="ISO date or time, UTC.")
def new(tenant: str, key_id: str | None, expires: str | None) -> None:
    """Print a new key for TENANT, once, and the table to put into the configuration.

    The key goes to standard error and the table to standard output, so that
    `stoker keys new TENANT >> stoker.toml` does the rest.
    """
    key_id = key_id or f"{tenant}-{secrets.token_hex(3)}"
    key = new_key(key_id)
    entry = _entry(key_id, tenant, f"sha256:{digest_of(key.encode()).hex()}", expires)
    click.echo(f"Give this to the client; it is shown only now:\n\n  {key}\n", err=True)
    click.echo("And put this into the configuration:\n", err=True)
    for line in _table(entry):
        click.echo(line)


def _entry(key_id: str, tenant: str, digest: str, expires: str | None) -> KeyEntry:
    """Raises ConfigError for what a configuration would refuse."""
    fields = {"id": key_id, "tenant": tenant, "digest": digest, "expires": expires}
    try:
        if expires is not None:
            datetime.fromisoformat(expires)
        return msgspec.convert(fields, KeyEntry)
    except msgspec.ValidationError:
        raise ConfigError(
            f"'{key_id}' of '{tenant}' cannot be the name of a key",
            hint="Names are 1 to 128 letters, digits and . _ : / -",
        ) from None
    except ValueError:
        raise ConfigError(f"'{expires}' is no date", hint="Write it like 2030-12-31.") from None


def _table(entry: KeyEntry) -> list[str]:
    lines = [
        "[[keys]]",
        f'id = "{entry.id}"',
        f'tenant = "{entry.tenant}"',
        f'digest = "{entry.digest}"',
    ]
    return lines if entry.expires is None else [*lines, f'expires = "{entry.expires}"']
