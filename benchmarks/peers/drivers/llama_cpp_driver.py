"""llama.cpp through llama-cpp-python's batch interface: all sequences of a step in one
`llama_decode` call, each under its own sequence id, with the greedy sampler in C."""

from __future__ import annotations

import argparse
import time

import llama_cpp as llama
from protocol import Timeline, serve

CHUNK = 2048
ROUND_TO = 256

Row = tuple[int, int, int, bool]
"""Token, position, sequence, and whether its logits are wanted."""


class Context:
    """Room for `batch` sequences of `length` tokens."""

    def __init__(self, model: object, threads: int, batch: int, length: int) -> None:
        parameters = llama.llama_context_default_params()
        parameters.n_ctx = batch * (-(-length // ROUND_TO) * ROUND_TO)
        parameters.n_batch = CHUNK
        parameters.n_seq_max = batch
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.flash_attn_type = llama.LLAMA_FLASH_ATTN_TYPE_ENABLED
        self.context = llama.llama_init_from_model(model, parameters)
        self.memory = llama.llama_get_memory(self.context)
        self.sampler = llama.llama_sampler_init_greedy()
        self.storage = llama.llama_batch_init(CHUNK, 0, 1)
        self.prompts: list[list[int]] = []

    def start(self, prompts: list[list[int]]) -> dict[int, int]:
        """First token of each; all but the last prompt token are kept from an equal call."""
        known = len(prompts[0]) - 1 if prompts == self.prompts else 0
        self.prompts = prompts
        for sequence in range(len(prompts)):
            llama.llama_memory_seq_rm(self.memory, sequence, known, -1)
        rows = [
            (token, position, sequence, position == len(tokens) - 1)
            for sequence, tokens in enumerate(prompts)
            for position, token in enumerate(tokens)
            if position >= known
        ]
        found: dict[int, int] = {}
        for begin in range(0, len(rows), CHUNK):
            found |= self.decode(rows[begin : begin + CHUNK])
        return found

    def decode(self, rows: list[Row]) -> dict[int, int]:
        """Next token by sequence."""
        batch = self.storage
        batch.n_tokens = len(rows)
        for index, (token, position, sequence, wanted) in enumerate(rows):
            batch.token[index] = token
            batch.pos[index] = position
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = sequence
            batch.logits[index] = wanted
        if llama.llama_decode(self.context, batch) != 0:
            raise RuntimeError("llama_decode failed")
        return {
            sequence: llama.llama_sampler_sample(self.sampler, self.context, index)
            for index, (_, _, sequence, wanted) in enumerate(rows)
            if wanted
        }


class LlamaCpp:
    def __init__(self, asked: argparse.Namespace) -> None:
        llama.llama_log_set(SILENCE, None)
        llama.llama_backend_init()
        parameters = llama.llama_model_default_params()
        self.model = llama.llama_model_load_from_file(asked.model.encode(), parameters)
        self.threads = asked.threads
        self.contexts: dict[tuple[int, int], Context] = {}
        self.label = f"llama-cpp-python {llama.__version__}"

    def generate(self, prompts: list[list[int]], output: int) -> Timeline:
        batch, prompt = len(prompts), len(prompts[0])
        context = self._context(batch, prompt + output)
        started = time.perf_counter()
        last = context.start(prompts)
        first = time.perf_counter()
        for step in range(output - 1):
            last = context.decode([(last[one], prompt + step, one, True) for one in last])
        ended = time.perf_counter()
        return Timeline(started, first, ended, batch * (output - 1))

    def _context(self, batch: int, length: int) -> Context:
        shape = (batch, length)
        if shape not in self.contexts:
            self.contexts[shape] = Context(self.model, self.threads, batch, length)
        return self.contexts[shape]


SILENCE = llama.llama_log_callback(lambda *_: None)

if __name__ == "__main__":
    serve(LlamaCpp)
