"""Model output on a terminal: shown as it comes, and never obeyed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """Without control characters, so that a model cannot move the cursor or set the title."""
    return _CONTROL.sub("", text)


def encodable(text: str, encoding: str | None) -> str:
    """With question marks for what the terminal's encoding lacks: an answer is shown, not lost."""
    encoding = encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)


def show(pieces: Iterable[str]) -> str:
    """Writes the pieces as they arrive and returns all of them joined."""
    shown = []
    for piece in pieces:
        shown.append(piece)
        sys.stdout.write(encodable(printable(piece), sys.stdout.encoding))
        sys.stdout.flush()
    sys.stdout.write("\n")
    return "".join(shown)
