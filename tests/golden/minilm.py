"""What transformers computes for all-MiniLM-L6-v2: token ids and embeddings of a few texts.

    python -m tests.golden.minilm FOLDER    writes tests/golden/minilm.json

FOLDER is where `stoker pull all-minilm:l6-v2` put the model.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModel, AutoTokenizer

TEXTS = [
    "Hello world",
    "The cat sits on the mat, doesn't it?",
    "Ein l\u00e4ngerer Satz mit Umlauten, \u65e5\u672c\u8a9e und unaffable words. " * 18,
    "x",
]


def main(folder: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    found = []
    for text in TEXTS:
        given = tokenizer(text, return_tensors="pt", truncation=False)
        with torch.inference_mode():
            mean = model(**given).last_hidden_state[0].mean(0)
        embedding = [round(float(x), 6) for x in mean / mean.norm()]
        ids = given["input_ids"][0].tolist()
        found.append({"text": text, "ids": ids, "embedding": embedding})
    target = Path(__file__).parent / "minilm.json"
    target.write_text(json.dumps(found, separators=(",", ":")).replace('],"', '],\n"') + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
