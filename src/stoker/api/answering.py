"""How an answer gets to its client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from stoker.api.answer import Job, Shape
    from stoker.api.exchange import Exchange
    from stoker.api.service import Service


class Answering(Protocol):
    async def answer(
        self, exchange: Exchange, service: Service, job: Job, shape: Shape, *, streamed: bool
    ) -> None:
        """Raises StokerError while nothing was sent yet, and ClientGone."""
        ...

    async def close(self) -> None:
        """Everything is settled when it returns."""
        ...
