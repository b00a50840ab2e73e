"""Writes a GGUF model as a float32 folder that transformers reads: dequantised, names and row
order as the model's authors had them. The config is made from the file's own metadata, not from
our spec, so that a slip in the spec shows as a difference.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from stoker.model.families.naming import locate
from stoker.model.load import Model
from stoker.model.registry import find_family
from stoker.model.spec import RopeStyle
from stoker.model.weights.dequantize import dequantize

CLASSES = {
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "gemma3_text": "Gemma3ForCausalLM",
}


def write_folder(model: Model, folder: Path) -> None:
    architecture = model.metadata["general.architecture"]
    sources = locate(model.spec, find_family(architecture).hugging_face_names, ())
    names = {name: pieces[0].stored for name, pieces in sources.items()}
    shards = {}
    for name, stored in names.items():
        file = f"model-{len(shards) + 1:05}.safetensors"
        save_file({stored: tensor(model, architecture, name)}, folder / file)
        shards[stored] = file
    index = {"metadata": {}, "weight_map": shards}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    config = config_of(model.metadata, architecture, "head" not in names)
    (folder / "config.json").write_text(json.dumps(config))


def tensor(model: Model, architecture: str, name: str) -> np.ndarray:
    info = model.weights.info(name)
    values = dequantize(model.weights.read(name), info.type, info.shape)
    if architecture == "gemma3" and name.endswith("norm"):
        return values - np.float32(1.0)
    heads = {"q": model.spec.num_heads, "k": model.spec.num_kv_heads}.get(name.rpartition(".")[2])
    if heads and model.spec.layers[0].rope.style is RopeStyle.PAIRS:
        pairs = values.reshape(heads, model.spec.head_dim // 2, 2, -1)
        return np.ascontiguousarray(pairs.swapaxes(1, 2).reshape(values.shape))
    return values


def config_of(metadata: dict[str, Any], architecture: str, tied: bool) -> dict[str, Any]:
    def field(name: str) -> Any:
        return metadata[f"{architecture}.{name}"]

    kind = {"gemma3": "gemma3_text"}.get(architecture, architecture)
    heads = field("attention.head_count")
    config = {
        "architectures": [CLASSES[kind]],
        "model_type": kind,
        "vocab_size": len(metadata["tokenizer.ggml.tokens"]),
        "hidden_size": field("embedding_length"),
        "intermediate_size": field("feed_forward_length"),
        "num_hidden_layers": field("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": field("attention.head_count_kv"),
        "max_position_embeddings": field("context_length"),
        "rms_norm_eps": field("attention.layer_norm_rms_epsilon"),
        "rope_theta": field("rope.freq_base"),
        "tie_word_embeddings": tied,
        "dtype": "float32",
    }
    if architecture == "gemma3":
        config |= {
            "head_dim": field("attention.key_length"),
            "query_pre_attn_scalar": field("attention.key_length"),
            "sliding_window": field("attention.sliding_window"),
            "rope_local_base_freq": 10_000.0,
            "hidden_activation": "gelu_pytorch_tanh",
        }
    return config
