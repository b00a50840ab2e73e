"""Typed access to a model's own metadata, so that a wrong value is one clear line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stoker.errors import ModelFileError

MAX_TEXT = 256


class Fields:
    """A mapping with a name for messages and an optional key prefix ("llama.").

    Every getter raises ModelFileError when the key is absent and has no default, or when its value
    has the wrong type or is out of range.
    """

    def __init__(self, source: object, values: Mapping[str, Any], prefix: str = "") -> None:
        self.source = source
        self._values = values
        self._prefix = prefix

    def fail(self, key: str, reason: str) -> ModelFileError:
        return ModelFileError(self.source, f"{self._prefix}{key} {reason}")

    @property
    def size(self) -> int:
        return len(self._values)

    def has(self, key: str) -> bool:
        return self._values.get(self._prefix + key) is not None

    def _get(self, key: str, default: Any) -> Any:
        value = self._values.get(self._prefix + key)
        if value is None:
            if default is None:
                raise self.fail(key, "is missing")
            return default
        return value

    def integer(self, key: str, default: int | None = None, most: int = 1 << 24) -> int:
        """A positive integer, at most `most`."""
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise self.fail(key, f"is not an integer between 1 and {most}")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A finite, positive number."""
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e30:
            raise self.fail(key, "is not a positive number")
        return float(value)

    def text(self, key: str, default: str | None = None) -> str:
        """A short printable string, safe to show in one line."""
        value = self._get(key, default)
        if not isinstance(value, str) or len(value) > MAX_TEXT or not value.isprintable():
            raise self.fail(key, "is not a short printable string")
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self._values.get(self._prefix + key)
        if value is not None and not isinstance(value, bool):
            raise self.fail(key, "is neither true nor false")
        return default if value is None else value

    def numbers(self, key: str) -> list[float]:
        """A list of finite positive numbers."""
        value = self._get(key, None)
        if not isinstance(value, list):
            raise self.fail(key, "is not a list")
        if not all(isinstance(item, int | float) and 0 < item < 1e30 for item in value):
            raise self.fail(key, "holds something other than positive numbers")
        return [float(item) for item in value]

    def indices(self, key: str) -> list[int]:
        """A list of integers from zero on; empty when absent."""
        value = self._get(key, [])
        if not isinstance(value, list) or not all(type(i) is int and i >= 0 for i in value):
            raise self.fail(key, "is not a list of indices")
        return value

    def texts(self, key: str, default: list[str]) -> list[str]:
        value = self._get(key, default)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.fail(key, "is not a list of strings")
        return value

    def section(self, key: str) -> Fields | None:
        """A nested mapping, or None when absent."""
        value = self._values.get(self._prefix + key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.fail(key, "is not a mapping")
        return Fields(self.source, value)
