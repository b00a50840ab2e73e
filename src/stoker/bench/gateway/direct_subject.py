"""A front in direct mode behind nginx as `stoker edge nginx` sets it up, before an instant replica:
the front decides, and tokens go from the replica through nginx to the client."""

from __future__ import annotations

import contextlib
import secrets
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from stoker.bench.gateway.programs import serving
from stoker.bench.gateway.subjects import MODEL, TENANT, Subject, nginx_program
from stoker.bench.server import free_port, running
from stoker.config.load import load
from stoker.gateway.edge_nginx import Edge, nginx_configuration


@contextlib.asynccontextmanager
async def direct(model: str, backend: int, folder: Path) -> AsyncIterator[Subject]:
    """Keys, limits and usage on, over SQLite. `model` gives the tokenizer; the backend is not
    asked, for it is no replica, though its like is."""
    key_file = folder / "ticket.key"
    key_file.touch(mode=0o600)
    key_file.write_text(secrets.token_hex(32))
    front, edge = free_port(), free_port()
    async with serving("instant_replica", str(key_file), MODEL) as replica:
        settings, proxy = folder / "stoker.toml", folder / "nginx.conf"
        settings.write_text(_front(model, front, replica, folder))
        proxy.write_text(_proxy(settings, edge, folder))
        command = [sys.executable, "-m", "stoker", "serve", "--config", str(settings)]
        ready = "http://127.0.0.1:{}/health/ready"
        nginx = [nginx_program(), "-c", str(proxy), "-e", "stderr", "-g", "daemon off;"]
        async with (
            running(command, ready.format(front)) as deciding,
            running(nginx, ready.format(edge)) as passing,
        ):
            yield Subject(name="stoker, direct", port=edge, pids=(passing, deciding))


def _proxy(settings: Path, port: int, folder: Path) -> str:
    """With one worker, as nginx alone has here."""
    config = load(path=settings, environ={}).config
    text = nginx_configuration(config, Edge(listen=port, folder=str(folder)))
    return text.replace("worker_processes auto;", "worker_processes 1;")


def _front(model: str, port: int, replica: int, folder: Path) -> str:
    return f"""\
[server]
port = {port}
[log]
level = "warning"
[limits]
open_requests = 16000
[store]
url = "sqlite:///{folder}/usage.db"
[edge]
mode = "direct"
ticket_key_file = "ticket.key"
[[models]]
name = "{MODEL}"
source = "{model}"
placer = "remote"
urls = ["http://127.0.0.1:{replica}"]
price = {{ input = 1.0, output = 2.0 }}
{TENANT}"""
