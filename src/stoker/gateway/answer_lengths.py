"""How long answers will be: clients say what is the most, which tells little about that."""

from __future__ import annotations

from stoker.gateway.spread import Spread

FIRST = 256
"""Tokens, for a tenant of whom no answer is known."""
REMEMBERED = 64
"""Answers of a tenant."""
MOST_TENANTS = 1024


class AnswerLengths:
    def __init__(self) -> None:
        self._tenants: dict[str, Spread] = {}

    def __len__(self) -> int:
        return len(self._tenants)

    def expected(self, tenant: str, most: int) -> int:
        """New tokens, of a request that may come to `most`: rather too many than too few."""
        spread = self._tenants.get(tenant)
        usual = FIRST if spread is None else round(spread.average + spread.deviation)
        return min(usual, most)

    def learn(self, tenant: str, tokens: int) -> None:
        spread = self._tenants.pop(tenant, None) or Spread()
        self._tenants[tenant] = spread
        spread.add(tokens, REMEMBERED)
        if len(self._tenants) > MOST_TENANTS:
            del self._tenants[next(iter(self._tenants))]
