"""Adapters as clients see them: names of models, loaded and unloaded while the server runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from stoker.api.assembly import Parts
from stoker.config import served
from stoker.config.load import load
from stoker.engine.adapter_shelf import AdapterShelf
from stoker.engine.frames import Frame, LoadAdapter, UnloadAdapter
from stoker.gateway.identity import digest_of
from tests.support.adapters import changed, seeded_adapter
from tests.support.gateway import Gateway, ask
from tests.support.local_backend import LocalBackend
from tests.support.text import vocab_size

KEYS = "\n".join(
    f'[[keys]]\nid = "{name}"\ntenant = "t"\n'
    f'digest = "sha256:{digest_of(name.encode()).hex()}"\n{more}'
    for name, more in (("boss", "admin = true"), ("user", ""), ("narrow", 'models = ["chat"]'))
)
CONFIG = """
[server]
port = 0
drain_seconds = 1
{folder}
[[models]]
name = "chat"
[[tenants]]
name = "t"
"""


class Adapted(Gateway):
    """Its engine, in this process, follows the shelf as a process does."""

    def _parts(self) -> list[Parts]:
        backend, shelf = LocalBackend(vocab_size()), AdapterShelf(2, 1 << 20)
        self.unloaded: list[str] = []

        def follow(frame: Frame) -> None:
            if isinstance(frame, LoadAdapter):
                backend.engine.adapters.load(frame.source)
            elif isinstance(frame, UnloadAdapter):
                self.unloaded.append(frame.key)
                backend.engine.adapters.unload(frame.key)

        shelf.follow(follow)
        self.shelf = shelf
        return [Parts(entry, backend, self._text, shelf) for entry in served.models(self.config)]


@contextmanager
def adapted(place: Path, folder: str) -> Iterator[Adapted]:
    path = place / "stoker.toml"
    path.write_text(CONFIG.format(folder=folder) + KEYS)
    running = Adapted(load(path=path, environ={}).config, place)
    running.start()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Adapted]:
    for number in (1, 2, 3):
        seeded_adapter(tmp_path / "adapters" / f"v{number}", number)
    with adapted(tmp_path, f'adapter_folder = "{tmp_path / "adapters"}"') as gateway:
        yield gateway


async def post(running: Adapted, key: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
    headers = {"authorization": f"Bearer {key}"}
    async with (
        ClientSession() as session,
        session.post(f"{running.url}/v1/{path}", json=body, headers=headers) as response,
    ):
        return response.status, await response.json()


async def loaded(running: Adapted, name: str = "poet", path: str = "v1") -> tuple[int, Any]:
    return await post(running, "boss", "load_lora_adapter", {"lora_name": name, "lora_path": path})


async def unloaded(running: Adapted, name: str = "poet", key: str = "boss") -> tuple[int, Any]:
    return await post(running, key, "unload_lora_adapter", {"lora_name": name})


async def listed(running: Adapted, key: str) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {key}"}
    async with (
        ClientSession() as session,
        session.get(f"{running.url}/v1/models", headers=headers) as response,
    ):
        return {one["id"]: one["parent"] for one in (await response.json())["data"]}


async def text_of(running: Adapted, model: str) -> str:
    answer = await ask(running, "user", model=model, seed=7, max_tokens=12)
    assert answer.status == 200 and answer.json["model"].casefold() == model.casefold()
    return str(answer.json["choices"][0]["message"]["content"])


async def test_a_name_selects_it_until_it_is_unloaded(running: Adapted) -> None:
    base = await text_of(running, "chat")
    status, model = await loaded(running)
    assert status == 200 and (model["id"], model["parent"]) == ("poet", "chat")
    assert await text_of(running, "poet") == await text_of(running, "Poet") != base
    assert await text_of(running, "chat") == base
    assert await listed(running, "user") == {"chat": None, "poet": "chat"}
    assert await listed(running, "narrow") == {"chat": None}
    assert (await ask(running, "narrow", model="poet")).status == 404
    assert (await unloaded(running))[0] == 200
    assert (await ask(running, "user", model="poet")).status == 404
    assert len(running.unloaded) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("messages", {"max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}),
        ("completions", {"prompt": "Hi", "max_tokens": 5}),
        ("responses", {"input": "Hi", "max_output_tokens": 16}),
        ("chat/completions", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}),
        ("embeddings", {"input": "Hi"}),
    ],
)
async def test_every_surface_selects_it_by_its_name(
    path: str, body: dict[str, Any], running: Adapted
) -> None:
    assert (await loaded(running))[0] == 200
    status, _ = await post(running, "user", path, {"model": "poet"} | body)
    assert status == 200
    assert running.backend.submitted[-1].adapter == running.shelf.sources[0].key


async def test_where_no_model_is_named_it_is_the_one_without_an_adapter(running: Adapted) -> None:
    assert (await loaded(running))[0] == 200
    assert (await ask(running, "user", model=None, max_tokens=5)).status == 200
    assert running.backend.submitted[-1].adapter == ""


async def test_running_requests_keep_it(running: Adapted) -> None:
    await loaded(running)
    alone = await text_of(running, "poet")
    running.call(running.backend.hold)
    under_way = asyncio.create_task(text_of(running, "poet"))
    await asyncio.to_thread(running.until, lambda: len(running.backend.submitted) == 2)
    assert (await unloaded(running))[0] == 200
    assert (await ask(running, "user", model="poet")).status == 404
    assert not running.unloaded
    assert (await loaded(running, "poet", "v2"))[0] == 200  # another one under its name
    running.call(running.backend.release)
    assert await under_way == alone != await text_of(running, "poet")
    running.until(lambda: len(running.unloaded) == 1)


async def test_who_may_not_is_refused(running: Adapted, tmp_path: Path) -> None:
    body = {"lora_name": "a", "lora_path": "v1"}
    for key in ("user", "narrow"):
        assert (await post(running, key, "load_lora_adapter", body))[0] == 403
        assert (await unloaded(running, key=key))[0] == 403
    assert (await post(running, "nobody", "load_lora_adapter", body))[0] == 401


async def test_without_a_folder_nobody_may(tmp_path: Path) -> None:
    with adapted(tmp_path, "") as gateway:
        status, answer = await loaded(gateway, path="/")
        assert status == 403 and "server.adapter_folder" in str(answer)


async def test_paths_outside_the_folder_are_refused(running: Adapted, tmp_path: Path) -> None:
    outside = seeded_adapter(tmp_path / "outside", 9)
    (tmp_path / "adapters" / "link").symlink_to(outside)
    for path in ("../outside", str(outside), "link", ".", "", "/", "v1/../../outside", "a\0b"):
        assert (await loaded(running, path=path))[0] in (400, 403), path
    assert (await loaded(running, path=str(tmp_path / "adapters" / "v1")))[0] == 200
    assert await listed(running, "user") == {"chat": None, "poet": "chat"}


async def test_what_cannot_be_loaded_is_refused_and_leaves_nothing(
    running: Adapted, tmp_path: Path
) -> None:
    changed(tmp_path / "adapters" / "v3", r=3)
    for name, path in (("a b", "v1"), ("chat", "v1"), ("CHAT", "v1"), ("x", "nothing")):
        assert (await loaded(running, name, path))[0] == 400
    assert (await unloaded(running, "chat"))[0] == 404
    assert (await loaded(running, "one", "v1"))[0] == 200
    assert (await loaded(running, "one", "v2"))[0] == 400
    assert (await loaded(running, "two", "v2"))[0] == 200
    status, answer = await loaded(running, "three", "v3")
    assert status == 400 and "room" in str(answer)
    assert await listed(running, "user") == {"chat": None, "one": "chat", "two": "chat"}
