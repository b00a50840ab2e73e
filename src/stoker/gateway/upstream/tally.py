"""What one answer of a foreign server used: what it says, or else an estimate.

A client that leaves in the middle has used something too, and few servers say how much.
"""

from __future__ import annotations

from msgspec.structs import replace

from stoker.gateway.usage import Usage

BYTES_PER_TOKEN = 4
"""About right for English; used only where the server says nothing."""


class Tally:
    def __init__(self, question_bytes: int, most_output: int) -> None:
        """`most_output`: tokens that an estimate never exceeds."""
        self._question = question_bytes
        self._most_output = most_output
        self._events = 0
        self._bytes = 0
        self._whole = False
        self._reported: Usage | None = None

    def wrote(self, events: int, num_bytes: int) -> None:
        """Events of about a token each, or a whole answer as one."""
        self._events += events
        self._bytes += num_bytes

    def report(self, usage: Usage | None) -> None:
        """The server's own count, so far; the latest holds."""
        self._reported = usage or self._reported

    def ended(self) -> None:
        """The answer is whole."""
        self._whole = True

    @property
    def usage(self) -> Usage:
        """Nothing, as long as no answer has begun."""
        if not self._events:
            return Usage()
        found = self._reported or Usage(input_tokens=-(-self._question // BYTES_PER_TOKEN))
        if self._whole and self._reported is not None:
            return found
        return replace(found, output_tokens=max(found.output_tokens, self._estimate))

    @property
    def _estimate(self) -> int:
        found = self._events if self._events > 1 else -(-self._bytes // BYTES_PER_TOKEN)
        return min(found, self._most_output)
