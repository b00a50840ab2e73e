"""What the scheduler and executors know of a constraint: which tokens may come next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from stoker.core.ids import TokenId


class Guide(Protocol):
    """One sequence's place in the language of its constraint. Used by one thread at a time."""

    def masks(self, drafts: Sequence[TokenId]) -> Sequence[bytes]:
        """A bit a token, lowest first: those that may follow the sequence, and then those that may
        follow each draft. Behind a draft that may not come, a mask means nothing. Stays in place,
        and never raises: when the constraint fails, nothing may follow."""
        ...

    def advance(self, token: TokenId) -> None:
        """The sequence has one more token. Never raises."""
        ...

    @property
    def complete(self) -> bool:
        """Nothing may follow but an end."""
        ...

    @property
    def failed(self) -> bool:
        """The constraint went over one of its limits, or cannot be met any more."""
        ...
