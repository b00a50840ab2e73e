"""Tiny random checkpoints of every family, the same for the same seed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, TokenType
from gguf.quants import quantize
from safetensors.numpy import save_file

from stoker.text.vocabulary import byte_alphabet

HIDDEN, FEED, LAYERS, HEADS, KV_HEADS, HEAD_DIM, CONTEXT = 64, 96, 3, 4, 2, 32, 512
CONTROL = ["<|begin|>", "<|end|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
GGUF_FAMILIES = ("llama", "qwen2", "qwen3", "gemma3")
FOLDER_FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "gemma3_text")


def vocabulary() -> tuple[list[str], list[str]]:
    """Bytes, a few merges, control tokens. Returns tokens and merges."""
    letters = list(byte_alphabet())
    merges = ["t h", "th e", "i n", "a n", "Ġ the"]
    return letters + [merge.replace(" ", "") for merge in merges] + CONTROL, merges


def shapes(family: str) -> dict[str, tuple[int, ...]]:
    """Tensor shapes under GGUF names."""
    tokens, _ = vocabulary()
    found: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (len(tokens), HIDDEN),
        "output_norm.weight": (HIDDEN,),
    }
    if family not in ("gemma3", "gemma3_text"):
        found["output.weight"] = (len(tokens), HIDDEN)
    for i in range(LAYERS):
        block = {
            "attn_norm.weight": (HIDDEN,),
            "attn_q.weight": (HEADS * HEAD_DIM, HIDDEN),
            "attn_k.weight": (KV_HEADS * HEAD_DIM, HIDDEN),
            "attn_v.weight": (KV_HEADS * HEAD_DIM, HIDDEN),
            "attn_output.weight": (HIDDEN, HEADS * HEAD_DIM),
            "ffn_norm.weight": (HIDDEN,),
            "ffn_gate.weight": (FEED, HIDDEN),
            "ffn_up.weight": (FEED, HIDDEN),
            "ffn_down.weight": (HIDDEN, FEED),
        }
        if family == "qwen2":
            block |= {
                "attn_q.bias": (HEADS * HEAD_DIM,),
                "attn_k.bias": (KV_HEADS * HEAD_DIM,),
                "attn_v.bias": (KV_HEADS * HEAD_DIM,),
            }
        if family in ("qwen3", "gemma3", "gemma3_text"):
            block |= {"attn_q_norm.weight": (HEAD_DIM,), "attn_k_norm.weight": (HEAD_DIM,)}
        if family in ("gemma3", "gemma3_text"):
            block |= {
                "post_attention_norm.weight": (HIDDEN,),
                "post_ffw_norm.weight": (HIDDEN,),
            }
        found |= {f"blk.{i}.{name}": shape for name, shape in block.items()}
    return found


def tensors(family: str, seed: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    found = {}
    for name, shape in shapes(family).items():
        values = generator.normal(scale=0.2, size=shape).astype(np.float32)
        found[name] = 1 + 0.1 * values if name.endswith("norm.weight") else values
    return found


def write_gguf(
    path: Path,
    family: str = "llama",
    kind: GGMLQuantizationType = GGMLQuantizationType.F32,
    seed: int = 0,
    window: int | None = None,
    **scaling: float | str | int,
) -> Path:
    """A GGUF file; matrices get type `kind`, vectors F32. `scaling` are rope.scaling.* keys."""
    tokens, merges = vocabulary()
    writer = GGUFWriter(path, family)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FEED)
    writer.add_block_count(LAYERS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_key_length(HEAD_DIM)
    writer.add_value_length(HEAD_DIM)
    writer.add_rope_dimension_count(HEAD_DIM)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    if window is not None:
        writer.add_sliding_window(window)
    for key, value in scaling.items():
        add = writer.add_string if isinstance(value, str) else writer.add_float32
        add(f"{family}.rope.scaling.{key}", value)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    normal = len(tokens) - len(CONTROL)
    writer.add_token_types([TokenType.NORMAL] * normal + [TokenType.CONTROL] * len(CONTROL))
    writer.add_token_merges(merges)
    writer.add_bos_token_id(normal)
    writer.add_eos_token_id(normal + 3)
    writer.add_chat_template(TEMPLATE)
    for name, tensor in tensors(family, seed).items():
        if tensor.ndim == 1:
            writer.add_tensor(name, tensor)
        else:
            writer.add_tensor(name, quantize(tensor, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


_FOLDER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "post_attention_norm": "post_attention_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}


def _folder_name(family: str, name: str) -> str:
    fixed = {
        "token_embd.weight": "model.embed_tokens.weight",
        "output.weight": "lm_head.weight",
        "output_norm.weight": "model.norm.weight",
    }
    if name in fixed:
        return fixed[name]
    _, layer, stem, kind = name.split(".")
    if family == "gemma3_text" and stem == "ffn_norm":
        return f"model.layers.{layer}.pre_feedforward_layernorm.weight"
    return f"model.layers.{layer}.{_FOLDER_NAMES[stem]}.{kind}"


def folder_config(family: str) -> dict[str, object]:
    tokens, _ = vocabulary()
    config: dict[str, object] = {
        "model_type": family,
        "vocab_size": len(tokens),
        "hidden_size": HIDDEN,
        "intermediate_size": FEED,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_DIM,
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10_000.0,
        "tie_word_embeddings": family == "gemma3_text",
        "eos_token_id": len(tokens) - 1,
    }
    if family == "mistral":
        config["sliding_window"] = 24
    if family == "gemma3_text":
        config |= {"sliding_window": 24, "query_pre_attn_scalar": HEAD_DIM}
    return config


def write_folder(folder: Path, family: str = "llama", seed: int = 0, **config: object) -> Path:
    """A Hugging Face folder with one safetensors file and a byte-level tokenizer.json."""
    folder.mkdir(parents=True, exist_ok=True)
    tokens, merges = vocabulary()
    named = {_folder_name(family, name): t for name, t in tensors(family, seed).items()}
    if family == "gemma3_text":  # its norms are stored less one
        named = {n: t - 1 if n.endswith("norm.weight") else t for n, t in named.items()}
    save_file(named, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(folder_config(family) | config))
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "normalizer": None,
        "pre_tokenizer": {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": False,
            "use_regex": True,
        },
        "post_processor": None,
        "decoder": {
            "type": "ByteLevel",
            "add_prefix_space": True,
            "trim_offsets": True,
            "use_regex": True,
        },
        "added_tokens": [
            {
                "id": len(tokens) - len(CONTROL) + i,
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for i, token in enumerate(CONTROL)
        ],
        "model": {
            "type": "BPE",
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in merges],
        },
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"chat_template": TEMPLATE, "eos_token": "<|im_end|>"})
    )
    return folder
