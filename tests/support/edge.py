"""A real nginx with the configuration that `stoker edge nginx` writes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stoker.bench.server import free_port
from stoker.config.schema import Config
from stoker.gateway.edge_nginx import Edge, nginx_configuration
from tests.support.programs import program, running


@contextmanager
def edge(config: Config, folder: Path, **changes: Any) -> Iterator[str]:
    """Its URL. It is up when this is entered."""
    port = free_port()
    chosen = Edge(listen=port, folder=str(folder), **changes)
    path = folder / "nginx.conf"
    path.write_text(nginx_configuration(config, chosen))
    command = [program("nginx", "nginx-light"), "-c", str(path)]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True)
    assert "test is successful" in checked.stderr, checked.stderr
    assert "[warn]" not in checked.stderr.replace('the "user" directive', "")
    log = folder / "ready"
    log.mkdir()
    options = ["-g", "daemon off; error_log stderr notice;"]
    with running([*command, *options], log, "start worker process"):
        yield f"{'https' if chosen.certificate else 'http'}://127.0.0.1:{port}"
