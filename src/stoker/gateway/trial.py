"""One request at a time that may be what kills replicas: the others are not blamed for it."""

from __future__ import annotations

from stoker.engine.continuation import Continuation


class Trial:
    """Of the requests that replicas died of, perhaps, one is computed until it gets a token or
    ends; whoever gets a token did not kill its replica."""

    def __init__(self) -> None:
        self._tried: Continuation | None = None

    def admits(self, continuation: Continuation) -> bool:
        """Whether it may be computed now. A suspect is on trial from then on."""
        if not continuation.suspect:
            return True
        if self._tried is None:
            self._tried = continuation
        return self._tried is continuation

    def over(self, continuation: Continuation) -> bool:
        """It got a token or ended. Returns whether the next suspect may be tried."""
        if self._tried is not continuation:
            return False
        self._tried = None
        return True
