"""The checkpoints of tests/golden as GGUF files: llama.cpp's names, metadata and order of rows,
written down here by themselves so that a slip in the families shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFWriter
from numpy.typing import NDArray

from tests.support.architectures import Golden

Floats = NDArray[np.float32]
ARCHITECTURES = {
    "falcon-two-norms": "falcon",
    "gpt_neox": "gptneox",
    "mixtral": "llama",
    "qwen2_moe": "qwen2moe",
    "qwen3_moe": "qwen3moe",
    "gpt_oss": "gpt-oss",
}
"""Where GGUF has another name."""
LAYER_NORM = ("starcoder2", "gpt2", "gpt_neox", "falcon", "falcon-two-norms")
PAIRED = ("granite", "llama", "mixtral")
"""Families whose rows of q and k are reordered, as llama's are."""

_LLAMA = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_NAMES: dict[str, dict[str, str]] = {
    "phi3": _LLAMA | {"self_attn.qkv_proj": "attn_qkv", "mlp.gate_up_proj": "ffn_up"},
    "gemma2": _LLAMA
    | {
        "post_attention_layernorm": "post_attention_norm",
        "pre_feedforward_layernorm": "ffn_norm",
        "post_feedforward_layernorm": "post_ffw_norm",
    },
    "olmo2": _LLAMA
    | {
        "post_attention_layernorm": "post_attention_norm",
        "post_feedforward_layernorm": "post_ffw_norm",
    },
    "starcoder2": _LLAMA | {"mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"},
    "gpt2": {
        "ln_1": "attn_norm",
        "ln_2": "ffn_norm",
        "attn.c_attn": "attn_qkv",
        "attn.c_proj": "attn_output",
        "mlp.c_fc": "ffn_up",
        "mlp.c_proj": "ffn_down",
    },
    "gpt_neox": {
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
        "attention.query_key_value": "attn_qkv",
        "attention.dense": "attn_output",
        "mlp.dense_h_to_4h": "ffn_up",
        "mlp.dense_4h_to_h": "ffn_down",
    },
    "falcon": {
        "input_layernorm": "attn_norm",
        "ln_mlp": "attn_norm",
        "ln_attn": "attn_norm_2",
        "self_attention.query_key_value": "attn_qkv",
        "self_attention.dense": "attn_output",
        "mlp.dense_h_to_4h": "ffn_up",
        "mlp.dense_4h_to_h": "ffn_down",
    },
    "mixtral": _LLAMA
    | {
        "block_sparse_moe.gate": "ffn_gate_inp",
        "block_sparse_moe.experts.w1": "ffn_gate_exps",
        "block_sparse_moe.experts.w2": "ffn_down_exps",
        "block_sparse_moe.experts.w3": "ffn_up_exps",
    },
    "qwen2_moe": _LLAMA
    | {
        "mlp.gate": "ffn_gate_inp",
        "mlp.experts.gate_proj": "ffn_gate_exps",
        "mlp.experts.up_proj": "ffn_up_exps",
        "mlp.experts.down_proj": "ffn_down_exps",
        "mlp.shared_expert.gate_proj": "ffn_gate_shexp",
        "mlp.shared_expert.up_proj": "ffn_up_shexp",
        "mlp.shared_expert.down_proj": "ffn_down_shexp",
        "mlp.shared_expert_gate": "ffn_gate_inp_shexp",
    },
    "gpt_oss": _LLAMA
    | {
        "post_attention_layernorm": "post_attention_norm",
        "mlp.router": "ffn_gate_inp",
        "mlp.experts.gate": "ffn_gate_exps",
        "mlp.experts.up": "ffn_up_exps",
        "mlp.experts.down": "ffn_down_exps",
    },
}
_NAMES |= {
    "llama": _LLAMA,
    "granite": _LLAMA,
    "qwen3_moe": _NAMES["qwen2_moe"],
    "falcon-two-norms": _NAMES["falcon"],
}
_TOP = {
    "wte": "token_embd",
    "wpe": "position_embd",
    "embed_tokens": "token_embd",
    "embed_in": "token_embd",
    "word_embeddings": "token_embd",
    "norm": "output_norm",
    "ln_f": "output_norm",
    "final_layer_norm": "output_norm",
    "lm_head": "output",
    "embed_out": "output",
}


def write_gguf(path: Path, name: str, golden: Golden) -> Path:
    writer = GGUFWriter(path, ARCHITECTURES.get(name, name))
    _metadata(writer, name, golden.config)
    for key, tensor in _tensors(name, golden):
        writer.add_tensor(key, np.ascontiguousarray(tensor))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _metadata(writer: GGUFWriter, name: str, config: dict[str, Any]) -> None:
    def pick(*keys: str) -> Any:
        return next((config[key] for key in keys if config.get(key) is not None), None)

    hidden, heads = pick("hidden_size", "n_embd"), pick("num_attention_heads", "n_head")
    dim = pick("head_dim") or hidden // heads
    writer.add_context_length(pick("max_position_embeddings", "n_positions"))
    writer.add_embedding_length(hidden)
    feed = pick("ffn_hidden_size", "n_inner", "intermediate_size")
    writer.add_feed_forward_length(feed or 4 * hidden)
    writer.add_block_count(pick("num_hidden_layers", "n_layer"))
    writer.add_head_count(heads)
    writer.add_head_count_kv(
        1 if name == "falcon" else pick("num_kv_heads", "num_key_value_heads") or heads
    )
    writer.add_key_length(dim)
    writer.add_value_length(dim)
    if name in LAYER_NORM:
        writer.add_layer_norm_eps(pick("norm_epsilon", "layer_norm_eps", "layer_norm_epsilon"))
    else:
        writer.add_layer_norm_rms_eps(pick("rms_norm_eps"))
    if pick("sliding_window"):
        writer.add_sliding_window(pick("sliding_window"))
    _rope_metadata(writer, config, dim)
    _expert_metadata(writer, name, config)
    if name == "granite":
        writer.add_attention_scale(config["attention_multiplier"])
        writer.add_embedding_scale(config["embedding_multiplier"])
        writer.add_residual_scale(config["residual_multiplier"])
        writer.add_logit_scale(config["logits_scaling"])
    if name == "gemma2":
        writer.add_attn_logit_softcapping(config["attn_logit_softcapping"])
        writer.add_final_logit_softcapping(config["final_logit_softcapping"])
    if name == "gpt_neox":
        writer.add_parallel_residual(config["use_parallel_residual"])


def _rope_metadata(writer: GGUFWriter, config: dict[str, Any], dim: int) -> None:
    rope = config.get("rope_parameters")
    if rope is None:
        return
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_rope_dimension_count(int(dim * rope.get("partial_rotary_factor", 1.0)))
    if rope["rope_type"] == "yarn":
        writer.add_string(f"{writer.arch}.rope.scaling.type", "yarn")
        writer.add_rope_scaling_factor(rope["factor"])
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])


def _expert_metadata(writer: GGUFWriter, name: str, config: dict[str, Any]) -> None:
    count = config.get("num_local_experts") or config.get("num_experts")
    if count is None:
        return
    writer.add_expert_count(count)
    writer.add_expert_used_count(config["num_experts_per_tok"])
    if name != "mixtral":
        size = config.get("moe_intermediate_size") or config["intermediate_size"]
        writer.add_expert_feed_forward_length(size)
    if "shared_expert_intermediate_size" in config:
        writer.add_expert_shared_feed_forward_length(config["shared_expert_intermediate_size"])


def _tensors(name: str, golden: Golden) -> Iterator[tuple[str, Floats]]:
    stacks: dict[str, list[Floats]] = {}
    for stored, tensor in golden.tensors.items():
        parts = stored.split(".")
        at = next((i for i, part in enumerate(parts) if part.isdigit()), None)
        if at is None:
            yield f"{_TOP[parts[-2]]}.{parts[-1]}", _turned(name, stored, tensor, golden)
            continue
        tail = parts[at + 1 :]
        kind = tail[-1] if tail[-1] in ("weight", "bias") else "weight"
        stem = ".".join(tail[:-1] if tail[-1] == kind else tail)
        if name == "gpt_oss" and ("experts" in stem or "sinks" in stem):
            for key, piece in _gpt_oss(stem, tensor):
                yield f"blk.{parts[at]}.{key}", piece
        elif "experts" in tail:
            stem = ".".join(part for part in tail[:-1] if not part.isdigit())
            stacks.setdefault(f"blk.{parts[at]}.{_NAMES[name][stem]}.weight", []).append(tensor)
        else:
            turned = _turned(name, stored, tensor, golden)
            yield f"blk.{parts[at]}.{_NAMES[name][stem]}.{kind}", turned
    for key, tensors in stacks.items():
        yield key, np.stack(tensors)


def _gpt_oss(stem: str, tensor: Floats) -> Iterator[tuple[str, Floats]]:
    if stem.endswith("sinks"):
        yield "attn_sinks.weight", tensor
        return
    kind = "bias" if stem.endswith("_bias") else "weight"
    flat = tensor if kind == "bias" else tensor.swapaxes(1, 2)
    if "gate_up" in stem:
        yield f"ffn_gate_exps.{kind}", flat[:, 0::2]
        yield f"ffn_up_exps.{kind}", flat[:, 1::2]
    else:
        yield f"ffn_down_exps.{kind}", flat


def _turned(name: str, stored: str, tensor: Floats, golden: Golden) -> Floats:
    """As llama.cpp's files have it."""
    if name == "gpt2" and tensor.ndim == 2 and ".c_" in stored:
        return tensor.T
    if name == "gemma2" and stored.endswith("norm.weight"):
        return tensor + np.float32(1)
    if stored.endswith("shared_expert_gate.weight"):
        return tensor.reshape(-1)
    heads = golden.config.get("num_attention_heads", 1)
    if "query_key_value" in stored:
        return _in_turn(name, tensor, golden.config, heads)
    if name in PAIRED and (".q_proj." in stored or ".k_proj." in stored):
        count = heads if ".q_proj." in stored else golden.config["num_key_value_heads"]
        rows = tensor.reshape(count, 2, tensor.shape[0] // count // 2, -1)
        return rows.swapaxes(1, 2).reshape(tensor.shape)
    return tensor


def _in_turn(name: str, tensor: Floats, config: dict[str, Any], heads: int) -> Floats:
    """All of q, then all of k, then all of v."""
    dim = config["hidden_size"] // heads
    groups = {"falcon": 1, "falcon-two-norms": config.get("num_kv_heads")}.get(name, heads)
    rows = tensor.reshape(groups, heads // groups + 2, dim, -1)
    parts = [rows[:, :-2], rows[:, -2], rows[:, -1]]
    flat = [part.reshape(-1, *tensor.shape[1:]) for part in parts]
    return np.concatenate(flat)
