"""Streams over HTTP as a client has them, kept as a history."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import aiohttp

from tests.support.history import Accepted, Ending, Event, Refused, Tokens
from tests.support.server import MODEL

CUT = "cut"
"""How a stream ends that has neither an end marker nor an error."""


class HttpStreams:
    """Sends requests, reads their streams, and keeps what came, character by character."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/v1/completions"
        timeout = aiohttp.ClientTimeout(total=60)
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        self.history: list[Event] = []
        self.refusals: list[tuple[int, str]] = []

    async def __aenter__(self) -> HttpStreams:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    def text(self, name: str) -> str:
        pieces = [one.tokens for one in self.history if _is(one, name)]
        return "".join(str(character) for piece in pieces for character in piece)

    def texts(self) -> dict[str, list[str]]:
        """Of all that was asked so far, as what an undisturbed run gives."""
        return {one.request_id: list(self.text(one.request_id)) for one in self.history}

    async def all(self, names: Sequence[str], tokens: int) -> None:
        await asyncio.gather(*(self.one(name, tokens) for name in names))

    async def one(self, prompt: str, tokens: int, name: str = "") -> None:
        """The same prompt always has the same seed; `name` is that of the history."""
        name = name or prompt
        body = {
            "model": MODEL, "prompt": prompt, "max_tokens": tokens, "seed": len(prompt),
            "stream": True, "ignore_eos": True,
        }  # fmt: skip
        try:
            async with self._session.post(self._url, json=body) as response:
                if response.status != 200:
                    code = (await response.json())["error"]["code"]
                    self.refusals.append((response.status, code))
                    self.history.append(Refused(name))
                    return
                self.history.append(Accepted(name))
                await self._read(name, response)
        except aiohttp.ClientError:
            self.history.append(Ending(name, CUT))

    async def _read(self, name: str, response: aiohttp.ClientResponse) -> None:
        reason = CUT
        async for line in response.content:
            if not line.startswith(b"data: "):
                continue
            if line == b"data: [DONE]\n":
                self.history.append(Ending(name, reason))
                return
            event = json.loads(line[6:])
            if "error" in event:
                self.history.append(Ending(name, event["error"]["code"]))
                return
            choice = event["choices"][0]
            self.history.append(Tokens(name, list(choice["text"])))
            reason = choice["finish_reason"] or reason
        self.history.append(Ending(name, CUT))

    async def has(self, name: str, characters: int = 1) -> None:
        """Returns once so much of it has come."""
        async with asyncio.timeout(30):
            while len(self.text(name)) < characters:
                await asyncio.sleep(0.002)


def _is(event: Event, name: str) -> bool:
    return isinstance(event, Tokens) and event.request_id == name
