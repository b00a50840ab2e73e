"""Our own engine, driven a step at a time in one process."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import stepwise
from protocol import Timeline, serve

from stoker import __version__
from stoker.config.schema import Config, EngineSection, ModelSection
from stoker.constrain.token_table import TokenTable
from stoker.core.ids import RequestId
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.engine.build import build_engine
from stoker.engine.settings import engine_settings


class Stoker:
    def __init__(self, asked: argparse.Namespace) -> None:
        model = Path(asked.model)
        config = Config(
            model=ModelSection(name=asked.model), engine=EngineSection(threads=asked.threads)
        )
        self.engine, self.info = build_engine(
            engine_settings(config, model, TokenTable()), lambda *_: None
        )
        self.label = f"stoker {__version__}, {self.info.kernels}"

    def generate(self, prompts: list[list[int]], output: int) -> Timeline:
        return stepwise.generate(self, prompts, output)

    def add(self, request: int, prompt: list[int], output: int) -> None:
        sampling = SamplingParams(max_tokens=output, temperature=0.0, ignore_eos=True)
        self.engine.submit(
            Request(
                request_id=RequestId(str(request)),
                prompt_token_ids=tuple(prompt),
                sampling=sampling,
            )
        )

    def step(self) -> Iterator[tuple[int, int, bool]]:
        for delta in self.engine.step():
            yield int(delta.request_id), len(delta.token_ids), delta.finish is not None


if __name__ == "__main__":
    serve(Stoker)
