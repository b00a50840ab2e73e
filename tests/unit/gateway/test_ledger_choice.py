from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stoker.config.fleet_schema import StoreSection
from stoker.core.clock import ManualClock
from stoker.errors import SetupError
from stoker.gateway.ledger import NoLimits
from stoker.gateway.stores.choice import open_ledger
from tests.support.tenants import spend, tenant

FREE = tenant("free")


async def test_a_server_without_tenants_keeps_nothing(tmp_path: Path) -> None:
    ledger = await open_ledger(StoreSection(), [], tmp_path, ManualClock())
    assert isinstance(ledger, NoLimits)
    assert list(tmp_path.iterdir()) == []


async def test_with_tenants_there_is_a_file_that_only_its_owner_can_read(tmp_path: Path) -> None:
    ledger = await open_ledger(StoreSection(), [FREE], tmp_path / "cache", ManualClock())
    await spend(ledger, FREE)
    await ledger.close()
    await ledger.close()
    (path,) = (tmp_path / "cache").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("section", "package", "extra"),
    [
        (StoreSection(url="postgresql://host/database"), "asyncpg", "postgresql"),
        (StoreSection(limits_url="redis://host"), "redis", "redis"),
    ],
)
async def test_a_package_that_is_missing_is_named_with_its_extra(
    section: StoreSection,
    package: str,
    extra: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, f"stoker.gateway.stores.{extra}", raising=False)
    monkeypatch.setattr(sys, "meta_path", [NotThere(package), *sys.meta_path])
    with pytest.raises(SetupError, match=f"needs the package {package}") as refused:
        await open_ledger(section, [FREE], tmp_path, ManualClock())
    assert f"stoker[{extra}]" in refused.value.hint


class NotThere:
    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.split(".")[0] == self._package:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
