"""A whole gateway from the text of a configuration file, and a client for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientTimeout

from stoker.api.assembly import Parts, assemble
from stoker.api.server import Server
from stoker.config import served
from stoker.config.load import load
from stoker.config.schema import Config
from stoker.core.clock import SystemClock
from stoker.engine.interface import Backend
from stoker.gateway.identity import Keyring, digest_of
from stoker.gateway.ledger import Ask, Grant, Ledger
from stoker.gateway.stores.choice import open_ledger
from stoker.gateway.usage import Usage
from tests.support.local_backend import LocalBackend
from tests.support.server import RunningServer
from tests.support.text import tiny_text, vocab_size


class Remembering:
    """A ledger that remembers what was settled."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.settled: list[tuple[Grant, Usage, str]] = []
        self.num_open = 0

    async def reserve(self, ask: Ask) -> Grant:
        grant = await self._ledger.reserve(ask)
        self.num_open += 1
        return grant

    async def settle(self, grant: Grant, usage: Usage, outcome: str) -> None:
        await self._ledger.settle(grant, usage, outcome)
        self.num_open -= 1
        self.settled.append((grant, usage, outcome))

    def update(self, tenants: Any) -> None:
        self._ledger.update(tenants)

    async def close(self) -> None:
        await self._ledger.close()


class Gateway(RunningServer):
    ledger: Remembering

    def __init__(self, config: Config, folder: Path) -> None:
        super().__init__(self._no_backend, tiny_text(), server=config.server)
        self.config = config
        self._folder = folder

    async def _no_backend(self) -> Backend:
        return LocalBackend(vocab_size())

    def _parts(self) -> list[Parts]:
        return [
            Parts(entry, LocalBackend(vocab_size()), self._text)
            for entry in served.models(self.config)
        ]

    async def _serve(self) -> int:
        import asyncio

        self.loop = asyncio.get_running_loop()
        config = self.config
        keyring = Keyring(config.tenants, config.keys, config.server.api_key)
        tenants = list(keyring.tenants.values())
        self.ledger = Remembering(
            await open_ledger(config.store, tenants, self._folder, SystemClock())
        )
        parts = self._parts()
        self.backend = parts[0].backend if parts else None
        self.application = assemble(config, parts, keyring, self.ledger)
        self.server = Server(self.application, config.server, self._announced)
        return await self.server.run_until_stopped()


@contextmanager
def gateway(folder: Path, text: str) -> Iterator[Gateway]:
    path = folder / "stoker.toml"
    path.write_text(f"[server]\nport = 0\ndrain_seconds = 1\n{text}")
    running = Gateway(load(path=path, environ={}).config, folder)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def tenant(name: str, **settings: Any) -> str:
    """Its key is its name."""
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
    digest = digest_of(name.encode()).hex()
    return (
        f'[[tenants]]\nname = "{name}"\n{lines}'
        f'[[keys]]\nid = "k-{name}"\ntenant = "{name}"\ndigest = "sha256:{digest}"\n'
    )


class Answer:
    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        code: str = self.json["error"]["code"]
        return code

    @property
    def events(self) -> list[Any]:
        """Decoded, the end marker as None."""
        lines = [line[6:] for line in self.body.split(b"\n") if line.startswith(b"data: ")]
        return [None if line == b"[DONE]" else json.loads(line) for line in lines]

    @property
    def text(self) -> str:
        found = (event for event in self.events if event and event.get("choices"))
        return "".join(event["choices"][0]["delta"].get("content") or "" for event in found)


async def ask(
    running: Gateway, key: str | None = None, path: str = "chat/completions", **fields: Any
) -> Answer:
    body = {"model": "chat", "messages": [{"role": "user", "content": "Hi"}], **fields}
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    async with (
        ClientSession(timeout=ClientTimeout(total=30)) as session,
        session.post(f"{running.url}/v1/{path}", json=body, headers=headers) as response,
    ):
        return Answer(response.status, response.headers, await response.read())
