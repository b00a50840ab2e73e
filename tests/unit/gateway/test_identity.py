from __future__ import annotations

import pytest

from stoker.config.fleet_schema import KeyEntry, TenantEntry
from stoker.errors import InvalidApiKey
from stoker.gateway.identity import PREFIX, Keyring, digest_of, new_key
from stoker.gateway.tenant import Band, Privacy

KEY = new_key("k1")


def entry(key: str = KEY, **changes: object) -> KeyEntry:
    digest = f"sha256:{digest_of(key.encode()).hex()}"
    return KeyEntry(id="k1", tenant="a", digest=digest, **changes)  # type: ignore[arg-type]


def ring(**changes: object) -> Keyring:
    return Keyring(
        [TenantEntry(name="a", budget=1.5, band="batch", privacy="local")], [entry(**changes)]
    )


def test_a_key_is_its_tenants() -> None:
    principal = ring().authenticate(KEY.encode(), 0.0)
    tenant = principal.tenant
    assert (tenant.name, principal.key_id, tenant.band) == ("a", "k1", Band.BATCH)
    assert (tenant.limits.budget, tenant.privacy) == (1_500_000_000, Privacy.LOCAL)


@pytest.mark.parametrize(
    "wrong", [None, b"", b"sk-stoker-", KEY[:-1].encode(), KEY.encode() + b"x"]
)
def test_any_other_key_is_refused(wrong: bytes | None) -> None:
    with pytest.raises(InvalidApiKey):
        ring().authenticate(wrong, 0.0)


def test_a_key_ends_at_its_moment_in_utc() -> None:
    until_midnight = ring(expires="1970-01-02")
    until_midnight.authenticate(KEY.encode(), 86399.9)
    with pytest.raises(InvalidApiKey) as expired:
        until_midnight.authenticate(KEY.encode(), 86400.0)
    with pytest.raises(InvalidApiKey) as unknown:
        until_midnight.authenticate(b"other", 0.0)
    assert expired.value.message == unknown.value.message


def test_a_key_may_use_less_than_its_tenant() -> None:
    tenant = TenantEntry(name="a", models=("x", "y"))
    principal = Keyring([tenant], [entry(models=("y", "z"))]).authenticate(KEY.encode(), 0.0)
    assert [model for model in "xyz" if principal.may_use(model)] == ["y"]


def test_without_keys_everybody_is_the_same_tenant() -> None:
    assert Keyring([TenantEntry(name="a")]).authenticate(None, 0.0).tenant.name == ""


def test_new_keys_differ_and_no_key_is_kept() -> None:
    keys = {new_key("k1") for _ in range(100)}
    assert len(keys) == 100
    assert all(key.startswith(f"{PREFIX}k1-") and len(key) > 40 for key in keys)
    assert KEY not in repr(vars(ring()))
