"""Cuts a stream of text at the first stop string, holding back what may become one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple


class StopResult(NamedTuple):
    text: str
    """Safe to deliver: cannot be part of a stop string any more."""
    matched: str | None = None
    """The stop string found; it is not in the text, and nothing follows it."""


class StopMatcher:
    """Delivers the text before the stop string that is complete first; if two end together, before
    the longer one. The same for any split of the text, and never later than a character decides it.

    Each character is looked at once for each stop string (Knuth, Morris and Pratt's automaton), so
    time is linear in the text whatever it repeats.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._automata = [_Automaton(stop) for stop in stops if stop]
        firsts = "".join(sorted({automaton.word[0] for automaton in self._automata}))
        self._first = re.compile(f"[{re.escape(firsts)}]" if firsts else r"(?!)")
        self._held = ""
        self._matched: str | None = None

    def push(self, text: str) -> StopResult:
        """After a match all text is swallowed, and the match is told again."""
        if self._matched is not None:
            return StopResult("", self._matched)
        if not self._held and self._first.search(text) is None:
            return StopResult(text)
        seen = self._held + text
        for position in range(len(self._held), len(seen)):
            ended = [
                automaton.word for automaton in self._automata if automaton.step(seen[position])
            ]
            if ended:
                self._matched = max(ended, key=len)
                self._held = ""
                return StopResult(seen[: position + 1 - len(self._matched)], self._matched)
        partial = max(automaton.length for automaton in self._automata)
        kept = len(seen) - partial
        self._held = seen[kept:]
        return StopResult(seen[:kept])

    def flush(self) -> str:
        """The held-back tail, when the stream ends without a stop."""
        tail, self._held = self._held, ""
        for automaton in self._automata:
            automaton.length = 0
        return tail


class _Automaton:
    """How much of one word the text ends with."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.length = 0
        self._shorter = [0] * len(word)  # where to go on after a mismatch: the next shorter match
        for position in range(1, len(word)):
            length = self._shorter[position - 1]
            while length and word[length] != word[position]:
                length = self._shorter[length - 1]
            self._shorter[position] = length + (word[length] == word[position])

    def step(self, letter: str) -> bool:
        """True when the word is complete."""
        word = self.word
        while self.length and word[self.length] != letter:
            self.length = self._shorter[self.length - 1]
        self.length += word[self.length] == letter
        return self.length == len(word)
