"""nginx, a front and a remote replica, the same but for the way an answer takes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientTimeout
from msgspec.structs import replace

from stoker.api.assembly import Parts
from stoker.cli.placing import make_placer
from stoker.config import served
from stoker.config.load import load
from stoker.config.schema import Config
from stoker.core.clock import SystemClock
from stoker.engine.adapter_shelf import AdapterShelf
from stoker.engine.frames import EngineSettings
from stoker.fleet.interface import ReplicaSpec
from stoker.gateway.balancing import Balancing
from stoker.gateway.pool import ReplicaPool
from stoker.gateway.usage import Usage
from tests.support.edge import edge
from tests.support.gateway import Answer, Gateway
from tests.support.server import MODEL, RunningServer, replica_server
from tests.support.text import tiny_text

KEY = "k" * 40


class RemoteGateway(Gateway):
    """Its models are on remote replicas."""

    def _parts(self) -> list[Parts]:
        return [self._remote(entry) for entry in served.models(self.config)]

    def _remote(self, entry: Any) -> Parts:
        spec = ReplicaSpec(model=entry.name, source="", engine=EngineSettings(executor="fake"))
        placer = make_placer(entry, spec, self.config, lambda done, total: None, AdapterShelf())
        pool = ReplicaPool(placer, Balancing(self.config.balance), SystemClock())
        self.starting = asyncio.create_task(pool.start())
        return Parts(entry, pool, tiny_text())


class EdgeMode:
    def __init__(self, url: str, front: RemoteGateway, replica: RunningServer) -> None:
        self.url = url
        self.front = front
        self.replica = replica

    async def ask(self, key: str, path: str = "/v1/chat/completions", **fields: Any) -> Answer:
        body = {"model": MODEL, "seed": 7} | fields
        if "prompt" not in fields:
            body["messages"] = [{"role": "user", "content": "Hi"}]
        return await self.send(key, path, json=body)

    async def send(self, key: str, path: str, **options: Any) -> Answer:
        headers = {"authorization": f"Bearer {key}"} | options.pop("headers", {})
        async with (
            ClientSession(timeout=ClientTimeout(total=30)) as session,
            session.post(self.url + path, headers=headers, **options) as response,
        ):
            return Answer(response.status, response.headers, await response.read())

    @property
    def ways(self) -> list[bool]:
        """Of what the replica got: whether directly. As frames an attempt has its own name."""
        return ["/" not in one.request_id for one in self.replica.backend.submitted]

    def settled_after(self, count: int) -> list[tuple[str, Usage, str]]:
        """Tenant, usage and ending of all requests but the first so many."""
        found = self.front.ledger.settled[count:]
        return [(grant.ask.tenant.name, usage, outcome) for grant, usage, outcome in found]


@contextmanager
def edge_mode(mode: str, folder: Path, tenants: str) -> Iterator[EdgeMode]:
    """`tenants` is text of the configuration."""
    with (
        replica_server(ticket_key(folder)) as replica,
        fronted(mode, folder, replica.url, tenants) as (front, url),
    ):
        yield EdgeMode(url, front, replica)


def ticket_key(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "ticket.key"
    path.write_text(KEY + "\n")
    path.chmod(0o600)
    return path


@contextmanager
def fronted(
    mode: str, folder: Path, replica: str, more: str = ""
) -> Iterator[tuple[RemoteGateway, str]]:
    """A front for the replica at this URL, and nginx's URL. `more` is text of the configuration."""
    path = folder / "stoker.toml"
    path.write_text(
        "[server]\nport = 0\ndrain_seconds = 1\n"
        f'[edge]\nmode = "{mode}"\nticket_key_file = "ticket.key"\n'
        f'[[models]]\nname = "{MODEL}"\nsource = "tiny"\nplacer = "remote"\n'
        f'urls = ["{replica}"]\nprice = {{ input = 1.0, output = 2.0 }}\n'
        f"{more}"
    )
    config = load(path=path, environ={}).config
    with started(config, folder) as front, through(front, folder) as url:
        yield front, url


@contextmanager
def started(config: Config, folder: Path) -> Iterator[RemoteGateway]:
    front = RemoteGateway(config, folder)
    front.start()
    try:
        yield front
    finally:
        front.stop()


@contextmanager
def through(front: RemoteGateway, folder: Path) -> Iterator[str]:
    server = replace(front.config.server, port=front.port)
    place = folder / "nginx"
    place.mkdir()
    with edge(replace(front.config, server=server), place) as url:
        yield url
