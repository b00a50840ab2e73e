"""A row of the tables of bad requests to surfaces: a change from a good request, and what the
answer must name."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tests.security.bad_requests import GONE
from tests.support.surfaces import BY_NAME, SurfaceCase


@dataclass(frozen=True)
class SurfaceRequest:
    name: str
    surface: SurfaceCase
    body: bytes
    named: str
    """In the message."""
    status: int = 400
    headers: dict[str, str] = field(default_factory=dict)


def row(
    surface: str, name: str, named: str | None = None, *, status: int = 400, **changes: Any
) -> SurfaceRequest:
    """`named`: by default, the one field that is changed."""
    case = BY_NAME[surface]
    body = {**case.ask(5, 1, False), **changes}
    sent = {key: value for key, value in body.items() if value is not GONE}
    shown = f"'{next(iter(changes))}'" if named is None else named
    return SurfaceRequest(f"{surface} {name}", case, json.dumps(sent).encode(), shown, status)
