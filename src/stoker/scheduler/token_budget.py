"""How many prompt tokens fit into a step beside the sequences that are decoding.

The budget is time. The cost of a step is fitted online as a + b·tokens + c·kv_tokens. An ordinary
prompt may fill a step up to the inter-token target, since it is soon over; one that is many times
as long gets that many times less, so that streams hardly notice it. Prompts may always double a
step, and take the share their number gives them when more of them wait than streams run. With
nothing decoding there is nobody to keep waiting, and a step may be long; but never so long that
arrivals, cancellations and the watchdog wait for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from stoker.scheduler.plan import StepPlan

FORGETTING = 0.98
MIN_OBSERVATIONS = 6
SMALLEST_SLICE = 8
FIRST_SLICE = 32
"""Before anything is known: machines differ by a factor of a thousand."""
EARLY_SLICE = 256
"""At most, until enough steps were seen to fit their cost."""
ORDINARY_PROMPT = 512
"""Tokens; longer prompts are computed in shorter slices."""
LONGEST_STEP = 2.0
"""Seconds a step of prompts alone may take."""
OUTLIER = 10.0
"""A step counts at most this many times what was expected: one in which the machine slept must not
make it look slow for hundreds more, and one that really became slow is still noticed soon."""
SLOWEST_TOKEN = 0.1
"""Seconds for a token, assumed before anything is known."""


class StepCost:
    """Least squares with exponential forgetting over (1, tokens, kv_tokens) → seconds.

    Steps with prompts and steps without are forgotten apart: after a thousand steps of pure
    decoding, which are all alike, it is still known what a prompt token costs.
    """

    def __init__(self) -> None:
        self._moments = {has_prompt: _zero_moments() for has_prompt in (False, True)}
        self._tokens = 0
        self._seconds = 0.0
        self._coefficients: tuple[float, float, float] | None = None
        self.observations = 0

    def observe(self, tokens: int, kv_tokens: int, seconds: float, *, has_prompt: bool) -> None:
        # Scaled so that the three columns are of like size.
        row = (1.0, tokens / 256.0, kv_tokens / 65536.0, seconds)
        moments = self._moments[has_prompt]
        for i in range(3):
            for j in range(4):
                moments[i][j] = moments[i][j] * FORGETTING + row[i] * row[j]
        self._tokens += tokens
        self._seconds += seconds
        self._coefficients = None
        self.observations += 1

    @property
    def seconds_per_token(self) -> float:
        """The plain mean: rough, but sound from the first step on."""
        return self._seconds / self._tokens if self._tokens else SLOWEST_TOKEN

    def coefficients(self) -> tuple[float, float, float]:
        """a, b and c in seconds, none negative. A small ridge keeps the system solvable."""
        if self._coefficients is None:
            decode, prompt = self._moments.values()
            system = [
                [x + y for x, y in zip(*rows, strict=True)]
                for rows in zip(decode, prompt, strict=True)
            ]
            for i in range(3):
                system[i][i] += 1e-6 + 1e-3 * system[i][i]
            a, b, c = _solve(system)
            self._coefficients = max(a, 0.0), max(b, 0.0) / 256.0, max(c, 0.0) / 65536.0
        return self._coefficients


def _zero_moments() -> list[list[float]]:
    return [[0.0] * 4 for _ in range(3)]


def _solve(system: list[list[float]]) -> list[float]:
    """Gaussian elimination of a positive definite 3x3 system with its right-hand side."""
    for i in range(3):
        pivot = system[i][i]
        for j in range(i, 4):
            system[i][j] /= pivot
        for k in range(3):
            if k != i:
                factor = system[k][i]
                for j in range(i, 4):
                    system[k][j] -= factor * system[i][j]
    return [row[3] for row in system]


def _slice(seconds: float, each: float, growth: float) -> float:
    """The n for which n tokens take `seconds`, the first costing `each` and every further one
    `growth` more: deep in a long prompt, attention costs more than all the rest."""
    if seconds <= 0.0:
        return 0.0
    root = each + math.sqrt(each * each + 2.0 * growth * seconds)
    return 2.0 * seconds / root if root > 0.0 else math.inf


def kv_tokens(plan: StepPlan) -> int:
    """Positions that attention reads: the sum over computed tokens of their context."""
    return sum(
        piece.num_rows * (2 * piece.start + piece.num_rows + 1) // 2 for piece in plan.slices
    )


class TokenBudget:
    def __init__(self, max_step_tokens: int, inter_token_target: float) -> None:
        """`inter_token_target` in seconds."""
        self.max_step_tokens = max_step_tokens
        self.inter_token_target = inter_token_target
        self.cost = StepCost()

    def observe(self, plan: StepPlan, seconds: float) -> None:
        if not 0.0 <= seconds < math.inf:  # nor a NaN: it would stay in the sums for good
            return
        most = max(OUTLIER * self.expected_seconds(plan), self.inter_token_target)
        seconds = min(seconds, most)
        has_prompt = any(piece.count > 1 for piece in plan.slices)
        self.cost.observe(plan.num_tokens, kv_tokens(plan), seconds, has_prompt=has_prompt)

    def prompt_tokens(
        self,
        num_prompts: int,
        first_prompt: int,
        num_decoding: int,
        decoding_context: int,
        computed: int = 0,
    ) -> int:
        """Tokens of the `num_prompts` prompts (waiting ones included), the first of them
        `first_prompt` tokens long with `computed` done, that this step may compute beside
        `num_decoding` sequences whose contexts sum to `decoding_context`. Never so few that a
        prompt stands still, except where the decoding ones fill the step."""
        room = max(self.max_step_tokens - num_decoding, 0)
        if self.cost.observations < MIN_OBSERVATIONS:
            target = self.inter_token_target if num_decoding else LONGEST_STEP
            return min(room, self._early_tokens(target))
        fixed, per_token, per_kv = self.cost.coefficients()
        if num_decoding == 0:
            seconds = LONGEST_STEP - fixed
        else:
            decoding = fixed + per_token * num_decoding + per_kv * decoding_context
            most = self.inter_token_target - decoding
            share = decoding * max(1.0, num_prompts / num_decoding)
            ordinary = most * min(1.0, ORDINARY_PROMPT / max(first_prompt, 1))
            seconds = min(most, max(share, ordinary))
        fits = _slice(seconds, per_token + per_kv * computed, per_kv)
        return int(min(room, max(fits, SMALLEST_SLICE)))

    def _early_tokens(self, target: float) -> int:
        if self.cost.observations == 0:
            return FIRST_SLICE
        mean = self.cost.seconds_per_token
        fits = int(target / mean) if mean > 0 else EARLY_SLICE
        return min(max(fits, SMALLEST_SLICE), EARLY_SLICE)

    def decoding_seconds(self, contexts: Sequence[int]) -> tuple[float, float]:
        """The mean sequence's share of a step that decodes sequences with these contexts, and what
        one more row for it would take. Both 0.0 until that is known."""
        if self.cost.observations < MIN_OBSERVATIONS or not contexts:
            return 0.0, 0.0
        fixed, per_token, per_kv = self.cost.coefficients()
        row = per_token + per_kv * sum(contexts) / len(contexts)
        return fixed / len(contexts) + row, row

    def expected_seconds(self, plan: StepPlan) -> float:
        """How long a step should take; a cautious guess before the cost is known."""
        if self.cost.observations < MIN_OBSERVATIONS:
            return self.cost.seconds_per_token * plan.num_tokens
        fixed, per_token, per_kv = self.cost.coefficients()
        return fixed + per_token * plan.num_tokens + per_kv * kv_tokens(plan)
