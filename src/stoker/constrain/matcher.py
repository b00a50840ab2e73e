"""Where one sequence stands in the language of its constraint."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from threading import Lock
from typing import TypeVar

from llguidance import LLMatcher

from stoker.constrain.panic import is_panic
from stoker.core.ids import TokenId

Result = TypeVar("Result")


class Matcher:
    """A Guide of the scheduler's. Copies of one grammar share what they learn about it, so they
    also share a lock: the library calls back into Python, and two threads inside it could wait for
    each other for ever."""

    def __init__(self, inner: LLMatcher, lock: Lock, ends: Collection[TokenId], size: int) -> None:
        self._inner = inner
        self._lock = lock
        self._ends = ends
        self._nothing = bytes(size)
        """The mask that allows no token."""
        self._panicked = False

    def copy(self) -> Matcher:
        """Another sequence at the same place."""
        with self._lock:
            return Matcher(self._inner.deep_copy(), self._lock, self._ends, len(self._nothing))

    @property
    def failed(self) -> bool:
        return self._panicked or self._inner.is_error()

    @property
    def error(self) -> str:
        """Why it failed, in the library's words."""
        return "it is not understood" if self._panicked else str(self._inner.get_error())

    @property
    def complete(self) -> bool:
        return bool(self._inner.is_stopped())

    def advance(self, token: TokenId) -> None:
        self._tried(lambda: self._inner.consume_token(token))

    def masks(self, drafts: Sequence[TokenId] = ()) -> list[bytes]:
        masks = self._tried(lambda: self._masks(drafts))
        return [self._nothing] * (1 + len(drafts)) if masks is None else masks

    def _masks(self, drafts: Sequence[TokenId]) -> list[bytes]:
        """Drafts are followed on a copy: where that fails, the sequence itself need not."""
        masks = [self._inner.compute_bitmask()]
        ahead = self._inner.deep_copy() if drafts else self._inner
        for draft in drafts:
            if draft in self._ends or not ahead.consume_token(draft):
                break
            masks.append(ahead.compute_bitmask())
            if ahead.is_error():
                masks[-1] = self._nothing
        return masks + [self._nothing] * (1 + len(drafts) - len(masks))

    def _tried(self, work: Callable[[], Result]) -> Result | None:
        """None where the library failed, and the matcher with it."""
        with self._lock:
            if self.failed:
                return None
            try:
                result = work()
            except BaseException as error:
                if not is_panic(error):
                    raise
                self._panicked = True
                return None
            return None if self._inner.is_error() else result
