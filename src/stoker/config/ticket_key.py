"""The secret that fronts and replicas share. A second line is the one from before a change."""

from __future__ import annotations

from pathlib import Path

from stoker.config.refusal import contradiction
from stoker.config.secret_file import read_secret

KEY = "edge.ticket_key_file"
LEAST_BYTES = 32
MOST_KEYS = 2


def read_ticket_keys(path: Path) -> tuple[bytes, ...]:
    """The newest first: it signs, and all are accepted. Raises ConfigError."""
    keys = tuple(line.strip().encode() for line in read_secret(KEY, path).splitlines())
    if len(keys) > MOST_KEYS or any(len(key) < LEAST_BYTES for key in keys):
        raise contradiction(
            KEY,
            f"names a file that is not one or two lines of at least {LEAST_BYTES} characters",
            "Make one with: openssl rand -hex 32",
        )
    return keys
