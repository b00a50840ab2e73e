"""Scores windows of token ids with llama.cpp; started by perplexity.py in .venv-peers.

Windows come as JSON on standard input. Prints the mean negative log probability of the second half
of each, computed in double from the raw logits.
"""

from __future__ import annotations

import json
import sys

import llama_cpp as llama
import numpy as np


def make_context(model: object, length: int, threads: int) -> object:
    parameters = llama.llama_context_default_params()
    parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = length
    parameters.n_threads = parameters.n_threads_batch = threads
    return llama.llama_init_from_model(model, parameters)


def logits_of(context: object, window: list[int], first_row: int, vocabulary: int) -> np.ndarray:
    """Rows of logits from first_row to the last but one."""
    llama.llama_memory_clear(llama.llama_get_memory(context), True)
    batch = llama.llama_batch_init(len(window), 0, 1)
    batch.n_tokens = len(window)
    for position, token in enumerate(window):
        batch.token[position] = token
        batch.pos[position] = position
        batch.n_seq_id[position] = 1
        batch.seq_id[position][0] = 0
        batch.logits[position] = position >= first_row
    if llama.llama_decode(context, batch) != 0:
        raise RuntimeError("llama_decode failed")
    rows = [
        np.ctypeslib.as_array(llama.llama_get_logits_ith(context, position), (vocabulary,)).copy()
        for position in range(first_row, len(window) - 1)
    ]
    llama.llama_batch_free(batch)
    return np.stack(rows)


def loss(logits: np.ndarray, targets: list[int]) -> float:
    rows = logits.astype(np.float64)
    rows -= rows.max(axis=1, keepdims=True)
    chosen = rows[np.arange(len(rows)), targets]
    return float(np.mean(np.log(np.exp(rows).sum(axis=1)) - chosen))


def main() -> None:
    windows = json.load(sys.stdin)
    length, half = len(windows[0]), len(windows[0]) // 2
    quiet = llama.llama_log_callback(lambda level, text, data: None)
    llama.llama_log_set(quiet, None)
    path, threads = sys.argv[1], int(sys.argv[2])
    model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
    context = make_context(model, length, threads)
    size = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
    losses = [
        loss(logits_of(context, window, half, size), window[half + 1 :]) for window in windows
    ]
    print(json.dumps({"version": llama.__version__, "losses": losses}))


if __name__ == "__main__":
    main()
