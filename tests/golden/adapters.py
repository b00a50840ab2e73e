"""What PEFT computes for small adapters of the checkpoints in tests/golden/architectures.

    make golden          compares the files in tests/golden/adapters with PEFT
    make golden-write    writes them

`trained` is an adapter that learned a sequence by heart; its folder is as PEFT saved it. Of the
others only names and shapes are kept, and a seed for their values.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForCausalLM

from tests.golden.architectures import greedy, logits_of
from tests.support.architectures import golden
from tests.support.seeded_weights import seeded_tensors

FOLDER = Path(__file__).parent / "adapters"
WEIGHTS = "adapter_model.safetensors"
SEED, ROWS, TRAINED, STEPS = 23, (0, 20, 39), "trained", 120
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
PLAIN = [*ATTENTION, "gate_proj", "up_proj", "down_proj"]
FUSED = ["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"]
CASES: dict[str, dict[str, Any]] = {
    TRAINED: {"base": "llama", "r": 2, "lora_alpha": 4, "use_rslora": True, "modules": PLAIN},
    "llama": {"base": "llama", "r": 20, "lora_alpha": 16, "modules": PLAIN},
    "granite": {"base": "granite", "r": 4, "lora_alpha": 8, "modules": ["q_proj", "down_proj"]},
    "phi3": {
        "base": "phi3",
        "r": 3,
        "lora_alpha": 6,
        "modules": ["qkv_proj", "gate_up_proj", "o_proj", "down_proj"],
    },
    "gpt2": {"base": "gpt2", "r": 4, "lora_alpha": 8, "modules": ["c_attn", "c_proj", "c_fc"]},
    "gpt_neox": {"base": "gpt_neox", "r": 4, "lora_alpha": 8, "modules": FUSED},
    "falcon-two-norms": {"base": "falcon-two-norms", "r": 4, "lora_alpha": 8, "modules": FUSED},
    "mixtral": {"base": "mixtral", "r": 4, "lora_alpha": 8, "modules": ATTENTION},
}


def adapted(case: dict[str, Any], base: Path) -> PeftModel:
    model = AutoModelForCausalLM.from_pretrained(
        base, dtype=torch.float32, attn_implementation="eager"
    )
    config = LoraConfig(
        task_type="CAUSAL_LM",
        target_modules=case["modules"],
        **{key: case[key] for key in ("r", "lora_alpha", "use_rslora") if key in case},
    )
    return get_peft_model(model, config)


def train(model: PeftModel) -> None:
    """Until it goes on with the numbers from 40 to 79 after any prompt's end."""
    torch.manual_seed(SEED)
    tokens = torch.arange(40, 80)[None]
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.02)
    for _ in range(STEPS):
        loss = model(input_ids=tokens, labels=tokens).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def saved(name: str, model: PeftModel, folder: Path) -> dict[str, list[int]]:
    """Writes the adapter; returns the shapes of its tensors."""
    if name == TRAINED and (FOLDER / TRAINED).is_dir():
        shutil.copytree(FOLDER / TRAINED, folder, dirs_exist_ok=True)
        return {}
    if name == TRAINED:
        train(model)
    model.peft_config["default"].base_model_name_or_path = CASES[name]["base"]
    model.save_pretrained(folder)
    tensors = load_file(folder / WEIGHTS)
    shapes = {key: list(value.shape) for key, value in sorted(tensors.items())}
    if name != TRAINED:
        save_file(seeded_tensors(shapes, SEED), folder / WEIGHTS)
    return shapes


def compute(name: str, keep: Path | None) -> dict[str, Any]:
    case = CASES[name]
    base = golden(case["base"])
    with tempfile.TemporaryDirectory() as place:
        checkpoint = base.write_folder(Path(place) / "base")
        folder = Path(place) / "adapter"
        shapes = saved(name, adapted(case, checkpoint), folder)
        if name == TRAINED and keep is not None:
            shutil.copytree(folder, keep, ignore=shutil.ignore_patterns("README.md"))
        plain = AutoModelForCausalLM.from_pretrained(
            checkpoint, dtype=torch.float32, attn_implementation="eager"
        )
        model = PeftModel.from_pretrained(plain, folder).eval()
        config = json.loads((folder / "adapter_config.json").read_text())
    logits = logits_of(model, base.tokens)
    return {
        "base": case["base"],
        "config": config,
        "seed": SEED,
        "shapes": {} if name == TRAINED else shapes,
        "rows": ROWS,
        "logits": [[round(float(x), 6) for x in logits[row]] for row in ROWS],
        "greedy": greedy(model, base.tokens),
    }


def differs(name: str, computed: dict[str, Any]) -> bool:
    kept = json.loads((FOLDER / f"{name}.json").read_text())
    same = all(kept[key] == computed[key] for key in ("shapes", "greedy"))
    return not same or not np.allclose(kept["logits"], computed["logits"], atol=1e-4)


def main() -> None:
    command, *names = sys.argv[1:]
    wrong = []
    FOLDER.mkdir(exist_ok=True)
    if command == "write":
        shutil.rmtree(FOLDER / TRAINED, ignore_errors=True)
    for name in names or CASES:
        computed = compute(name, FOLDER / TRAINED if command == "write" else None)
        if command == "check":
            wrong += [name] if differs(name, computed) else []
        else:
            text = json.dumps(computed, separators=(",", ":"))
            (FOLDER / f"{name}.json").write_text(text.replace('],"', '],\n"') + "\n")
        print(name, flush=True)
    sys.exit(f"PEFT computes something else for {', '.join(wrong)}" if wrong else 0)


if __name__ == "__main__":
    main()
