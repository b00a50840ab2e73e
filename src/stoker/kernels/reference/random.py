"""The counter-based generator behind every draw: a number needs its place, not its predecessors."""

from __future__ import annotations

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_WORD = 0xFFFFFFFF

Words = tuple[int, int, int, int]


def philox(counter: Words, key: tuple[int, int]) -> Words:
    """Philox4x32-10 (Salmon et al. 2011): four 32-bit words from a counter and a key."""
    for _ in range(10):
        first = _MULTIPLIERS[0] * counter[0]
        second = _MULTIPLIERS[1] * counter[2]
        counter = (
            (second >> 32) ^ counter[1] ^ key[0],
            second & _WORD,
            (first >> 32) ^ counter[3] ^ key[1],
            first & _WORD,
        )
        key = ((key[0] + _WEYL[0]) & _WORD, (key[1] + _WEYL[1]) & _WORD)
    return counter


def uniform(seed: int, position: int) -> float:
    """A number in [0, 1) with 53 bits, for one draw of one sequence."""
    high, low, *_ = philox(
        (position & _WORD, position >> 32, 0, 0), (seed & _WORD, (seed >> 32) & _WORD)
    )
    return float(((high << 32 | low) >> 11) * 2.0**-53)
