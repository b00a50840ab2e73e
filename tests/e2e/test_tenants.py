"""A tenant with a budget, from a configuration file to the refusal and the bill."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from stoker.gateway.identity import digest_of, new_key
from tests.support.eventually import eventually

EXAMPLE = Path(__file__).parents[2] / "examples" / "tenant-with-budget"
KEYS = {name: new_key(name) for name in ("rich", "poor", "slow")}
CONFIG = """
[server]
port = 0
[log]
level = "warning"
[store]
url = "sqlite:///{folder}/usage.db"
[[models]]
name = "small"
source = "smollm2:135m"
price = {{ input = 1.0, output = 2.0 }}
[[tenants]]
name = "rich"
[[tenants]]
name = "poor"
budget = 0.0001
budget_window = "ever"
[[tenants]]
name = "slow"
requests_per_minute = 2
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tenants")
    text = CONFIG.format(folder=folder)
    for name, key in KEYS.items():
        digest = digest_of(key.encode()).hex()
        text += f'[[keys]]\nid = "k-{name}"\ntenant = "{name}"\ndigest = "sha256:{digest}"\n'
    path = folder / "stoker.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def server(config: Path) -> Iterator[str]:
    with serving(config) as url:
        yield url


@contextmanager
def serving(config: Path) -> Iterator[str]:
    """In the folder of the configuration's file."""
    command = [sys.executable, "-m", "stoker", "serve", "--port", "0", "--config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=config.parent) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield line.split(" at ")[1].split(" ")[0]
        process.terminate()
        assert process.wait(30) == 0


async def ask(server: str, name: str, tokens: int = 20) -> tuple[int, Any, str | None]:
    body = {"model": "small", "prompt": "The sea", "max_tokens": tokens, "ignore_eos": True}
    headers = {"authorization": f"Bearer {KEYS[name]}"}
    async with (
        ClientSession() as session,
        session.post(f"{server}/v1/completions", json=body, headers=headers) as response,
    ):
        return response.status, await response.json(), response.headers.get("retry-after")


@pytest.mark.model
async def test_a_budget_shortens_the_last_answer_and_then_refuses(
    server: str, config: Path
) -> None:
    """100,000 billionths: 2 tokens in at 1,000 each, 20 out at 2,000 each, is 42,000 a request."""
    lengths = []
    for _ in range(3):
        status, answer, _ = await ask(server, "poor")
        assert status == 200
        lengths.append(answer["usage"]["completion_tokens"])
    status, answer, _ = await ask(server, "poor")
    assert lengths == [20, 20, 7]
    assert (status, answer["error"]["code"]) == (402, "budget_exhausted")
    assert (await ask(server, "rich"))[0] == 200


@pytest.mark.model
async def test_a_rate_limit_says_when_to_come_back(server: str) -> None:
    assert [(await ask(server, "slow", 1))[0] for _ in range(2)] == [200, 200]
    status, answer, after = await ask(server, "slow", 1)
    assert (status, answer["error"]["code"]) == (429, "rate_limit_exceeded")
    assert after is not None
    assert 50 <= int(after) <= 61


@pytest.mark.model
async def test_what_was_used_is_on_the_bill(server: str, config: Path) -> None:
    def poor() -> int:
        with closing(sqlite3.connect(config.parent / "usage.db")) as connection:
            query = "select sum(cost) from hourly where tenant = 'poor'"
            return int(connection.execute(query).fetchone()[0] or 0)

    await eventually(lambda: poor() == 100_000)
    shown = subprocess.run(
        [sys.executable, "-m", "stoker", "usage", "--config", str(config), "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = {line["tenant"]: line for line in map(json.loads, shown.stdout.splitlines())}
    assert (found["poor"]["requests"], found["poor"]["cost"]) == (3, 0.0001)
    assert "sea" not in shown.stdout


@pytest.mark.model
async def test_the_example_does_what_its_page_says(tmp_path: Path) -> None:
    """Its requests, by curl's arguments in the page, and its configuration."""
    shutil.copy(EXAMPLE / "stoker.toml", tmp_path)
    page = (EXAMPLE / "README.md").read_text()
    bodies = re.findall(r"-d '(.*)'", page)
    headers = [header.split(": ") for header in re.findall(r"-H '((?:auth|x-api).*)'", page)]
    answers = []
    with serving(tmp_path / "stoker.toml") as url:
        async with ClientSession() as session:
            for (name, key), body, times in zip(headers, bodies, (4, 3), strict=True):
                for _ in range(times):
                    sent = {name: key, "content-type": "application/json"}
                    async with session.post(
                        f"{url}/v1/completions", data=body, headers=sent
                    ) as response:
                        answers.append((response.status, await response.json()))
    assert [status for status, _ in answers] == [200, 200, 200, 402, 200, 200, 429]
    lengths = [answer["usage"]["completion_tokens"] for _, answer in answers[:3]]
    assert lengths[:2] == [40, 40]
    assert 0 < lengths[2] < 40
