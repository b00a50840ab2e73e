"""Mixtures of experts in metadata, as the families that have them share it."""

from __future__ import annotations

from msgspec.structs import replace

from stoker.model.families.family import HUGGING_FACE_NAMES
from stoker.model.families.naming import Names, whole
from stoker.model.fields import Fields
from stoker.model.spec import DecoderSpec, ExpertSpec

MAX_EXPERTS = 4096
_COUNTS = ("num_local_experts", "num_experts")


def from_gguf(fields: Fields, *, normalised: bool, router_bias: bool = False) -> ExpertSpec | None:
    """None for a file without experts."""
    if not fields.has("expert_count"):
        return None
    dense = fields.integer("feed_forward_length", 1)
    return ExpertSpec(
        count=fields.integer("expert_count", most=MAX_EXPERTS),
        used=fields.integer("expert_used_count", most=MAX_EXPERTS),
        size=fields.integer("expert_feed_forward_length", dense),
        normalised=normalised,
        router_bias=router_bias,
        shared_size=_optional(fields, "expert_shared_feed_forward_length"),
    )


def from_config(
    config: Fields, size: str, *, normalised: bool, router_bias: bool = False
) -> ExpertSpec:
    """`size` is the key that the family has the size of an expert under."""
    count = next((key for key in _COUNTS if config.has(key)), _COUNTS[0])
    return ExpertSpec(
        count=config.integer(count, most=MAX_EXPERTS),
        used=config.integer("num_experts_per_tok", most=MAX_EXPERTS),
        size=config.integer(size),
        normalised=normalised,
        router_bias=router_bias,
        shared_size=_optional(config, "shared_expert_intermediate_size"),
    )


def in_layers(
    spec: DecoderSpec, experts: ExpertSpec, dense: frozenset[int] = frozenset()
) -> DecoderSpec:
    """The spec with experts in every layer but the `dense` ones."""
    layers = (
        layer if i in dense else replace(layer, experts=experts)
        for i, layer in enumerate(spec.layers)
    )
    return replace(spec, layers=tuple(layers))


def hugging_face_names(block: str, gate: str, up: str, down: str) -> Names:
    """Of checkpoints with one tensor an expert, in `block` of each layer."""
    at = f"model.layers.{{i}}.{block}."
    return HUGGING_FACE_NAMES | whole(
        router=f"{at}gate.weight",
        experts_gate=f"{at}experts.{{e}}.{gate}.weight",
        experts_up=f"{at}experts.{{e}}.{up}.weight",
        experts_down=f"{at}experts.{{e}}.{down}.weight",
        shared_gate=f"{at}shared_expert.gate_proj.weight",
        shared_up=f"{at}shared_expert.up_proj.weight",
        shared_down=f"{at}shared_expert.down_proj.weight",
        shared_router=f"{at}shared_expert_gate.weight",
    )


def _optional(fields: Fields, key: str) -> int:
    return fields.integer(key) if fields.has(key) else 0
