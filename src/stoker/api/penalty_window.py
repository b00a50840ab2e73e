"""Penalties over the last so many tokens, as llama.cpp has them: ours are over the whole text."""

from __future__ import annotations

from stoker.errors import UnsupportedConstraint


def check_window(
    last_n: int | None,
    param: str,
    *,
    repeat: float | None,
    presence: float | None,
    frequency: float | None,
) -> None:
    """Raises UnsupportedConstraint for a window where something is penalised; -1 is all."""
    penalised = repeat not in (None, 1) or bool(presence) or bool(frequency)
    if penalised and last_n not in (None, -1):
        raise UnsupportedConstraint(
            f"'{param}' is not supported",
            param=param,
            hint="Penalties are over the whole text: send -1, or leave the field out.",
        )
