"""What a client must not choose: who answers in the end, and addresses that a server would fetch.

Servers that fetch what clients name have been made to read clouds' credentials and each other's
caches (CVE-2025-6242, CVE-2026-24779, CVE-2024-6587; docs/how-to/backends.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from stoker.errors import InvalidRequest

REFUSED_FIELDS = frozenset(
    {
        # Proxies take an address, a key or a list of other models from these.
        "api_base", "api_key", "api_version", "base_url", "custom_llm_provider", "extra_headers",
        "fallbacks", "model_list", "models", "user_config",
        # Engines take the host of a peer from these, and fetch keys and values from it.
        "bootstrap_host", "bootstrap_port", "disaggregated_params", "kv_transfer_params",
    }
)  # fmt: skip

TEXTS = frozenset({"text", "refusal", "thinking", "reasoning"})
"""Parts' fields that are read and never followed."""

_SKIPPED = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028\u2029\u2060\ufeff]+")
"""Some readers of addresses leave these out, wherever they stand."""
_ADDRESS = re.compile(r"\s*(?:[a-z][a-z0-9+.-]+:(?=\S)|[/\\]{2})", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/=]*\Z")
"""That of an MP3 file begins with two slashes."""


def check_fields(fields: Iterable[str]) -> None:
    """Raises InvalidRequest."""
    for name in REFUSED_FIELDS.intersection(fields):
        raise InvalidRequest(f"'{name}' cannot be chosen by a client", param=name)


def check_part(part: Any, where: str) -> None:
    """Raises InvalidRequest for a part of a message that holds an address: only data: is taken.
    Deep nesting is refused before (limits.json_depth)."""
    _check("", part, where)


def _check(name: str, value: Any, where: str) -> None:
    if isinstance(value, dict):
        for inner, below in value.items():
            _check(inner, below, where)
    elif isinstance(value, list):
        for below in value:
            _check(name, below, where)
    elif isinstance(value, str) and name not in TEXTS and not _harmless(name, value):
        raise InvalidRequest(
            f"'{where}' holds an address; only data: is taken",
            param=where,
            hint="Send the picture itself, as data:image/png;base64,...",
        )


def _harmless(name: str, value: str) -> bool:
    if value[:5].lower() == "data:":
        return True
    if "url" in name.lower():
        return False
    seen = _SKIPPED.sub("", value)
    return _ADDRESS.match(seen) is None or _BASE64.match(seen) is not None
