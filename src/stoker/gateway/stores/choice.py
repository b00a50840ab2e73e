"""The ledger that a configuration asks for."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from stoker.config.fleet_schema import StoreSection
from stoker.core.clock import Clock
from stoker.errors import ConfigError
from stoker.gateway.ledger import Ledger, NoLimits
from stoker.gateway.stores.sqlite import SqliteLedger
from stoker.gateway.tenant import Tenant

FILE_NAME = "usage.db"
SQLITE = "sqlite:///"


async def open_ledger(
    section: StoreSection, tenants: Collection[Tenant], folder: Path, clock: Clock
) -> Ledger:
    """`folder` is where the file is when none is named. Raises SetupError when it cannot be used,
    and ConfigError for a store of another kind."""
    if not tenants and not section.url:
        return NoLimits()
    return await SqliteLedger.open(usage_path(section, folder), tenants, clock)


def usage_path(section: StoreSection, folder: Path) -> Path:
    """Raises ConfigError when usage is not kept in a file."""
    if not section.url:
        return folder / FILE_NAME
    if not section.url.startswith(SQLITE):
        raise ConfigError(
            "store.url names a kind of store that is not supported",
            param="store.url",
            hint="Write sqlite:///PATH.",
        )
    return Path(section.url.removeprefix(SQLITE)).expanduser()
