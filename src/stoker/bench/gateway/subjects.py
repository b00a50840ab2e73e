"""What is measured: nothing at all, a front of ours, and others' proxies, each before the same
backend and set up to do as much of the same as it can."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import msgspec

from stoker.bench.server import free_port, running
from stoker.errors import SetupError
from stoker.gateway.identity import digest_of

KEY = "sk-stoker-bench-0123456789abcdef"
MODEL = "bench"
LITELLM = Path(".venv-litellm/bin/litellm").absolute()
"""Made by `make bench-gateway-setup`; never a dependency of ours."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    port: int
    pids: tuple[int, ...]
    """What stands between, first the process that tokens pass through."""
    share: float = 1.0
    """Of the load the others get: what would drown it measures nothing."""


Start = Callable[[int, Path], AbstractAsyncContextManager[Subject]]
"""From the backend's port and an empty folder."""


@contextlib.asynccontextmanager
async def nothing(backend: int, folder: Path) -> AsyncIterator[Subject]:
    yield Subject(name="backend alone", port=backend, pids=())


@contextlib.asynccontextmanager
async def stoker(backend: int, folder: Path) -> AsyncIterator[Subject]:
    """Keys, limits and usage on, over SQLite."""
    port = free_port()
    path = folder / "stoker.toml"
    path.write_text(_front(backend, folder, port))
    command = [sys.executable, "-m", "stoker", "serve", "--config", str(path)]
    async with running(command, f"http://127.0.0.1:{port}/health/ready") as pid:
        yield Subject(name="stoker", port=port, pids=(pid,))


@contextlib.asynccontextmanager
async def nginx(backend: int, folder: Path) -> AsyncIterator[Subject]:
    """One worker, as a plain reverse proxy: no keys, no limits, no usage."""
    port = free_port()
    path = folder / "nginx.conf"
    path.write_text(_NGINX.format(backend=backend, folder=folder, port=port))
    command = [nginx_program(), "-c", str(path), "-e", "stderr"]
    async with running(command, f"http://127.0.0.1:{port}/up") as pid:
        yield Subject(name="nginx", port=port, pids=(pid,))


def nginx_program() -> str:
    """Raises SetupError when there is none."""
    program = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if program is None:
        raise SetupError("nginx is not installed", hint="apt-get install nginx-light")
    return program


@contextlib.asynccontextmanager
async def litellm(backend: int, folder: Path) -> AsyncIterator[Subject]:
    """One worker with a master key; it keeps no limits or usage without a database."""
    if shutil.which(LITELLM) is None:
        raise SetupError("litellm is not set up", hint="make bench-gateway-setup")
    port = free_port()
    path = folder / "litellm.yaml"
    path.write_text(_LITELLM.format(backend=backend, key=KEY, model=MODEL))
    command = [str(LITELLM), "--config", str(path), "--host", "127.0.0.1",
               "--port", str(port), "--num_workers", "1"]  # fmt: skip
    ready = f"http://127.0.0.1:{port}/health/liveliness"
    async with running(command, ready, _LOOPBACK_ONLY) as pid:
        yield Subject(name="litellm", port=port, pids=(pid,), share=0.05)


PEERS: Mapping[str, Start] = {"nginx": nginx, "litellm": litellm}

_LOOPBACK_ONLY = {
    "HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1", "LITELLM_LOG": "ERROR",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True", "PATH": "/usr/bin:/bin", "HOME": "/nonexistent",
}  # fmt: skip


TENANT = f"""\
[[tenants]]
name = "bench"
requests_per_minute = 1000000000
tokens_per_minute = 1000000000000
concurrency = 16000
budget = 1000000000.0
[[keys]]
id = "bench"
tenant = "bench"
digest = "sha256:{digest_of(KEY.encode()).hex()}"
"""
"""With limits that are counted and never met, and its key."""


def _front(backend: int, folder: Path, port: int) -> str:
    return f"""\
[server]
port = {port}
[log]
level = "warning"
[limits]
open_requests = 16000
[store]
url = "sqlite:///{folder}/usage.db"
[[backends]]
name = "instant"
url = "http://127.0.0.1:{backend}/v1"
max_connections = 16000
prices = {{ m = {{ input = 1.0, output = 2.0 }} }}
[[routes]]
name = "{MODEL}"
targets = [{{ backend = "instant", model = "m" }}]
{TENANT}"""


_NGINX = """\
daemon off;
worker_processes 1;
worker_rlimit_nofile 19000;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 9000; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 2m;
    client_body_buffer_size 1m;
    keepalive_requests 100000000;
    upstream backend {{
        server 127.0.0.1:{backend};
        keepalive 512;
        keepalive_requests 100000000;
    }}
    server {{
        listen 127.0.0.1:{port};
        location = /up {{ return 200; }}
        location / {{
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_read_timeout 600s;
        }}
    }}
}}
"""

_LITELLM = """\
model_list:
  - model_name: {model}
    litellm_params:
      model: openai/m
      api_base: http://127.0.0.1:{backend}/v1
      api_key: none
general_settings:
  master_key: {key}
litellm_settings:
  telemetry: false
"""
