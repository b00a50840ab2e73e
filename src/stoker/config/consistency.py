"""Refuses parts of a configuration that are each valid alone but impossible or unsafe together.

Pure: what is on the disk is looked at in secret_file.py.
"""

from __future__ import annotations

from stoker.config.exposure import check_exposure
from stoker.config.names import check_names, check_references
from stoker.config.privacy import check_privacy
from stoker.config.refusal import contradiction
from stoker.config.schema import Config
from stoker.config.topology import check_backends, check_models, check_stores
from stoker.errors import ConfigError


def check(config: Config) -> None:
    """Raises ConfigError for the first contradiction, in the order a reader would look."""
    _check_server(config)
    _check_engine(config)
    check_names(config)
    check_references(config)
    check_models(config)
    check_backends(config)
    check_stores(config)
    check_privacy(config)
    _check_queue(config)


def _check_server(config: Config) -> None:
    server = config.server
    if not config.keys and not server.replica:  # a replica answers nobody without a ticket
        check_exposure(server)
    if server.api_key is not None and not server.api_key.strip():
        raise ConfigError("server.api_key is empty", param="server.api_key")


def _check_engine(config: Config) -> None:
    engine = config.engine
    if engine.max_step_tokens < engine.max_running:
        raise ConfigError(
            "engine.max_step_tokens must be at least engine.max_running "
            f"({engine.max_step_tokens} < {engine.max_running})",
            param="engine.max_step_tokens",
            hint="Every running sequence needs one token of a step.",
        )


def _check_queue(config: Config) -> None:
    queue = config.queue
    if queue.standing_seconds >= queue.max_seconds:
        raise contradiction(
            "queue.standing_seconds",
            f"must be below queue.max_seconds ({queue.standing_seconds:g} >= "
            f"{queue.max_seconds:g})",
            "A queue is full before it could be called standing.",
        )
    if queue.standing_interval_seconds < queue.standing_seconds:
        raise contradiction(
            "queue.standing_interval_seconds",
            f"must be at least queue.standing_seconds ({queue.standing_interval_seconds:g} < "
            f"{queue.standing_seconds:g})",
            "Waits are watched for as long as one of them lasts, or longer.",
        )
