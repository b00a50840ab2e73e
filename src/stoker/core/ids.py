"""Identifiers as distinct types, so that one cannot be passed for another."""

from __future__ import annotations

from typing import NewType

RequestId = NewType("RequestId", str)
"""Unique within a front; made by us, never by the client."""

BlockId = NewType("BlockId", int)
"""Index of a KV block in the executor's pool."""

TokenId = int
"""Index into the vocabulary. A plain int: it is used in hot loops and lists."""
