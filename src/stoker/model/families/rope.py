"""Angular frequencies of rotary embeddings, with the scalings that extend a model's context."""

from __future__ import annotations

import math

from stoker.model.fields import Fields
from stoker.model.spec import RopeSpec, RopeStyle


def frequencies(base: float, dim: int) -> list[float]:
    """Su et al. 2021: base ** (-2i / dim)."""
    return [base ** (-2.0 * i / dim) for i in range(dim // 2)]


def rope(
    style: RopeStyle, dim: int, inverse_frequencies: list[float], factor: float = 1.0
) -> RopeSpec:
    return RopeSpec(
        style=style,
        dim=dim,
        inverse_frequencies=tuple(inverse_frequencies),
        attention_factor=factor,
    )


def llama3(plain: list[float], scaling: Fields) -> list[float]:
    """Llama 3.1: long wavelengths are stretched, short ones kept, a smooth ramp between."""
    factor = scaling.number("factor")
    low = scaling.number("low_freq_factor", 1.0)
    high = scaling.number("high_freq_factor", 4.0)
    original = scaling.integer("original_max_position_embeddings", 8192)
    scaled = []
    for frequency in plain:
        turns = original * frequency / (2 * math.pi)
        smooth = min(1.0, max(0.0, (turns - low) / (high - low)))
        scaled.append(frequency * (smooth + (1 - smooth) / factor))
    return scaled


def yarn(
    plain: list[float], factor: float, original: int, base: float
) -> tuple[list[float], float]:
    """Peng et al. 2023 with its default betas; returns frequencies and the attention factor."""
    dim = 2 * len(plain)

    def dimension_of(turns: float) -> float:
        return dim * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(base))

    low = max(0.0, math.floor(dimension_of(32.0)))
    high = min(dim - 1.0, math.ceil(dimension_of(1.0)))
    scaled = []
    for i, frequency in enumerate(plain):
        ramp = min(1.0, max(0.0, (i - low) / max(high - low, 0.001)))
        scaled.append(frequency * (1 - ramp) + frequency / factor * ramp)
    return scaled, 0.1 * math.log(factor) + 1.0


def from_config(config: Fields, style: RopeStyle, dim: int, base: float) -> RopeSpec:
    """The rope of a Hugging Face config: `rope_scaling`, or `rope_parameters` in newer files."""
    plain = frequencies(base, dim)
    scaling = config.section("rope_scaling") or config.section("rope_parameters")
    if scaling is None:
        return rope(style, dim, plain)
    kind = scaling.text("rope_type", scaling.text("type", "default"))
    if kind == "default":
        return rope(style, dim, plain)
    if kind == "linear":
        return rope(style, dim, [f / scaling.number("factor") for f in plain])
    if kind == "llama3":
        return rope(style, dim, llama3(plain, scaling))
    if kind == "yarn":
        original = scaling.integer(
            "original_max_position_embeddings", config.integer("max_position_embeddings")
        )
        return rope(style, dim, *yarn(plain, scaling.number("factor"), original, base))
    raise config.fail("rope_scaling", f"of type '{kind}' is not supported")


def from_gguf(
    fields: Fields, style: RopeStyle, dim: int, base: float, factors: list[float] | None
) -> RopeSpec:
    """The rope of GGUF metadata. `factors` are those of the file's rope_freqs tensor, if any."""
    plain = frequencies(base, dim)
    if factors is not None:
        if len(factors) != len(plain) or any(not factor > 0 for factor in factors):
            raise fields.fail("rope_freqs", "does not match the rope dimensions")
        return rope(style, dim, [f / factor for f, factor in zip(plain, factors, strict=True)])
    kind = fields.text("rope.scaling.type", "none")
    if kind == "none":
        return rope(style, dim, plain)
    factor = fields.number("rope.scaling.factor")
    if kind == "linear":
        return rope(style, dim, [f / factor for f in plain])
    if kind == "yarn":
        original = fields.integer(
            "rope.scaling.original_context_length", fields.integer("context_length")
        )
        return rope(style, dim, *yarn(plain, factor, original, base))
    raise fields.fail("rope.scaling.type", f"'{kind}' is not supported")
