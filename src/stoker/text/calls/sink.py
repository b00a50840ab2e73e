"""Where the parts of one call go: nothing is told of it before it is known to be one."""

from __future__ import annotations

from collections.abc import Callable, Set

from stoker.text.calls.pieces import Arguments, CallBegun, Piece


class CallSink:
    def __init__(self, names: Set[str], emit: Callable[[Piece], None]) -> None:
        self._names = names
        self._emit = emit
        self._held: list[str] = []
        self._told = False
        self.begun = False

    def name(self, name: str) -> bool:
        """False for the name of no tool that was offered, and for a second name."""
        if self.begun or name not in self._names:
            return False
        self.begun = True
        self._emit(CallBegun(name))
        for text in self._held:
            self.arguments(text)
        return True

    def arguments(self, text: str) -> None:
        if not self.begun:
            self._held.append(text)
        elif text:
            self._emit(Arguments(text))
            self._told = True

    def settle(self) -> None:
        """The call is over: one without arguments has none, as an object."""
        if self.begun and not self._told:
            self.arguments("{}")
