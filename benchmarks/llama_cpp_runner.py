"""Runs llama.cpp through llama-cpp-python's batch interface and prints its figures as JSON.

Started by peers.py with the interpreter of .venv-peers. All sequences of a batch go through one
`llama_decode` call a step, each under its own sequence id, which is llama.cpp's best way to serve
many at once; the greedy sampler runs in C. Random but seeded token ids, as `stoker bench engine`.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time

import llama_cpp as llama

LOWEST_TOKEN = 300
CHUNK = 2048


class Runner:
    """One context for `batch` sequences."""

    def __init__(self, path: str, threads: int, batch: int, length: int, unified: bool) -> None:
        parameters = llama.llama_model_default_params()
        self.model = llama.llama_model_load_from_file(path.encode(), parameters)
        context = llama.llama_context_default_params()
        context.n_ctx = batch * (-(-length // 256) * 256)
        context.n_batch = CHUNK
        context.n_seq_max = batch
        context.n_threads = context.n_threads_batch = threads
        context.flash_attn_type = llama.LLAMA_FLASH_ATTN_TYPE_ENABLED
        context.kv_unified = unified
        self.context = llama.llama_init_from_model(self.model, context)
        self.sampler = llama.llama_sampler_init_greedy()
        self.storage = llama.llama_batch_init(CHUNK, 0, 1)
        vocabulary = llama.llama_model_get_vocab(self.model)
        self.tokens = range(LOWEST_TOKEN, llama.llama_vocab_n_tokens(vocabulary))

    def decode(self, rows: list[tuple[int, int, int, bool]]) -> dict[int, int]:
        """Rows are (token, position, sequence, wants logits). Next token by sequence."""
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

    def run(self, batch: int, prompt: int, output: int, source: random.Random) -> tuple[float, ...]:
        """Prefill, decode and overall rate, measured as `stoker bench engine` does."""
        llama.llama_memory_clear(llama.llama_get_memory(self.context), True)
        prompts = [source.choices(self.tokens, k=prompt) for _ in range(batch)]
        rows = [
            (token, position, sequence, position == prompt - 1)
            for sequence, tokens in enumerate(prompts)
            for position, token in enumerate(tokens)
        ]
        started = time.perf_counter()
        last: dict[int, int] = {}
        for start in range(0, len(rows), CHUNK):
            last |= self.decode(rows[start : start + CHUNK])
        prefilled = time.perf_counter()
        for step in range(output - 1):
            last = self.decode([(last[one], prompt + step, one, True) for one in range(batch)])
        ended = time.perf_counter()
        return (
            batch * prompt / (prefilled - started),
            batch * (output - 1) / (ended - prefilled),
            batch * output / (ended - started),
        )

    def close(self) -> None:
        llama.llama_batch_free(self.storage)
        llama.llama_sampler_free(self.sampler)
        llama.llama_free(self.context)
        llama.llama_model_free(self.model)


def measure(
    arguments: argparse.Namespace, batch: int, prompt: int, unified: bool
) -> dict[str, object]:
    runner = Runner(
        arguments.model, arguments.threads, batch, prompt + arguments.output_tokens, unified
    )
    source = random.Random(0)
    runs = [
        runner.run(batch, prompt, arguments.output_tokens, source) for _ in range(arguments.repeats)
    ]
    runner.close()
    prefill, decode, overall = (
        round(statistics.median(column), 1) for column in zip(*runs, strict=True)
    )
    return {
        "batch": batch,
        "prompt_tokens": prompt,
        "output_tokens": arguments.output_tokens,
        "prefill_tokens_per_second": prefill,
        "decode_tokens_per_second": decode,
        "overall_tokens_per_second": overall,
        "layout": "one key-value pool" if unified else "a key-value pool for each sequence",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--batch", type=int, action="append", required=True)
    parser.add_argument("--prompt-tokens", type=int, default=128)
    parser.add_argument("--output-tokens", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=1)
    arguments = parser.parse_args()
    silence = llama.llama_log_callback(lambda *_: None)
    llama.llama_log_set(silence, None)
    llama.llama_backend_init()
    figures = []
    for batch in arguments.batch:
        layouts = [False] if batch == 1 else [False, True]
        tried = [measure(arguments, batch, arguments.prompt_tokens, one) for one in layouts]
        figures.append(max(tried, key=lambda figure: figure["overall_tokens_per_second"]))
    print(json.dumps({"version": llama.__version__, "figures": figures}))


if __name__ == "__main__":
    main()
