"""Stoker: serving language models, from a laptop with no GPU to a fleet of them."""

from __future__ import annotations

__version__ = "0.1.0"
