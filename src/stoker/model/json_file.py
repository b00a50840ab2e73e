"""JSON that comes with a model, within limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stoker.errors import ModelFileError

MAX_JSON_BYTES = 64 << 20


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a bounded file. Raises ModelFileError."""
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ModelFileError(path, f"is larger than {MAX_JSON_BYTES >> 20} MiB")
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelFileError(path, error.strerror or "cannot be read") from None
    except (ValueError, RecursionError):
        raise ModelFileError(path, "is not JSON") from None
    if not isinstance(value, dict):
        raise ModelFileError(path, "is not a JSON object")
    return value
