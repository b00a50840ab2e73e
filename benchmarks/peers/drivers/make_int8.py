"""make_int8.py FOLDER OUT: int8 weights with a scale a row, activations to int8 as they come.

Rounded to nearest, in the layout of the compressed-tensors library; embeddings and the output
matrix stay in bfloat16.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

LARGEST = 127
NUMBERS = {"num_bits": 8, "type": "int", "symmetric": True}
SCHEME = {
    "quant_method": "compressed-tensors",
    "format": "int-quantized",
    "quantization_status": "compressed",
    "ignore": ["lm_head"],
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": NUMBERS | {"strategy": "channel", "dynamic": False},
            "input_activations": NUMBERS | {"strategy": "token", "dynamic": True},
        }
    },
}


def main() -> None:
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    index = json.loads((source / "model.safetensors.index.json").read_text())["weight_map"]
    tensors = {}
    for name, file in index.items():
        weight = load_file(source / file)[name]
        if name.endswith("proj.weight"):
            scale = weight.abs().amax(1, keepdim=True).clamp(min=1e-8) / LARGEST
            weight = (weight / scale).round().clamp(-LARGEST, LARGEST).to(torch.int8)
            tensors[f"{name}_scale"] = scale.to(torch.bfloat16)
        tensors[name] = weight if weight.dtype == torch.int8 else weight.to(torch.bfloat16)
    save_file(tensors, target / "model.safetensors")
    config = json.loads((source / "config.json").read_text())
    config |= {"dtype": "bfloat16", "quantization_config": SCHEME}
    (target / "config.json").write_text(json.dumps(config))
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(source / file, target / file)


main()
