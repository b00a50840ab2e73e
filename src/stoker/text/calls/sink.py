"""Where the parts of one call go: nothing is told of it before it is known to be one."""

from __future__ import annotations

from collections.abc import Callable, Set

from stoker.text.calls.pieces import Arguments, CallBegun, Piece


class CallSink:
    def __init__(self, names: Set[str], emit: Callable[[Piece], None]) -> None:
        self._names = names
        self._emit = emit
        self._held: list[str] = []
        self._name: str | None = None
        self.begun = False

    def name(self, name: str) -> bool:
        """False for the name of no tool that was offered, and for a second name."""
        if self._name is not None or name not in self._names:
            return False
        self._name = name
        if self._held:
            self._begin(name)
        return True

    def arguments(self, text: str) -> None:
        """The first of them make it a call, once it has its name."""
        if self.begun:
            self._emit(Arguments(text))
            return
        self._held.append(text)
        if self._name is not None:
            self._begin(self._name)

    def settle(self) -> None:
        """The call is over: one without arguments has none, as an object."""
        if self._name is not None and not self.begun:
            self.arguments("{}")

    def _begin(self, name: str) -> None:
        self.begun = True
        self._emit(CallBegun(name))
        for text in self._held:
            self._emit(Arguments(text))
