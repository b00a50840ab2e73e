"""Secrets kept in files of their own, and a word about files that everybody can read."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from stoker.config.refusal import contradiction
from stoker.config.schema import Config
from stoker.errors import ConfigError

MAX_BYTES = 64 * 1024


def files(config: Config) -> list[tuple[str, Path]]:
    """Every file with a secret that the configuration names, with the key that names it."""
    found = [
        (f"backends[{number}].api_key_file", Path(backend.api_key_file))
        for number, backend in enumerate(config.backends)
        if backend.api_key_file
    ]
    if config.edge.ticket_key_file:
        found.append(("edge.ticket_key_file", Path(config.edge.ticket_key_file)))
    return found


def anchored(config: Config, folder: Path) -> Config:
    """The same, with the paths of those files taken from `folder`, where the configuration is."""
    replace = msgspec.structs.replace
    backends = tuple(
        replace(backend, api_key_file=_from(folder, backend.api_key_file))
        for backend in config.backends
    )
    edge = replace(config.edge, ticket_key_file=_from(folder, config.edge.ticket_key_file))
    return replace(config, backends=backends, edge=edge)


def _from(folder: Path, path: str) -> str:
    return str(folder / Path(path).expanduser()) if path else ""


def read_secret(where: str, path: Path) -> str:
    """The secret without the line's end. Raises ConfigError naming the key, never the content."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        text = content.decode("utf-8").strip()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise _refusal(where, f"names a file that cannot be read: {path}: {reason}") from None
    except UnicodeDecodeError:
        raise _refusal(where, f"names a file that is not text: {path}") from None
    if not text or len(content) > MAX_BYTES:
        size = "empty" if not text else f"over {MAX_BYTES} bytes"
        raise _refusal(where, f"names a file that is {size}: {path}")
    return text


def _refusal(where: str, message: str) -> ConfigError:
    return contradiction(where, message, "Write the secret, and nothing else, into that file.")


def with_secrets(config: Config) -> Config:
    """The same, with each api_key_file's content in `api_key`: who uses a backend reads no file.
    Raises ConfigError when a file that is named cannot be used, or a backend has a key besides."""
    backends = []
    for number, backend in enumerate(config.backends):
        where = f"backends[{number}].api_key_file"
        if backend.api_key_file and backend.api_key is not None:
            raise contradiction(where, "is set beside api_key", "Keep one of the two.")
        if backend.api_key_file:
            key = read_secret(where, Path(backend.api_key_file))
            backend = msgspec.structs.replace(backend, api_key=key)
        backends.append(backend)
    if config.edge.ticket_key_file:
        read_secret("edge.ticket_key_file", Path(config.edge.ticket_key_file))
    return msgspec.structs.replace(config, backends=tuple(backends))


def exposed(config: Config, sources: Mapping[str, str], path: Path | None) -> Iterator[str]:
    """One sentence for each file with a secret that everybody on this machine can read. `config` is
    as its sources have it, before `with_secrets`."""
    for where, secret in files(config):
        if _world_readable(secret):
            yield f"{where}: everybody on this machine can read {secret}; chmod 600 makes it yours"
    secrets = list(_inside(config, sources))
    if path is not None and secrets and _world_readable(path):
        yield (
            f"{path} holds {' and '.join(secrets)}, and everybody on this machine can read it; "
            "chmod 600 makes it yours"
        )


def _inside(config: Config, sources: Mapping[str, str]) -> Iterator[str]:
    """Secrets in the configuration file itself."""
    if config.server.api_key is not None and sources["server.api_key"].startswith("file "):
        yield "server.api_key"
    for number, backend in enumerate(config.backends):
        if backend.api_key is not None:
            yield f"backends[{number}].api_key"
    for key, url in (("url", config.store.url), ("limits_url", config.store.limits_url)):
        if urlsplit(url).password:
            yield f"store.{key} with a password"


def _world_readable(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False
