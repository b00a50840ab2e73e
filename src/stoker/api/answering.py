"""How an answer gets to its client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from stoker.api.answer import Shape
    from stoker.api.plan import Plan


class Answering(Protocol):
    async def answer(self, plan: Plan, shape: Shape, *, streamed: bool) -> None:
        """Raises StokerError while nothing was sent yet, and ClientGone."""
        ...

    async def close(self) -> None:
        """Everything is settled when it returns."""
        ...
