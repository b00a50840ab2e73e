"""Whether an engine sleeps, as far as its front knows, and who waits to hear of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from stoker.engine import frames


class Rest:
    def __init__(self, send: Callable[[frames.Frame], None]) -> None:
        self._send = send
        self._heard: asyncio.Future[None] | None = None
        self.asleep = False

    async def ask(self, frame: frames.Sleep | frames.Wake) -> None:
        """Returns when the engine has answered, or there is none any more."""
        if self._heard is None or self._heard.done():
            self._heard = asyncio.get_running_loop().create_future()
        self._send(frame)
        await asyncio.shield(self._heard)

    def heard(self, *, asleep: bool) -> None:
        self.asleep = asleep
        if self._heard is not None and not self._heard.done():
            self._heard.set_result(None)
