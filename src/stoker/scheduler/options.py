"""What a scheduler is told: the executor's pool, and how much it may take on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from stoker.core.ids import TokenId
from stoker.scheduler.token_budget import SMALLEST_SLICE


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerOptions:
    num_blocks: int
    block_size: int
    max_context: int
    max_running: int = 64
    max_step_tokens: int = 2048
    max_waiting: int = 256
    inter_token_target: float = 0.1
    prefix_cache: bool = True
    eos_token_ids: frozenset[TokenId] = frozenset()

    def fitting(self) -> Self:
        """With no more running sequences than a step has room for beside a piece of a prompt."""
        most = max(1, self.max_step_tokens - SMALLEST_SLICE)
        return replace(self, max_running=min(self.max_running, most))
