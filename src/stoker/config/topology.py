"""Models, backends and stores that could not work as they are written."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from stoker.config.exposure import is_loopback
from stoker.config.fleet_schema import BackendEntry, ModelEntry
from stoker.config.redaction import without_password
from stoker.config.refusal import contradiction
from stoker.config.schema import Config, ServerSection
from stoker.config.setting import nearest
from stoker.errors import ConfigError

STORES = ("sqlite", "postgresql")
LIMIT_STORES = ("redis", "rediss", "valkey", "valkeys")
STARTED_ELSEWHERE = ("remote", "kubernetes")
"""Placers whose replicas are found by address."""
_RAY_ADDRESS = re.compile(r"([A-Za-z0-9._-]+|\[[0-9a-fA-F:]+\]):[0-9]{1,5}")
QUESTIONS = ("/chat/completions", "/completions", "/messages", "/generate", "/embeddings")
"""Ends of paths that the dialect adds by itself."""


def check_models(config: Config) -> None:
    """Raises ConfigError."""
    for number, model in enumerate(config.models):
        where = f"models[{number}]"
        _check_replicas(where, model)
        _check_placer(where, model)
        if model.placer in STARTED_ELSEWHERE and not config.edge.ticket_key_file:
            raise _needs_ticket_key(f"{where}.placer", model.placer)
    if config.server.replica and not config.edge.ticket_key_file:
        raise _needs_ticket_key("server.replica", "true")
    if config.edge.mode == "direct" and not config.edge.ticket_key_file:
        raise _needs_ticket_key("edge.mode", "direct")


def _needs_ticket_key(where: str, value: str) -> ConfigError:
    return contradiction(
        where,
        f"is {value}, which needs edge.ticket_key_file",
        "Replicas take only requests that the front has signed with the key in that file.",
    )


def _check_replicas(where: str, model: ModelEntry) -> None:
    scale = model.autoscale
    if scale is None:
        return
    if scale.minimum > scale.maximum:
        raise contradiction(
            f"{where}.autoscale.minimum",
            f"is above maximum ({scale.minimum} > {scale.maximum})",
            f"Raise {where}.autoscale.maximum, or lower the minimum.",
        )
    if model.replicas > scale.maximum:
        raise contradiction(
            f"{where}.replicas",
            f"is above autoscale.maximum ({model.replicas} > {scale.maximum})",
            "It is the number at start; leave it out to begin with one.",
        )


def _check_placer(where: str, model: ModelEntry) -> None:
    if model.placer in STARTED_ELSEWHERE and not model.urls:
        raise contradiction(
            f"{where}.urls",
            f"is empty though placer is {model.placer}",
            "Name where the replicas are, e.g. http://10.0.0.5:8000.",
        )
    if model.urls and model.placer not in STARTED_ELSEWHERE:
        raise contradiction(
            f"{where}.urls",
            f"is set though placer is {model.placer}",
            "Set placer to remote, or leave urls out.",
        )
    if model.ray is not None:
        _check_ray(where, model)
    for number, url in enumerate(model.urls):
        _check_http(f"{where}.urls[{number}]", url)
        if url in model.urls[:number]:
            raise contradiction(
                f"{where}.urls[{number}]",
                f"is urls[{model.urls.index(url)}] again",
                "Each replica stands once.",
            )


def _check_ray(where: str, model: ModelEntry) -> None:
    if model.placer != "ray":
        raise contradiction(
            f"{where}.ray",
            f"is set though placer is {model.placer}",
            "Set placer to ray, or leave the table out.",
        )
    address = model.ray.address if model.ray is not None else ""
    if address != "auto" and not _RAY_ADDRESS.fullmatch(address):
        raise contradiction(
            f"{where}.ray.address",
            f"is not auto or HOST:PORT: '{without_password(address)}'",
            "The server runs on a node of the cluster; 'ray start --head' shows its HOST:PORT.",
        )


def check_backends(config: Config) -> None:
    """Raises ConfigError."""
    for number, backend in enumerate(config.backends):
        where = f"backends[{number}]"
        parts = _check_http(f"{where}.url", backend.url)
        _check_path(f"{where}.url", backend, parts)
        if _is_ourselves(parts, config.server):
            raise contradiction(
                f"{where}.url",
                f"is this server itself ({config.server.host}:{config.server.port})",
                "A request would go round in circles; name another server.",
            )
        if backend.api_key is not None and not backend.api_key.strip():
            raise contradiction(f"{where}.api_key", "is empty", "Leave it out if none is needed.")
        if backend.health_path and not backend.health_path.startswith("/"):
            raise contradiction(
                f"{where}.health_path", "does not begin with /", f"Write /{backend.health_path}."
            )


def _check_http(where: str, url: str) -> SplitResult:
    """The address in parts. Raises ConfigError unless it is one of an HTTP server."""
    shown = without_password(url)
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # brackets that do not close, a port over 65535
        valid = False
    if not valid:
        with_scheme = f"http://{shown}" if "//" not in url else "http://HOST:PORT"
        raise contradiction(
            where, f"is not the address of a server: '{shown}'", f"Write {with_scheme} or https."
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise contradiction(
            where,
            f"has more than host, port and path: '{shown}'",
            "Keys belong in api_key_file; leave out user, query and fragment.",
        )
    return parts


def _check_path(where: str, backend: BackendEntry, parts: SplitResult) -> None:
    path = parts.path.rstrip("/")
    end = next((end for end in QUESTIONS if path.endswith(end)), None)
    if end is not None:
        raise contradiction(
            where,
            f"ends with {end}, which is added to it",
            f"Write {backend.url.rstrip('/').removesuffix(end)}.",
        )


def _is_ourselves(parts: SplitResult, server: ServerSection) -> bool:
    port = parts.port or (443 if parts.scheme == "https" else 80)
    ours = {server.host}
    if is_loopback(server.host) or server.host in ("0.0.0.0", "::"):  # noqa: S104 - compared only
        ours |= {"localhost", "127.0.0.1", "::1"}
    return port == server.port and parts.hostname in ours


def check_stores(config: Config) -> None:
    """Raises ConfigError for a store we do not speak to."""
    _check_scheme("store.url", config.store.url, STORES)
    _check_scheme("store.limits_url", config.store.limits_url, LIMIT_STORES)


def _check_scheme(where: str, url: str, allowed: tuple[str, ...]) -> None:
    scheme, separator, _ = url.partition("://")
    if not url or (separator and scheme in allowed):
        return
    near = nearest(scheme, allowed) if separator else None
    found = f"begins with {scheme[:20]}://" if separator else "is no address with ://"
    raise contradiction(
        where, found, f"Did you mean {near}://?" if near else f"Use {'://, '.join(allowed)}://."
    )
