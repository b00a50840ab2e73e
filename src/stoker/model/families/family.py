"""What a model family is: two mappings onto DecoderSpec, and where its files keep its tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stoker.model.families.naming import Names, whole
from stoker.model.fields import Fields
from stoker.model.spec import DecoderSpec

GGUF_NAMES = whole(
    embedding="token_embd.weight",
    positions="position_embd.weight",
    head="output.weight",
    final_norm="output_norm.weight",
    final_norm_bias="output_norm.bias",
    attention_norm="blk.{i}.attn_norm.weight",
    attention_norm_bias="blk.{i}.attn_norm.bias",
    q="blk.{i}.attn_q.weight",
    k="blk.{i}.attn_k.weight",
    v="blk.{i}.attn_v.weight",
    o="blk.{i}.attn_output.weight",
    q_bias="blk.{i}.attn_q.bias",
    k_bias="blk.{i}.attn_k.bias",
    v_bias="blk.{i}.attn_v.bias",
    o_bias="blk.{i}.attn_output.bias",
    q_norm="blk.{i}.attn_q_norm.weight",
    k_norm="blk.{i}.attn_k_norm.weight",
    sinks="blk.{i}.attn_sinks.weight",
    attention_post_norm="blk.{i}.post_attention_norm.weight",
    feed_forward_norm="blk.{i}.ffn_norm.weight",
    feed_forward_norm_bias="blk.{i}.ffn_norm.bias",
    gate="blk.{i}.ffn_gate.weight",
    up="blk.{i}.ffn_up.weight",
    down="blk.{i}.ffn_down.weight",
    gate_bias="blk.{i}.ffn_gate.bias",
    up_bias="blk.{i}.ffn_up.bias",
    down_bias="blk.{i}.ffn_down.bias",
    feed_forward_post_norm="blk.{i}.post_ffw_norm.weight",
    router="blk.{i}.ffn_gate_inp.weight",
    router_bias="blk.{i}.ffn_gate_inp.bias",
    experts_gate="blk.{i}.ffn_gate_exps.weight",
    experts_up="blk.{i}.ffn_up_exps.weight",
    experts_down="blk.{i}.ffn_down_exps.weight",
    experts_gate_bias="blk.{i}.ffn_gate_exps.bias",
    experts_up_bias="blk.{i}.ffn_up_exps.bias",
    experts_down_bias="blk.{i}.ffn_down_exps.bias",
    shared_gate="blk.{i}.ffn_gate_shexp.weight",
    shared_up="blk.{i}.ffn_up_shexp.weight",
    shared_down="blk.{i}.ffn_down_shexp.weight",
    shared_router="blk.{i}.ffn_gate_inp_shexp.weight",
)

HUGGING_FACE_NAMES = whole(
    embedding="model.embed_tokens.weight",
    head="lm_head.weight",
    final_norm="model.norm.weight",
    final_norm_bias="model.norm.bias",
    attention_norm="model.layers.{i}.input_layernorm.weight",
    attention_norm_bias="model.layers.{i}.input_layernorm.bias",
    q="model.layers.{i}.self_attn.q_proj.weight",
    k="model.layers.{i}.self_attn.k_proj.weight",
    v="model.layers.{i}.self_attn.v_proj.weight",
    o="model.layers.{i}.self_attn.o_proj.weight",
    q_bias="model.layers.{i}.self_attn.q_proj.bias",
    k_bias="model.layers.{i}.self_attn.k_proj.bias",
    v_bias="model.layers.{i}.self_attn.v_proj.bias",
    o_bias="model.layers.{i}.self_attn.o_proj.bias",
    q_norm="model.layers.{i}.self_attn.q_norm.weight",
    k_norm="model.layers.{i}.self_attn.k_norm.weight",
    feed_forward_norm="model.layers.{i}.post_attention_layernorm.weight",
    feed_forward_norm_bias="model.layers.{i}.post_attention_layernorm.bias",
    gate="model.layers.{i}.mlp.gate_proj.weight",
    up="model.layers.{i}.mlp.up_proj.weight",
    down="model.layers.{i}.mlp.down_proj.weight",
)


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
    """Hugging Face's model_type."""
    from_gguf: Callable[[GgufModel], DecoderSpec]
    from_config: Callable[[Fields], DecoderSpec]
    gguf_names: Names
    hugging_face_names: Names
    architecture: str = ""
    """GGUF's name, where it is another."""
    ignored: tuple[str, ...] = ()
    """How names of tensors end that some checkpoints carry and the model does not need."""
    spare: tuple[str, ...] = ()
    """Likewise, where other checkpoints of the family do need them."""
    limits: str = ""
    """What we refuse or leave out, for docs/models.md."""

    @property
    def gguf_name(self) -> str:
        return self.architecture or self.name
