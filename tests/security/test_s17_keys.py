"""Keys are found and compared by digest, in the same steps however much of a key is right (S17)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from stoker.config.fleet_schema import KeyEntry, TenantEntry
from stoker.errors import InvalidApiKey
from stoker.gateway import identity
from stoker.gateway.identity import Keyring, digest_of, new_key

KEY = new_key("k1").encode()


@pytest.fixture
def ring() -> Keyring:
    digest = f"sha256:{digest_of(KEY).hex()}"
    keys = [KeyEntry(id="k1", tenant="a", digest=digest)]
    return Keyring([TenantEntry(name="a")], keys, api_key="the-one-key")


def steps(work: Callable[[], object]) -> list[tuple[str, int]]:
    """Every line that runs."""
    found: list[tuple[str, int]] = []

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        found.append((frame.f_code.co_filename + event, frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return found


def refusal(ring: Keyring, key: bytes) -> None:
    try:
        ring.authenticate(key, 0.0)
    except InvalidApiKey:
        return
    raise AssertionError("a wrong key was taken")


def test_a_wrong_key_takes_the_same_steps_wherever_it_is_wrong(ring: Keyring) -> None:
    first, last = b"X" + KEY[1:], KEY[:-1] + b"X"
    assert steps(lambda: refusal(ring, first)) == steps(lambda: refusal(ring, last))
    assert steps(lambda: refusal(ring, b"short")) == steps(lambda: refusal(ring, KEY + KEY))


def test_what_is_compared_are_digests_in_constant_time(
    ring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = []

    def compare(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return False

    monkeypatch.setattr(identity.hmac, "compare_digest", compare)
    with pytest.raises(InvalidApiKey):
        ring.authenticate(KEY, 0.0)
    assert compared == [(digest_of(KEY), digest_of(KEY))]


def test_no_key_is_anywhere_in_a_ring(ring: Keyring) -> None:
    found = repr(vars(ring)).encode()
    assert KEY not in found
    assert b"the-one-key" not in found
