"""Runs in the environment of `make fidelity-setup`: trains a small adapter of the model in FOLDER
until it knows a sequence by heart, saves it, and writes the logits and greedy tokens it gives.

python benchmarks/lora_runner.py FOLDER TOKENS.json OUT STEPS
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
GREEDY = 16


def base(folder: str) -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )


def train(folder: str, tokens: list[int], steps: int, out: Path) -> None:
    torch.manual_seed(5)
    config = LoraConfig(r=8, lora_alpha=16, target_modules=MODULES, task_type="CAUSAL_LM")
    model = get_peft_model(base(folder), config)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=2e-3)
    batch = torch.tensor([tokens])
    for _ in range(steps):
        loss = model(input_ids=batch, labels=batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save_pretrained(out)


def main() -> None:
    folder, source, place, steps = sys.argv[1:]
    asked, out = json.loads(Path(source).read_text()), Path(place)
    train(folder, asked["learn"], int(steps), out)
    model = PeftModel.from_pretrained(base(folder), out).eval()
    tokens = list(asked["prompt"])
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([asked["learn"]])).logits[0].numpy()
        for _ in range(GREEDY):
            tokens.append(int(model(input_ids=torch.tensor([tokens])).logits[0, -1].argmax()))
    np.save(out / "logits.npy", logits)
    (out / "greedy.json").write_text(json.dumps(tokens[len(asked["prompt"]) :]))


if __name__ == "__main__":
    main()
