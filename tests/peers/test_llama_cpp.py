"""The gateway before llama.cpp's own server, with real weights: `make peers-test` builds that."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from stoker.bench.server import free_port
from tests.support.eventually import eventually
from tests.support.gateway import Gateway, ask, gateway
from tests.support.models import model_path
from tests.support.programs import running

PROGRAM = Path(__file__).parents[2] / "build" / "peers" / "llama.cpp" / "bin" / "llama-server"
KEY = "sk-of-the-server-behind"
CONTEXT = 512
OWN = '[[models]]\nname = "tiny"\n'
GREEDY = {"temperature": 0, "seed": 1}
LONG = {
    "model": "chat", "stream": True, "max_tokens": 400, "ignore_eos": True,
    "messages": [{"role": "user", "content": "Count."}],
}  # fmt: skip
"""Takes seconds."""

pytestmark = [pytest.mark.peers, pytest.mark.model]


class LlamaServer:
    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"

    async def get(self, path: str) -> Any:
        headers = {"authorization": f"Bearer {KEY}"}
        async with ClientSession() as session, session.get(self.url + path, headers=headers) as got:
            return await got.json()

    async def num_running(self) -> int:
        return sum(slot["is_processing"] for slot in await self.get("/slots"))


@contextmanager
def llama_server(folder: Path) -> Iterator[LlamaServer]:
    assert PROGRAM.is_file(), "make peers-test builds llama.cpp's server"
    port = free_port()
    command = [
        str(PROGRAM), "--model", str(model_path("smollm2:135m")), "--host", "127.0.0.1",
        "--port", str(port), "--api-key", KEY, "--ctx-size", str(2 * CONTEXT), "--parallel", "2",
        "--threads", "2", "--slots", "--no-webui",
    ]  # fmt: skip
    with running(command, folder, "listening on http") as process:
        yield LlamaServer(process, port)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServer]:
    with llama_server(tmp_path_factory.mktemp("llama")) as found:
        yield found


def config(url: str, key: str = KEY, targets: str = "{ backend = 'there', model = 'm' }") -> str:
    return (
        f'[[backends]]\nname = "there"\ndialect = "llamacpp"\nurl = "{url}/v1"\n'
        f'api_key = "{key}"\nhealth_path = "/health"\n'
        f'[[routes]]\nname = "chat"\ntargets = [{targets}]\n'
    )


@pytest.fixture
def front(server: LlamaServer, tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path, config(server.url)) as found:
        yield found


async def test_whole_and_streamed_it_is_the_same_text_and_the_same_bill(front: Gateway) -> None:
    whole = await ask(front, max_tokens=24, **GREEDY)
    streamed = await ask(front, max_tokens=24, stream=True, **GREEDY)
    assert whole.status == streamed.status == 200
    text = whole.json["choices"][0]["message"]["content"]
    assert text
    assert streamed.text == text
    assert streamed.events[-1] is None
    assert not any(event and event.get("usage") for event in streamed.events)
    said = whole.json["usage"]
    for _, usage, outcome in front.ledger.settled:
        assert (usage.input_tokens, usage.output_tokens) == (
            said["prompt_tokens"], said["completion_tokens"],
        )  # fmt: skip
        assert outcome == "stop"
    assert len(front.ledger.settled) == 2


async def test_usage_in_a_stream_is_shown_to_who_asks(front: Gateway) -> None:
    options = {"include_usage": True}
    answer = await ask(front, max_tokens=5, stream=True, stream_options=options, **GREEDY)
    (said,) = (event["usage"] for event in answer.events if event and event.get("usage"))
    ((_, usage, _),) = front.ledger.settled
    assert (said["prompt_tokens"], said["completion_tokens"]) == (usage.input_tokens, 5)


async def test_texts_are_continued(front: Gateway) -> None:
    answer = await ask(front, path="completions", prompt="Once upon a", max_tokens=4, **GREEDY)
    assert answer.status == 200
    assert answer.json["choices"][0]["text"]
    assert answer.json["usage"]["completion_tokens"] == 4


async def test_a_prompt_that_is_too_long_is_the_clients_fault(front: Gateway) -> None:
    messages = [{"role": "user", "content": "word " * 2 * CONTEXT}]
    for stream in (False, True):
        answer = await ask(front, messages=messages, stream=stream)
        assert (answer.status, answer.code) == (400, "context_length_exceeded")


async def test_a_wrong_value_is_refused_in_clean_words(front: Gateway) -> None:
    answer = await ask(front, messages=[{"role": "user", "content": 7}])
    assert answer.status == 400
    answer = await ask(front, response_format={"type": "json_schema", "json_schema": {
        "schema": {"type": "no such type"}}})  # fmt: skip
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert KEY.encode() not in answer.body


async def test_its_refusing_our_key_is_not_the_clients_fault(
    server: LlamaServer, tmp_path: Path
) -> None:
    with gateway(tmp_path, config(server.url, key="sk-a-wrong-key")) as found:
        answer = await ask(found)
    assert (answer.status, answer.code) == (502, "backend_failed")


async def test_a_client_that_leaves_frees_its_slot(front: Gateway, server: LlamaServer) -> None:
    async with ClientSession() as session:
        response = await session.post(f"{front.url}/v1/chat/completions", json=LONG)
        await response.content.readuntil(b"\n\n")
        assert await server.num_running() == 1
        response.close()
    async with asyncio.timeout(10):
        while await server.num_running():
            await asyncio.sleep(0.01)
    await eventually(lambda: front.ledger.settled)
    ((_, usage, outcome),) = front.ledger.settled
    assert outcome == "cancelled"
    assert 0 < usage.output_tokens < 400


async def test_killed_in_the_middle_the_stream_ends_with_an_error_and_then_ours_answers(
    tmp_path: Path,
) -> None:
    targets = "{ backend = 'there', model = 'm' }, { model = 'tiny' }"
    with (
        llama_server(tmp_path) as server,
        gateway(tmp_path, OWN + config(server.url, targets=targets)) as found,
    ):
        async with (
            ClientSession() as session,
            session.post(f"{found.url}/v1/chat/completions", json=LONG) as response,
        ):
            await response.content.readuntil(b"\n\n")
            os.kill(server.process.pid, signal.SIGKILL)
            rest = await response.content.read()
        assert b"[DONE]" not in rest
        last = rest.rstrip().rpartition(b"data: ")[2]
        assert json.loads(last)["error"]["code"] == "backend_failed"
        after = await ask(found, max_tokens=3)
        assert (after.status, after.json["model"]) == (200, "tiny")
