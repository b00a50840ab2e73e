"""What a request used and what that costs, in whole numbers so that sums are exact.

Money is counted in billionths of the currency (nano): a price of 0.15 a million tokens is 150
billionths a token.
"""

from __future__ import annotations

import msgspec

NANO = 1_000_000_000
TOKENS_OF_A_PRICE = 1_000_000


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    input_tokens: int = 0
    """All of the prompt, cached or not."""
    cached_tokens: int = 0
    """Of the input."""
    output_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """In billionths for one token."""

    input: int = 0
    cached_input: int = 0
    output: int = 0

    @staticmethod
    def per_million(input: float, cached_input: float | None, output: float) -> Price:  # noqa: A002
        """From a list price; what has no whole billionth is rounded up."""
        cached = input if cached_input is None else cached_input
        return Price(input=_nano(input), cached_input=_nano(cached), output=_nano(output))

    def cost(self, usage: Usage) -> int:
        fresh = usage.input_tokens - usage.cached_tokens
        return (
            fresh * self.input
            + usage.cached_tokens * self.cached_input
            + usage.output_tokens * self.output
        )

    def worst(self, input_tokens: int, output_tokens: int) -> int:
        """The most a request can cost, whatever is cached."""
        each = max(self.input, self.cached_input)
        return input_tokens * each + output_tokens * self.output


def _nano(per_million: float) -> int:
    return -int(-per_million * NANO // TOKENS_OF_A_PRICE)
