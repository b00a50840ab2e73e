"""What transformers computes for a small random checkpoint of every architecture.

    make golden          compares the files in tests/golden/architectures with transformers
    make golden-write    writes them

A file holds the config, the names and shapes of the tensors as transformers stores them, a seed
for their values (tests/support/seeded_weights.py), tokens, and the logits and greedy tokens that
follow from all that. The tests of the core need no torch to make the same checkpoint.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from transformers import AutoConfig, AutoModelForCausalLM

from tests.support.seeded_weights import seeded_tensors

FOLDER = Path(__file__).parent / "architectures"
PROMPT, GREEDY, ROWS = 40, 12, (0, 20, 39)
PLAIN = {
    "vocab_size": 96,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
NEOX = {key: value for key, value in PLAIN.items() if key != "num_key_value_heads"}
EXPERTS = {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 48}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 5000.0,
    "factor": 4.0,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "truncate": False,
    "original_max_position_embeddings": 32,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "llama": PLAIN | {"rope_theta": 5000.0},
    "phi3": PLAIN | {"sliding_window": 24, "pad_token_id": 0, "partial_rotary_factor": 0.5},
    "gemma2": PLAIN
    | {"head_dim": 32, "sliding_window": 24, "query_pre_attn_scalar": 32}
    | {"attn_logit_softcapping": 5.0, "final_logit_softcapping": 3.0},
    "olmo2": PLAIN | {"rope_theta": 5000.0},
    "granite": PLAIN
    | {"embedding_multiplier": 3.0, "residual_multiplier": 0.5}
    | {"attention_multiplier": 0.3, "logits_scaling": 2.0},
    "starcoder2": PLAIN | {"sliding_window": 24},
    "gpt2": {"vocab_size": 96, "n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 128},
    "gpt_neox": NEOX | {"rotary_pct": 0.25, "hidden_act": "gelu"},
    "falcon": NEOX | {"multi_query": True, "ffn_hidden_size": 128},
    "falcon-two-norms": NEOX
    | {"new_decoder_architecture": True, "num_kv_heads": 2, "ffn_hidden_size": 128},
    "mixtral": PLAIN | {"num_local_experts": 6, "num_experts_per_tok": 2},
    "qwen2_moe": PLAIN | EXPERTS | {"shared_expert_intermediate_size": 80, "mlp_only_layers": [1]},
    "qwen3_moe": PLAIN | EXPERTS | {"head_dim": 32, "norm_topk_prob": True},
    "gpt_oss": PLAIN
    | {"head_dim": 32, "num_local_experts": 6, "num_experts_per_tok": 2}
    | {"sliding_window": 24, "rope_parameters": YARN},
}
SEED = 17


def stored_shapes(folder: Path) -> dict[str, list[int]]:
    with safe_open(folder / "model.safetensors", "np") as file:
        return {name: list(file.get_slice(name).get_shape()) for name in sorted(file.keys())}


def compute(name: str) -> dict[str, Any]:
    kind = name.partition("-")[0]
    config = AutoConfig.for_model(kind, **CONFIGS[name])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
        shapes = stored_shapes(folder)
        tensors = seeded_tensors(shapes, SEED)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager"
        ).eval()
        written = json.loads((folder / "config.json").read_text())
    tokens = np.random.default_rng(SEED).integers(0, 96, PROMPT).tolist()
    logits = logits_of(model, tokens)
    return {
        "config": {key: value for key, value in written.items() if key != "architectures"},
        "seed": SEED,
        "shapes": shapes,
        "tokens": tokens,
        "rows": ROWS,
        "logits": [[round(float(x), 6) for x in logits[row]] for row in ROWS],
        "greedy": greedy(model, tokens),
    }


def logits_of(model: torch.nn.Module, tokens: list[int]) -> np.ndarray:
    with torch.inference_mode():
        return model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0].numpy()


def greedy(model: torch.nn.Module, tokens: list[int]) -> list[int]:
    found: list[int] = []
    for _ in range(GREEDY):
        found.append(int(logits_of(model, tokens + found)[-1].argmax()))
    return found


def differs(name: str, computed: dict[str, Any]) -> bool:
    kept = json.loads((FOLDER / f"{name}.json").read_text())
    same = all(kept[key] == computed[key] for key in ("shapes", "tokens", "greedy"))
    return not same or not np.allclose(kept["logits"], computed["logits"], atol=1e-4)


def main() -> None:
    command, *names = sys.argv[1:]
    wrong = []
    for name in names or CONFIGS:
        computed = compute(name)
        if command == "check":
            wrong += [name] if differs(name, computed) else []
        else:
            text = json.dumps(computed, indent=None, separators=(",", ":"))
            (FOLDER / f"{name}.json").write_text(text.replace('],"', '],\n"') + "\n")
        print(name, flush=True)
    sys.exit(f"transformers computes something else for {', '.join(wrong)}" if wrong else 0)


if __name__ == "__main__":
    main()
