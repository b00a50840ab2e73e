"""gpt-oss: experts with biases, attention sinks, and a window in every other layer."""

from __future__ import annotations

from msgspec.structs import replace

from stoker.model.families import mixture, rope
from stoker.model.families.family import GGUF_NAMES, HUGGING_FACE_NAMES, Family, GgufModel
from stoker.model.families.llama import plain_config, plain_gguf
from stoker.model.families.naming import Stored, fused, whole
from stoker.model.fields import Fields
from stoker.model.spec import Activation, DecoderSpec, ExpertSpec, RopeStyle

SWIGLU_LIMIT = 7.0
_AT = "model.layers.{i}."
_EXPERTS = f"{_AT}mlp.experts."


def _each_inner_row(spec: DecoderSpec) -> int:
    """Gate and up take turns, row by row, through all experts of a layer."""
    experts = spec.layers[0].experts
    return experts.count * experts.size if experts else 1


_GGUF = GGUF_NAMES | whole(feed_forward_norm="blk.{i}.post_attention_norm.weight")
_NAMES = (
    HUGGING_FACE_NAMES
    | whole(
        sinks=f"{_AT}self_attn.sinks",
        router=f"{_AT}mlp.router.weight",
        router_bias=f"{_AT}mlp.router.bias",
        experts_down_bias=f"{_EXPERTS}down_proj_bias",
    )
    | {"experts_down": Stored((f"{_EXPERTS}down_proj",), transposed=True)}
    | fused(
        f"{_EXPERTS}gate_up_proj",
        "experts_gate",
        "experts_up",
        groups=_each_inner_row,
        transposed=True,
    )
    | fused(
        f"{_EXPERTS}gate_up_proj_bias",
        "experts_gate_bias",
        "experts_up_bias",
        groups=_each_inner_row,
    )
)


def _shaped(spec: DecoderSpec, experts: ExpertSpec, windows: list[int | None]) -> DecoderSpec:
    layers = (
        replace(layer, window=window) for layer, window in zip(spec.layers, windows, strict=True)
    )
    shaped = replace(
        spec,
        family="gpt_oss",
        layers=tuple(layers),
        output_bias=True,
        attention_sinks=True,
        activation=Activation.CLAMPED_SWIGLU,
        feed_forward_bias=True,
    )
    return mixture.in_layers(shaped, experts)


def _from_gguf(model: GgufModel) -> DecoderSpec:
    fields = model.fields
    spec = plain_gguf(model, "gpt_oss", RopeStyle.HALVES, qkv_bias=True)
    base = rope.base_of(fields, "rope.freq_base", 150_000.0)
    scaled = rope.from_gguf(
        fields, RopeStyle.HALVES, spec.head_dim, base, model.rope_factors, truncate=False
    )
    spec = replace(spec, layers=tuple(replace(layer, rope=scaled) for layer in spec.layers))
    experts = mixture.from_gguf(fields, normalised=True, router_bias=True)
    if experts is None:
        raise fields.fail("expert_count", "is missing")
    window = fields.integer("attention.sliding_window", 128)
    return _shaped(spec, experts, [None if i % 2 else window for i in range(spec.num_layers)])


def _from_config(config: Fields) -> DecoderSpec:
    if config.number("swiglu_limit", SWIGLU_LIMIT) != SWIGLU_LIMIT:
        raise config.fail("swiglu_limit", f"is not {SWIGLU_LIMIT}")
    if config.has("quantization_config"):
        raise config.fail("quantization_config", "has weights in MXFP4, which is not supported yet")
    spec = plain_config(config, None, qkv_bias=True)
    experts = mixture.from_config(config, "intermediate_size", normalised=True, router_bias=True)
    default = ["sliding_attention", "full_attention"] * spec.num_layers
    kinds = config.texts("layer_types", default[: spec.num_layers])
    if len(kinds) != spec.num_layers or not set(kinds) <= set(default):
        raise config.fail("layer_types", "does not name one known kind for each layer")
    window = config.integer("sliding_window", 128)
    return _shaped(spec, experts, [window if k == "sliding_attention" else None for k in kinds])


GPT_OSS = Family("gpt_oss", _from_gguf, _from_config, _GGUF, _NAMES, "gpt-oss")
