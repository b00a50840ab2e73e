"""OpenVINO GenAI's continuous-batching pipeline. It has no HTTP server in its package, so the
load of the HTTP rows runs in this process as well: without the cost of HTTP."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import openvino
import openvino_genai
import stepwise
from protocol import Timeline, serve

KV_GIB = 2
SEQUENCES = 64


class OpenVino:
    def __init__(self, asked: argparse.Namespace) -> None:
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.cache_size = KV_GIB
        scheduler.max_num_seqs = SEQUENCES
        scheduler.enable_prefix_caching = True
        properties = {"INFERENCE_NUM_THREADS": asked.threads}
        self.pipeline = openvino_genai.ContinuousBatchingPipeline(
            asked.model, scheduler, "CPU", properties
        )
        self.tokenizer = self.pipeline.get_tokenizer()
        self.handles: dict[int, openvino_genai.py_openvino_genai.GenerationHandle] = {}
        self.label = f"openvino-genai {openvino_genai.__version__.partition('-')[0]}"

    def generate(self, prompts: list[list[int]], output: int) -> Timeline:
        return stepwise.generate(self, prompts, output)

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text).input_ids.data[0].tolist()

    def add(self, request: int, prompt: list[int], output: int) -> None:
        wanted = openvino_genai.GenerationConfig()
        wanted.max_new_tokens = output
        wanted.ignore_eos = True
        wanted.do_sample = False
        tokens = openvino.Tensor([prompt])
        self.handles[request] = self.pipeline.add_request(request, tokens, wanted)

    def step(self) -> Iterator[tuple[int, int, bool]]:
        self.pipeline.step()
        for request, handle in list(self.handles.items()):
            tokens = 0
            while handle.can_read():
                tokens += sum(len(one.generated_ids) for one in handle.read().values())
            ended = handle.get_status() != openvino_genai.GenerationStatus.RUNNING
            if ended:
                del self.handles[request]
            if tokens or ended:
                yield request, tokens, ended

    def drop(self, request: int) -> None:
        self.handles[request].cancel()


if __name__ == "__main__":
    serve(OpenVino, load=stepwise.closed_loop)
