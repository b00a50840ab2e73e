"""What a scheduler is told: the executor's pool, and how much it may take on."""

from __future__ import annotations

from dataclasses import dataclass

from stoker.core.ids import TokenId


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
    whole_prompts: bool = False
    """Every prompt has to be computed in one step: the model is not causal."""
    eos_token_ids: frozenset[TokenId] = frozenset()
