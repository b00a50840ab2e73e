"""transformers as people first use it: one static batch, greedy, with its own cache."""

from __future__ import annotations

import argparse
import time

import torch
import transformers
from protocol import Timeline, serve

NUMBERS = torch.bfloat16


class Transformers:
    def __init__(self, asked: argparse.Namespace) -> None:
        torch.set_num_threads(asked.threads)
        self.model = transformers.AutoModelForCausalLM.from_pretrained(asked.model, dtype=NUMBERS)
        self.model.eval()
        self.kept: dict[tuple[int, int], tuple[torch.Tensor, transformers.DynamicCache]] = {}
        self.label = f"transformers {transformers.__version__}"

    @torch.inference_mode()
    def generate(self, prompts: list[list[int]], output: int) -> Timeline:
        tokens = torch.tensor(prompts)
        started = time.perf_counter()
        cache = self._cache(tokens)
        row = self._next(tokens[:, cache.get_seq_length() :], cache)
        first = time.perf_counter()
        for _ in range(output - 1):
            row = self._next(row, cache)
        ended = time.perf_counter()
        return Timeline(started, first, ended, len(prompts) * (output - 1))

    def _next(self, tokens: torch.Tensor, cache: transformers.DynamicCache) -> torch.Tensor:
        answer = self.model(tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return answer.logits[:, -1:].argmax(-1)

    def _cache(self, tokens: torch.Tensor) -> transformers.DynamicCache:
        """All but the last token's keys and values, when the same prompts came before."""
        shape = (tokens.shape[0], tokens.shape[1])
        known = self.kept.get(shape)
        if known is not None and torch.equal(known[0], tokens):
            known[1].crop(
                tokens.shape[1] - 1 - known[1].get_seq_length()
            )  # negative: drops so many
            return known[1]
        cache = transformers.DynamicCache()
        self.kept[shape] = tokens, cache
        return cache


if __name__ == "__main__":
    serve(Transformers)
