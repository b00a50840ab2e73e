"""Angular frequencies of rotary embeddings, with the scalings that extend a model's context."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stoker.model.fields import Fields
from stoker.model.spec import RopeSpec, RopeStyle

YARN_FAST, YARN_SLOW = 32.0, 1.0
"""Turns over the original context between which frequencies go over from kept to stretched."""
MAX_HEAD = 4096
"""Most elements of a head; no model comes near it."""


def base_of(fields: Fields, key: str, default: float) -> float:
    """Raises ModelFileError for a base that is not greater than one."""
    found = fields.number(key, default)
    if found <= 1:
        raise fields.fail(key, "is not greater than one")
    return found


def config_base(config: Fields, default: float) -> float:
    """`rope_theta` of a Hugging Face config, where newer or older versions put it."""
    newer = config.section("rope_parameters")
    return base_of(newer if newer and newer.has("rope_theta") else config, "rope_theta", default)


def dimensions(fields: Fields, key: str, head_dim: int) -> int:
    """How many elements of a head are rotated; all unless the file says otherwise."""
    dim = fields.integer(key, head_dim, most=MAX_HEAD)
    if dim % 2 or dim > head_dim:
        raise fields.fail(key, f"is not an even number up to {head_dim}")
    return dim


def config_dimensions(config: Fields, key: str, head_dim: int) -> int:
    """The part of a head that a Hugging Face config says is rotated."""
    newer = config.section("rope_parameters")
    holder = newer if newer is not None and newer.has("partial_rotary_factor") else config
    share = holder.number("partial_rotary_factor" if holder is newer else key, 1.0)
    dim = int(share * head_dim)
    if share > 1 or dim < 2 or dim % 2:
        raise holder.fail(key, f"does not give an even number up to {head_dim}")
    return dim


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
    if high <= low:
        raise scaling.fail("high_freq_factor", "is not greater than low_freq_factor")
    original = scaling.integer("original_max_position_embeddings", 8192)
    scaled = []
    for frequency in plain:
        turns = original * frequency / (2 * math.pi)
        smooth = min(1.0, max(0.0, (turns - low) / (high - low)))
        scaled.append(frequency * (smooth + (1 - smooth) / factor))
    return scaled


@dataclass(frozen=True, slots=True)
class Yarn:
    """The numbers of YaRN (Peng et al. 2023)."""

    factor: float
    original: int
    """Context the model was first trained with."""
    fast: float
    slow: float
    attention_factor: float | None
    """None: what the paper recommends for the factor."""
    truncate: bool = True
    """The ramp begins and ends at whole dimensions; gpt-oss has it otherwise."""

    def apply(self, plain: list[float], base: float) -> tuple[list[float], float]:
        """Scaled frequencies, and the factor on cos and sin. `base` is greater than 1."""
        dim = 2 * len(plain)

        def dimension_of(turns: float) -> float:
            return dim * math.log(self.original / (turns * 2 * math.pi)) / (2 * math.log(base))

        low, high = dimension_of(self.fast), dimension_of(self.slow)
        if self.truncate:
            low, high = math.floor(low), math.ceil(high)
        low, high = max(0.0, low), min(dim - 1.0, high)
        scaled = []
        for i, frequency in enumerate(plain):
            ramp = min(1.0, max(0.0, (i - low) / max(high - low, 0.001)))
            scaled.append(frequency * (1 - ramp) + frequency / self.factor * ramp)
        return scaled, self.usual if self.attention_factor is None else self.attention_factor

    @property
    def usual(self) -> float:
        """The paper's factor on cos and sin."""
        return max(1.0, 0.1 * math.log(self.factor) + 1.0)

    @property
    def beyond_usual(self) -> float:
        """How GGUF files state the attention factor."""
        return 1.0 if self.attention_factor is None else self.attention_factor / self.usual


def from_config(config: Fields, style: RopeStyle, dim: int, base: float) -> RopeSpec:
    """The rope of a Hugging Face config: `rope_scaling`, or `rope_parameters` in newer files."""
    scaling = config.section("rope_scaling") or config.section("rope_parameters")
    if scaling is None:
        return rope(style, dim, frequencies(base, dim))
    return from_scaling(scaling, style, dim, base, config.integer("max_position_embeddings"))


def longrope(
    style: RopeStyle, plain: list[float], factors: list[float], attention_factor: float
) -> RopeSpec:
    """LongRoPE (Ding et al. 2024) with the factors that apply up to the original context."""
    scaled = [f / factor for f, factor in zip(plain, factors, strict=False)]
    return rope(style, 2 * len(scaled), scaled, attention_factor)


def longrope_factor(scaling: Fields, context: int) -> float:
    """On cosine and sine, from how far the context was extended."""
    if scaling.has("attention_factor"):
        return scaling.number("attention_factor")
    original = scaling.integer("original_max_position_embeddings", context)
    return longrope_attention(context / original, original)


def longrope_attention(factor: float, original: int) -> float:
    return math.sqrt(1 + math.log(factor) / math.log(original)) if factor > 1 else 1.0


def yarn_of(scaling: Fields, context: int) -> Yarn:
    given = "attention_factor"
    return Yarn(
        factor=scaling.number("factor"),
        original=scaling.integer("original_max_position_embeddings", context),
        fast=scaling.number("beta_fast", YARN_FAST),
        slow=scaling.number("beta_slow", YARN_SLOW),
        attention_factor=scaling.number(given) if scaling.has(given) else None,
        truncate=scaling.flag("truncate", True),
    )


def from_scaling(
    scaling: Fields, style: RopeStyle, dim: int, base: float, context: int
) -> RopeSpec:
    plain = frequencies(base, dim)
    kind = scaling.text("rope_type", scaling.text("type", "default"))
    if kind == "default":
        return rope(style, dim, plain)
    if kind == "linear":
        factor = scaling.number("factor")
        return rope(style, dim, [f / factor for f in plain])
    if kind == "llama3":
        return rope(style, dim, llama3(plain, scaling))
    if kind == "yarn":
        return rope(style, dim, *yarn_of(scaling, context).apply(plain, base))
    if kind in ("longrope", "su"):
        return longrope(
            style, plain, scaling.numbers("short_factor"), longrope_factor(scaling, context)
        )
    raise scaling.fail("rope_type", f"'{kind}' is not supported")


def from_gguf(
    fields: Fields,
    style: RopeStyle,
    dim: int,
    base: float,
    factors: list[float] | None,
    *,
    truncate: bool = True,
) -> RopeSpec:
    """The rope of GGUF metadata. `factors` are those of the file's rope_freqs tensor, if any."""
    plain = frequencies(base, dim)
    if factors is not None:
        if len(factors) != len(plain) or any(not 0 < factor < 1e30 for factor in factors):
            raise fields.fail("rope_freqs", "does not match the rope dimensions")
        return rope(style, dim, [f / factor for f, factor in zip(plain, factors, strict=True)])
    kind = fields.text("rope.scaling.type", "none")
    if kind == "none":
        return rope(style, dim, plain)
    factor = fields.number("rope.scaling.factor")
    if kind == "linear":
        return rope(style, dim, [f / factor for f in plain])
    if kind == "yarn":
        yarn = Yarn(
            factor=factor,
            original=fields.integer(
                "rope.scaling.original_context_length", fields.integer("context_length")
            ),
            fast=fields.number("rope.scaling.yarn_beta_fast", YARN_FAST),
            slow=fields.number("rope.scaling.yarn_beta_slow", YARN_SLOW),
            attention_factor=None,
            truncate=truncate,
        )
        scaled, usual = yarn.apply(plain, base)
        return rope(style, dim, scaled, usual * fields.number("rope.scaling.attn_factor", 1.0))
    raise fields.fail("rope.scaling.type", f"'{kind}' is not supported")
