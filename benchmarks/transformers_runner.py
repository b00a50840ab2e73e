"""Logits of transformers in float32. Started by fidelity.py with .venv-fidelity's interpreter.

transformers_runner.py logits FOLDER TOKENS.json OUT     sequences of token ids → OUT/0.npy …
transformers_runner.py tiny FAMILY TOKENS.json OUT       the same for a small random checkpoint,
                                                         which is written to OUT as well
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

SMALL = {
    "vocab_size": 320,
    "hidden_size": 96,
    "intermediate_size": 192,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
}
STRETCHED = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
FAMILIES = {
    "llama": {"model_type": "llama", "rope_parameters": STRETCHED},
    "mistral": {"model_type": "mistral", "sliding_window": 24, "rope_theta": 10_000.0},
    "qwen2": {"model_type": "qwen2", "rope_theta": 1_000_000.0},
    "qwen3": {"model_type": "qwen3", "rope_theta": 1_000_000.0, "tie_word_embeddings": True},
    "gemma3": {
        "model_type": "gemma3_text",
        "num_hidden_layers": 7,
        "sliding_window": 24,
        "query_pre_attn_scalar": 48,
        "rope_theta": 300_000.0,
        "rope_local_base_freq": 20_000.0,
    },
}


def run(model: torch.nn.Module, sequences: list[list[int]], out: Path) -> None:
    model.eval()
    with torch.inference_mode():
        for number, tokens in enumerate(sequences):
            logits = model(input_ids=torch.tensor([tokens]), use_cache=False).logits
            np.save(out / f"{number}.npy", logits[0].float().numpy())
    (out / "version").write_text(f"transformers {transformers.__version__}")


def tiny(family: str, out: Path) -> torch.nn.Module:
    """Random weights; norms and biases too, which would start as ones and zeros."""
    torch.manual_seed(7)
    fields = SMALL | FAMILIES[family]
    config = AutoConfig.for_model(fields.pop("model_type"), **fields)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.15 * torch.randn_like(parameter)
    model.save_pretrained(out)
    return model


def main() -> None:
    command, source, tokens, out = sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4])
    sequences = json.loads(Path(tokens).read_text())
    if command == "tiny":
        run(tiny(source, out), sequences, out)
    else:
        model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
        run(model, sequences, out)


if __name__ == "__main__":
    main()
