"""The ledger that a configuration asks for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection
from pathlib import Path
from types import ModuleType
from typing import Any

from stoker.config.fleet_schema import StoreSection
from stoker.core.clock import Clock
from stoker.errors import SetupError
from stoker.gateway.ledger import Ledger, NoLimits
from stoker.gateway.stores.drawing import DrawingLimiter
from stoker.gateway.stores.interface import Keep, Limiter, UsageStore
from stoker.gateway.stores.recorded import RecordedLedger
from stoker.gateway.stores.remote import RemoteLimiter, SharedLimits
from stoker.gateway.stores.sqlite import SqliteStore
from stoker.gateway.tenant import Tenant

FILE_NAME = "usage.db"
SQLITE = "sqlite:///"


async def open_ledger(
    section: StoreSection, tenants: Collection[Tenant], folder: Path, clock: Clock
) -> Ledger:
    """`folder` is where the file is when none is named. Raises SetupError when a store cannot be
    used."""
    if not tenants and not section.url and not section.limits_url:
        return NoLimits()
    store: Any = await open_store(section, folder, clock)
    try:
        limiter = await _limiter(section, store, clock)
    except BaseException:
        await store.close()
        raise
    ledger = RecordedLedger(store, limiter, clock)
    try:
        ledger.update(tenants)
    except BaseException:
        await ledger.close()
        raise
    return ledger


async def open_store(section: StoreSection, folder: Path, clock: Clock) -> UsageStore:
    """Where usage is recorded. Raises SetupError."""
    if section.url.startswith("postgresql://"):
        store: UsageStore = await _extra("postgresql").PostgresqlStore.open(section.url)
        return store
    return await SqliteStore.open(_usage_path(section, folder), clock.wall())


async def open_to_read(section: StoreSection, folder: Path) -> UsageStore:
    """The same for reports: changes nothing and makes no file. Raises SetupError."""
    if section.url.startswith("postgresql://"):
        store: UsageStore = await _extra("postgresql").PostgresqlStore.open(section.url)
        return store
    return await SqliteStore.open_to_read(_usage_path(section, folder))


async def _limiter(section: StoreSection, store: Any, clock: Clock) -> Callable[[Keep], Limiter]:
    """Limits are kept in the store of limits if there is one, or else where usage is."""
    if section.limits_url:
        shared: SharedLimits = await _extra("redis").RedisLimits.open(section.limits_url)
    elif isinstance(store, SqliteStore):
        return lambda keep: DrawingLimiter(store, clock, keep)
    else:
        shared = store.limits()
    return lambda keep: RemoteLimiter(shared, clock, keep)


def _usage_path(section: StoreSection, folder: Path) -> Path:
    if not section.url:
        return folder / FILE_NAME
    return Path(section.url.removeprefix(SQLITE)).expanduser()


def _extra(name: str) -> ModuleType:
    """A store whose client comes with the extra of that name."""
    try:
        return importlib.import_module(f"stoker.gateway.stores.{name}")
    except ModuleNotFoundError as error:
        raise SetupError(
            f"the store needs the package {error.name}",
            hint=f"Install stoker with the extra '{name}': pip install 'stoker[{name}]'.",
        ) from None
