"""Panics of the Rust library: exceptions that no `except Exception` sees, of a class without a
module to import it from."""

from __future__ import annotations


def is_panic(error: BaseException) -> bool:
    return type(error).__name__ == "PanicException"
