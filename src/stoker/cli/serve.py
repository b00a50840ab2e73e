"""`stoker serve`: one model behind HTTP. The engine loads while the text layer does."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import time
from dataclasses import replace
from functools import partial

import click

from stoker.cli.options import engine_flags, flag, loaded_config, quantize_flag
from stoker.config import served
from stoker.config.load import LoadedConfig
from stoker.config.schema import ServerSection
from stoker.config.selection import select
from stoker.errors import SetupError

log = logging.getLogger("stoker.config")


@click.command(name="serve")
@click.argument("models", nargs=-1)
@flag("--host", "server.host", "Address to listen on; beyond loopback an API key is needed.")
@flag("--port", "server.port", "0: any free port.")
@flag("--allowed-host", "server.allowed_hosts", "A Host header to accept; repeat.", multiple=True)
@flag("--drain-seconds", "server.drain_seconds", "Time running requests get at shutdown.")
@flag("--served-name", "model.served_name", "What clients call the model.")
@flag("--lora", "model.adapters", "NAME=FOLDER of a LoRA adapter; repeat.", multiple=True)
@flag("--replicas", "model.replicas", "Processes that serve the model.")
@flag("--replica", "server.replica", "Serve fronts with tickets, not clients.", is_flag=True)
@flag("--ticket-key-file", "edge.ticket_key_file", "The secret that fronts and replicas share.")
@flag("--max-waiting", "engine.max_waiting", "Requests beyond this get 429.")
@flag("--log-level", "log.level", "debug, info, warning or error.")
@flag("--log-format", "log.format", "text or json.")
@quantize_flag
@engine_flags
@click.pass_context
def command(ctx: click.Context, models: tuple[str, ...]) -> int:
    """Serve MODELS: catalog names, GGUF files, folders, or hub repositories (owner/name).

    Without any it is what the configuration says, else smollm2:135m. SIGTERM or Ctrl-C lets running
    requests finish; a second one ends at once.
    """
    import uvloop

    from stoker.cli.served_model import ServedModel
    from stoker.observe.logs import set_up_logging

    started = time.monotonic()
    load = partial(_configured, ctx, models)
    loaded = load()
    config = loaded.config
    set_up_logging(config.log)
    for advice in loaded.warnings:
        log.warning("%s", advice)
    check_address(config.server)
    found = [ServedModel(entry, config) for entry in served.models(config)]

    from stoker.cli.serving import Serving

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(Serving(loaded, load, found, started).run())


def _configured(ctx: click.Context, models: tuple[str, ...]) -> LoadedConfig:
    """All sources, with the models of the command line in the place of others."""
    loaded = loaded_config(ctx, models[0] if len(models) == 1 else None)
    return replace(loaded, config=select(loaded.config, models))


def check_address(section: ServerSection) -> None:
    """Raises SetupError when the address cannot be listened on, before anything is loaded."""
    try:
        found = socket.getaddrinfo(
            section.host, section.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, kind, protocol, _, address in found:
            with socket.socket(family, kind, protocol) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                trial.bind(address)
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        raise SetupError(
            f"cannot listen on {section.host}:{section.port}: {error.strerror or error}",
            hint="Another server is running there; choose another with --port." if in_use else "",
        ) from None
