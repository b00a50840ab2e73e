"""Reports where there are some, guesses where there are none."""

from __future__ import annotations

from stoker.engine.interface import BlockEvent
from stoker.gateway.balance.approximate_index import ApproximateIndex
from stoker.gateway.balance.known_prefixes import KnownPrefixes
from stoker.gateway.balance.prefix_index import PrefixIndex

DIGESTS = tuple(bytes([number]) for number in range(8))


def known() -> KnownPrefixes:
    return KnownPrefixes(PrefixIndex(100), ApproximateIndex())


def test_a_report_ends_guessing() -> None:
    prefixes = known()
    listener = prefixes.listener("own")
    prefixes.sent("own", DIGESTS)
    prefixes.sent("foreign", DIGESTS[:4])
    assert prefixes.depths(DIGESTS) == {"own": 8, "foreign": 4}
    listener.changed([BlockEvent(stored=DIGESTS[:3])])
    prefixes.sent("own", DIGESTS)
    assert prefixes.depths(DIGESTS) == {"own": 3, "foreign": 4}


def test_what_goes_before_what_comes() -> None:
    prefixes = known()
    listener = prefixes.listener("own")
    listener.changed([BlockEvent(stored=DIGESTS[:2])])
    listener.changed([BlockEvent(removed=DIGESTS[:2], stored=DIGESTS[:1])])
    assert prefixes.depths(DIGESTS) == {"own": 1}


def test_an_engine_that_died_holds_nothing_and_still_is_not_guessed_about() -> None:
    prefixes = known()
    listener = prefixes.listener("own")
    listener.changed([BlockEvent(stored=DIGESTS)])
    listener.lost()
    prefixes.sent("own", DIGESTS)
    assert prefixes.depths(DIGESTS) == {}


def test_a_replica_that_left_is_forgotten() -> None:
    prefixes = known()
    prefixes.listener("own").changed([BlockEvent(stored=DIGESTS)])
    prefixes.sent("foreign", DIGESTS)
    prefixes.gone("own")
    prefixes.gone("foreign")
    assert prefixes.depths(DIGESTS) == {}
