"""What a model family is: two mappings onto DecoderSpec, and the names of its tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stoker.model.fields import Fields
from stoker.model.spec import DecoderSpec

GGUF_NAMES = {
    "embedding": "token_embd.weight",
    "head": "output.weight",
    "final_norm": "output_norm.weight",
    "attention_norm": "blk.{i}.attn_norm.weight",
    "q": "blk.{i}.attn_q.weight",
    "k": "blk.{i}.attn_k.weight",
    "v": "blk.{i}.attn_v.weight",
    "o": "blk.{i}.attn_output.weight",
    "q_bias": "blk.{i}.attn_q.bias",
    "k_bias": "blk.{i}.attn_k.bias",
    "v_bias": "blk.{i}.attn_v.bias",
    "q_norm": "blk.{i}.attn_q_norm.weight",
    "k_norm": "blk.{i}.attn_k_norm.weight",
    "attention_post_norm": "blk.{i}.post_attention_norm.weight",
    "feed_forward_norm": "blk.{i}.ffn_norm.weight",
    "gate": "blk.{i}.ffn_gate.weight",
    "up": "blk.{i}.ffn_up.weight",
    "down": "blk.{i}.ffn_down.weight",
    "feed_forward_post_norm": "blk.{i}.post_ffw_norm.weight",
}

HUGGING_FACE_NAMES = {
    "embedding": "model.embed_tokens.weight",
    "head": "lm_head.weight",
    "final_norm": "model.norm.weight",
    "attention_norm": "model.layers.{i}.input_layernorm.weight",
    "q": "model.layers.{i}.self_attn.q_proj.weight",
    "k": "model.layers.{i}.self_attn.k_proj.weight",
    "v": "model.layers.{i}.self_attn.v_proj.weight",
    "o": "model.layers.{i}.self_attn.o_proj.weight",
    "q_bias": "model.layers.{i}.self_attn.q_proj.bias",
    "k_bias": "model.layers.{i}.self_attn.k_proj.bias",
    "v_bias": "model.layers.{i}.self_attn.v_proj.bias",
    "q_norm": "model.layers.{i}.self_attn.q_norm.weight",
    "k_norm": "model.layers.{i}.self_attn.k_norm.weight",
    "feed_forward_norm": "model.layers.{i}.post_attention_layernorm.weight",
    "gate": "model.layers.{i}.mlp.gate_proj.weight",
    "up": "model.layers.{i}.mlp.up_proj.weight",
    "down": "model.layers.{i}.mlp.down_proj.weight",
}


@dataclass(frozen=True, slots=True)
class GgufModel:
    """What a family may look at in a GGUF file."""

    fields: Fields
    """Metadata under the architecture's prefix."""
    tensor_names: frozenset[str]
    vocab_size: int
    rope_factors: list[float] | None

    @property
    def tied(self) -> bool:
        return "output.weight" not in self.tensor_names


@dataclass(frozen=True, slots=True)
class Family:
    name: str
    """The GGUF architecture name and the Hugging Face model_type, which agree."""
    from_gguf: Callable[[GgufModel], DecoderSpec]
    from_config: Callable[[Fields], DecoderSpec]
    gguf_names: dict[str, str]
    hugging_face_names: dict[str, str]


def canonical_names(spec: DecoderSpec, names: dict[str, str]) -> dict[str, str]:
    """Canonical tensor name → name in the file, for every tensor the spec needs."""
    wanted = ["attention_norm", "q", "k", "v", "o", "feed_forward_norm", "gate", "up", "down"]
    if spec.qkv_bias:
        wanted += ["q_bias", "k_bias", "v_bias"]
    if spec.qk_norm:
        wanted += ["q_norm", "k_norm"]
    if spec.post_norms:
        wanted += ["attention_post_norm", "feed_forward_post_norm"]
    table = {name: names[name] for name in ("embedding", "final_norm")}
    if not spec.tied_head:
        table["head"] = names["head"]
    for i in range(spec.num_layers):
        for name in wanted:
            table[f"layers.{i}.{name}"] = names[name].format(i=i)
    return table
