"""A real nginx, with the configuration that `stoker edge nginx` writes, before a real server."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from msgspec.structs import replace

from stoker.cli import main
from stoker.config.fleet_schema import EdgeSection, ModelEntry
from stoker.config.schema import Config, LimitsSection, ServerSection
from stoker.errors import ConfigError
from stoker.gateway.edge_nginx import Edge, nginx_configuration
from tests.support.edge import edge
from tests.support.edge_modes import ticket_key
from tests.support.programs import program
from tests.support.server import MODEL, RunningServer, local_server

LIMITS = LimitsSection(body_bytes=200_000)


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with local_server() as found:
        yield found


@contextmanager
def nginx(server: RunningServer, folder: Path, **changes: Any) -> Iterator[str]:
    """Its URL."""
    config = Config(server=ServerSection(port=server.port), limits=LIMITS)
    with edge(config, folder, **changes) as url:
        yield url


BODY = {"model": MODEL, "prompt": "once", "max_tokens": 8, "seed": 1}


async def ask(url: str, **changes: Any) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/completions", json=BODY | changes) as response,
    ):
        return response.status, await response.json()


async def test_answers_are_the_same_with_nginx_in_front(
    server: RunningServer, tmp_path: Path
) -> None:
    with nginx(server, tmp_path) as url:
        status, through = await ask(url)
        _, direct = await ask(server.url)
        assert status == 200
        assert through["choices"] == direct["choices"]
        assert (await ask(url, prompt="x" * 150_000))[0] == 400  # the front's own refusal
        status, refused = await ask(url, prompt="x" * 250_000)
        assert (status, refused["error"]["code"]) == (413, "payload_too_large")


async def test_every_event_passes_as_it_comes(server: RunningServer, tmp_path: Path) -> None:
    """The engine is held: what has been computed must arrive though nothing follows."""
    with nginx(server, tmp_path) as url:
        server.call(server.backend.hold)
        server.call(lambda: server.backend.let_step(2))
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.post(
                    f"{url}/v1/completions", json=BODY | {"stream": True, "max_tokens": 64}
                ) as response,
            ):
                for _ in range(3):
                    async with asyncio.timeout(10):
                        line = await response.content.readuntil(b"\n\n")
                    server.call(lambda: server.backend.let_step(2))
                    assert json.loads(line.removeprefix(b"data: "))["object"] == "text_completion"
        finally:
            server.call(server.backend.release)


async def test_a_client_that_asks_too_often_is_told_so(
    server: RunningServer, tmp_path: Path
) -> None:
    with nginx(server, tmp_path, requests_a_second=1) as url:
        found = await asyncio.gather(*(ask(url, max_tokens=1) for _ in range(40)))
    statuses = [status for status, _ in found]
    assert statuses.count(200) >= 21
    assert set(statuses) == {200, 429}
    assert {body["error"]["code"] for status, body in found if status == 429} == {
        "rate_limit_exceeded"
    }


async def test_what_belongs_behind_the_edge_stays_there(
    server: RunningServer, tmp_path: Path
) -> None:
    with nginx(server, tmp_path) as url:
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{url}/replica/report") as response:
                assert response.status == 404
            async with session.get(f"{url}/v1/models") as response:
                assert "nginx/" not in response.headers.get("server", "")
                assert response.headers["x-request-id"].startswith("req_")


async def test_tls(server: RunningServer, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            program("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes",
            "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", str(key), "-out", str(certificate),
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    with nginx(server, tmp_path, certificate=str(certificate), certificate_key=str(key)) as url:
        trusting = ssl.create_default_context(cafile=str(certificate))
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{url}/v1/completions", json=BODY, ssl=trusting) as response,
        ):
            assert response.status == 200
            assert "max-age" in response.headers["strict-transport-security"]


def test_the_example_of_direct_mode_is_a_file_that_nginx_takes(tmp_path: Path) -> None:
    """It was readable by others, and holds a token now."""
    program("nginx", "nginx-light")
    example, written = tmp_path / "direct.toml", tmp_path / "nginx.conf"
    shutil.copy("examples/nginx-in-front/direct.toml", example)
    (tmp_path / "ticket.key").write_text("k" * 40 + "\n")
    (tmp_path / "ticket.key").chmod(0o600)
    written.touch(0o644)
    arguments = ["--config", str(example), "--folder", str(tmp_path), "--output", str(written)]
    assert main.run(["edge", "nginx", *arguments]) == 0
    assert written.stat().st_mode & 0o777 == 0o600
    assert written.read_text().count("server 10.0.0.") == 2
    checked = subprocess.run(
        [program("nginx", "nginx-light"), "-t", "-c", str(written)], capture_output=True, text=True
    )
    assert "test is successful" in checked.stderr, checked.stderr


@pytest.mark.parametrize(
    "urls", [("https://10.0.0.5:8001",), ("http://10.0.0.5/below",), ("http://10.0.0.5;x:8001",)]
)
def test_direct_mode_needs_a_replica_that_nginx_can_go_to(
    tmp_path: Path, urls: tuple[str, ...]
) -> None:
    config = Config(
        edge=EdgeSection(mode="direct", ticket_key_file=str(ticket_key(tmp_path))),
        models=(ModelEntry(name="m", placer="remote", urls=urls),),
    )
    with pytest.raises(ConfigError, match=r"edge\.mode"):
        nginx_configuration(config, Edge())


@pytest.mark.parametrize(
    "changes",
    [
        {"names": ("a.example; return 200",)},
        {"names": ("a b",)},
        {"certificate": "/etc/x;y", "certificate_key": "/k"},
        {"certificate": "/etc/x"},
        {"folder": "/run/$host"},
        {"upstreams": ("10.0.0.1:80;",)},
        {"upstreams": ("10.0.0.1",)},
    ],
)
def test_no_value_can_change_what_the_file_means(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        nginx_configuration(Config(), replace(Edge(), **changes))
