"""Keeps what users write apart from what the chat template writes.

A template joins both into one string, in which `<|im_end|>` means the same whoever wrote it. So
before rendering, a guard is put into every piece of user text that spells a control token, or that
could be completed to one by what stands beside it. The guard is a number drawn at random after the
request was read: no request can contain it. It survives what templates do to text (trimming, JSON,
changes of case), and is removed when the rendered text is turned into tokens.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

GUARD_DIGITS = 24
ROLES = frozenset(
    ["system", "developer", "user", "assistant", "tool", "function", "ipython", "environment"]
)
"""Templates build control tokens from these on purpose, so a message's role is never free text."""


class UserText:
    """Knows the spellings of one model's control tokens."""

    def __init__(self, control_tokens: Iterable[str]) -> None:
        tokens = [token for token in control_tokens if token]
        self.pattern = re.compile(alternatives(tokens))
        self._beginnings = {token[:end] for token in tokens for end in range(1, len(token))}
        self._endings = {token[start:] for token in tokens for start in range(1, len(token))}
        self._longest = max(map(len, tokens), default=0)
        self._spellings = "\n".join(tokens)

    def guarded(self, value: Any, guard: str) -> Any:
        """A copy of messages, tools or variables in which no text can become a control token."""
        if isinstance(value, str):
            return self._guarded_text(value, guard)
        if isinstance(value, Mapping):
            return {
                self.guarded(key, guard): item
                if key == "role" and item in ROLES
                else self.guarded(item, guard)
                for key, item in value.items()
            }
        if isinstance(value, Sequence):
            return [self.guarded(item, guard) for item in value]
        return value

    def _guarded_text(self, text: str, guard: str) -> str:
        guarded = self.pattern.sub(lambda found: found[0][0] + guard + found[0][1:], text)
        if self._ends_with_a_beginning(text):
            guarded = _at_the_end(guarded, guard)
        if self._begins_with_an_ending(text):
            kept = guarded.lstrip()
            guarded = guarded[: len(guarded) - len(kept)] + guard + kept
        if guarded == text and self._is_a_middle(text):
            return Middle(text, _at_the_end(text, guard))
        return guarded

    def _ends_with_a_beginning(self, text: str) -> bool:
        """`<|im_`, to which the next text might add `end|>`."""
        tail = text.rstrip()[-self._longest :]
        return any(tail[start:] in self._beginnings for start in range(len(tail)))

    def _begins_with_an_ending(self, text: str) -> bool:
        head = text.lstrip()[: self._longest]
        return any(head[:end] in self._endings for end in range(1, len(head) + 1))

    def _is_a_middle(self, text: str) -> bool:
        """`s`, of which `'<' ~ name ~ '>'` would make `<s>`."""
        middle = text.strip()
        return 0 < len(middle) < self._longest and middle in self._spellings


class Middle(str):
    """Guarded, yet equal to what the user wrote: templates compare names and types."""

    clean: str

    def __new__(cls, clean: str, guarded: str) -> Middle:
        made = super().__new__(cls, guarded)
        made.clean = clean
        return made

    def __eq__(self, other: object) -> bool:
        return self.clean == (other.clean if isinstance(other, Middle) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.clean)


def _at_the_end(text: str, guard: str) -> str:
    kept = text.rstrip()
    return kept + guard + text[len(kept) :]


def new_guard() -> str:
    return "".join(secrets.choice("0123456789") for _ in range(GUARD_DIGITS))


def alternatives(words: Iterable[str]) -> str:
    """A pattern for any of the words, the longest that fits. Words share their beginnings in it,
    so that a vocabulary of thousands is matched in one walk, not by thousands of tries."""
    tree: dict[str, Any] = {}
    for word in words:
        branch = tree
        for letter in word:
            branch = branch.setdefault(letter, {})
        branch[""] = {}
    return _pattern(tree) or r"(?!)"


def _pattern(tree: dict[str, Any]) -> str:
    letters: list[str] = []
    while len(tree) == 1:  # a run without branches
        ((letter, branch),) = tree.items()
        if not letter:
            return "".join(letters)
        letters.append(re.escape(letter))
        tree = branch
    choices = [re.escape(letter) + _pattern(branch) for letter, branch in tree.items() if letter]
    if not choices:
        return "".join(letters)
    optional = "?" if "" in tree else ""
    return "".join(letters) + f"(?:{'|'.join(choices)}){optional}"
