"""Text that arrives in pieces, read by generators that wait where it ends.

A parser written this way reads like one over a whole text, and gives the same for every split.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

from stoker.text.calls.literal import HOLE, Literal

T = TypeVar("T")
Reading = Generator[None, None, T]
"""Yields when it needs more text; returns what it read."""
Sink = Callable[[str], None]

LONGEST_HOLE = 128
_SPACE = re.compile(r"\s*")
_FILLS_A_HOLE = re.compile(r"[\w.:/-]*")
_KEPT = 4096


class Incoming:
    def __init__(self) -> None:
        self._text = ""
        self._at = 0
        self._dropped = 0
        self._holds = 0
        self._ended = False

    # --- from outside -------------------------------------------------------------------------

    def push(self, text: str) -> None:
        self._text += text

    def end(self) -> None:
        """No more will come."""
        self._ended = True

    # --- places -------------------------------------------------------------------------------

    @property
    def place(self) -> int:
        return self._dropped + self._at

    def hold(self) -> int:
        """A place to return to, for as long as it is not released."""
        self._holds += 1
        return self.place

    def release(self) -> None:
        self._holds -= 1

    def return_to(self, place: int) -> None:
        self._at = place - self._dropped

    def _forget(self) -> None:
        """Text that was read and that nobody returns to."""
        if not self._holds and (self._at > _KEPT or self._at == len(self._text)):
            self._dropped += self._at
            self._text = self._text[self._at :]
            self._at = 0

    # --- reading ------------------------------------------------------------------------------

    def more(self) -> Reading[bool]:
        """Waits for more text. False at the end."""
        self._forget()
        known = len(self._text)
        while len(self._text) == known:
            if self._ended:
                return False
            yield
        return True

    def take(self, count: int) -> str:
        taken = self._text[self._at : self._at + count]
        self._at += len(taken)
        return taken

    def match(self, pattern: re.Pattern[str]) -> str:
        """What the pattern matches here, of the text that has come; read."""
        found = pattern.match(self._text, self._at)
        return self.take(found.end() - self._at) if found else ""

    def peek(self) -> Reading[str]:
        """The next character, or nothing at the end."""
        while self._at == len(self._text):
            if not (yield from self.more()):
                return ""
        return self._text[self._at]

    def skip_space(self) -> Reading[str]:
        """The next character after white space, or nothing at the end."""
        while True:
            self.match(_SPACE)
            if self._at < len(self._text) or not (yield from self.more()):
                return self._text[self._at : self._at + 1]

    def accept(self, word: str) -> Reading[bool]:
        """Reads the word if it comes next."""
        while not self._text.startswith(word, self._at):
            here = self._text[self._at : self._at + len(word)]
            if not word.startswith(here) or not (yield from self.more()):
                return False
        self.take(len(word))
        return True

    def accept_literal(self, literal: Literal) -> Reading[tuple[str, ...] | None]:
        """Reads it if it comes next; gives what stood in its holes."""
        place = self.hold()
        holes: list[str] = []
        for position, word in enumerate(literal.words):
            if word == HOLE:
                continue
            if position and literal.words[position - 1] == HOLE:
                hole = yield from self.short_text([word], LONGEST_HOLE)
                there = hole is not None and _FILLS_A_HOLE.fullmatch(hole) is not None
                holes.append(hole or "")
            else:
                there = bool((yield from self.skip_space()))
            if not there or not (yield from self.accept(word)):
                self.return_to(place)
                self.release()
                return None
        self.release()
        return tuple(holes)

    def short_text(self, words: Sequence[str], most: int) -> Reading[str | None]:
        """Reads up to the first of the words, which is not read. None, and nothing is read, if
        none of them comes within so many characters."""
        place = self.hold()
        read: list[str] = []
        found = yield from self.copy_until(Markers(words), read.append, most)
        if found is None:
            self.return_to(place)
        self.release()
        return None if found is None else "".join(read)

    def copy_until(
        self, markers: Markers, sink: Sink, most: int | None = None
    ) -> Reading[str | None]:
        """Gives the text before the first marker to `sink`, as soon as it cannot be part of one.
        Returns the marker, which is not read, or None at the end or after `most` characters."""
        left = most
        while True:
            found = markers.pattern.search(self._text, self._at)
            begun = max(len(self._text) - markers.held_back(self._text), self._at)
            if found and begun <= found.start() and not self._ended:
                found = None  # a longer one may begin here, or one that begins before it
            end = found.start() if found else begun
            if left is not None and end - self._at > left:
                return None
            if left is not None:
                left -= end - self._at
            if end > self._at:
                sink(self.take(end - self._at))
            if found:
                return found[0]
            if not (yield from self.more()):
                if self._at < len(self._text):
                    sink(self.take(len(self._text)))
                return None


class Markers:
    def __init__(self, words: Sequence[str]) -> None:
        self._words = [word for word in words if word]
        longest_first = sorted(self._words, key=len, reverse=True)
        self.pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._beginnings = {word[:end] for word in self._words for end in range(1, len(word))}
        self._longest = max(map(len, self._words), default=1)

    def held_back(self, text: str) -> int:
        """How many characters at the end may be the beginning of a marker."""
        for length in range(min(self._longest - 1, len(text)), 0, -1):
            if text[-length:] in self._beginnings:
                return length
        return 0
