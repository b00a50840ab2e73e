"""A folder's configuration in the terms of GGUF metadata."""

from __future__ import annotations

from stoker.errors import UnsupportedModel
from stoker.model.families import rope
from stoker.model.families.gemma import PATTERN, every
from stoker.model.fields import Fields
from stoker.model.load import Model
from stoker.model.multimodal import text_config
from stoker.model.registry import find_family
from stoker.model.spec import DecoderSpec, RopeSpec
from stoker.model.weights import gguf_writer as gguf

WRITTEN = ("llama", "qwen2", "qwen3", "gemma3")
"""Architectures whose files this module knows how to write."""


def architecture(model: Model) -> str:
    """GGUF's name for a folder's model. Raises UnsupportedModel if we do not write such files."""
    kind = str(model.metadata["config.json"]["model_type"])
    name = find_family(kind).gguf_name
    if name not in WRITTEN or any(layer.experts for layer in model.spec.layers):
        raise UnsupportedModel(
            f"a folder of architecture '{kind}' cannot be written as GGUF",
            hint="Serve it with --quantize instead, or convert a GGUF file of it.",
        )
    return name


def shape_entries(model: Model) -> list[bytes]:
    """Raises UnsupportedModel for what GGUF files of the family have no words for."""
    name, spec = architecture(model), model.spec
    if name == "gemma3" and [layer.window is None for layer in spec.layers] != every(
        PATTERN, spec.num_layers
    ):
        raise UnsupportedModel("GGUF files of gemma3 cannot state which layers have a window")
    config = _config(model)
    counts = {
        "context_length": spec.max_context,
        "embedding_length": spec.hidden_size,
        "feed_forward_length": spec.feed_forward_size,
        "block_count": spec.num_layers,
        "attention.head_count": spec.num_heads,
        "attention.head_count_kv": spec.num_kv_heads,
        "attention.key_length": spec.head_dim,
        "attention.value_length": spec.head_dim,
        "rope.dimension_count": _first_rope(spec).dim,
        "vocab_size": spec.vocab_size,
    }
    windows = {layer.window for layer in spec.layers if layer.window is not None}
    if windows:
        counts["attention.sliding_window"] = max(windows)
    return [
        gguf.text("general.architecture", name),
        gguf.text("general.name", model.path.resolve().name),
        *(gguf.count(f"{name}.{key}", value) for key, value in counts.items()),
        gguf.number(f"{name}.attention.layer_norm_rms_epsilon", spec.norm_eps),
        *_rope_entries(name, config),
    ]


def _first_rope(spec: DecoderSpec) -> RopeSpec:
    found = spec.layers[0].rope
    if found is None:
        raise UnsupportedModel("its layers have no rope")
    return found


def _config(model: Model) -> Fields:
    return text_config(Fields(model.path / "config.json", model.metadata["config.json"]))


def rope_factors(model: Model) -> list[float]:
    """What Llama 3's scaling divides each frequency by; empty for any other scaling."""
    config = _config(model)
    scaling = _scaling(config)
    if scaling is None or _kind(scaling) != "llama3":
        return []
    scaled = _first_rope(model.spec).inverse_frequencies
    plain = rope.frequencies(rope.config_base(config, 10_000.0), 2 * len(scaled))
    return [before / after for before, after in zip(plain, scaled, strict=True)]


def _rope_entries(name: str, config: Fields) -> list[bytes]:
    gemma = name == "gemma3"
    scaling = _scaling(config)
    holder = scaling if scaling is not None and scaling.has("rope_theta") else config
    base = rope.base_of(holder, "rope_theta", 1_000_000.0 if gemma else 10_000.0)
    entries = [gguf.number(f"{name}.rope.freq_base", base)]
    kind = "default" if scaling is None else _kind(scaling)
    if scaling is None or kind not in ("linear", "yarn"):
        return entries
    key = f"{name}.rope.scaling."
    entries += [
        gguf.text(f"{key}type", kind),
        gguf.number(f"{key}factor", scaling.number("factor")),
    ]
    if kind == "yarn":
        numbers = rope.yarn_of(scaling, config.integer("max_position_embeddings"))
        entries += [
            gguf.count(f"{key}original_context_length", numbers.original),
            gguf.number(f"{key}yarn_beta_fast", numbers.fast),
            gguf.number(f"{key}yarn_beta_slow", numbers.slow),
            gguf.number(f"{key}attn_factor", numbers.beyond_usual),
        ]
    return entries


def _scaling(config: Fields) -> Fields | None:
    newer = config.section("rope_parameters")
    everywhere = newer.section("full_attention") if newer else None
    return everywhere or config.section("rope_scaling") or newer


def _kind(scaling: Fields) -> str:
    return scaling.text("rope_type", scaling.text("type", "default"))
