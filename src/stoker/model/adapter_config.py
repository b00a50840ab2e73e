"""adapter_config.json as PEFT writes it: what we need of it, and a refusal of all else by name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stoker.errors import ConfigError
from stoker.model.fields import Fields
from stoker.model.json_file import read_json

CONFIG = "adapter_config.json"
MAX_RANK = 1024
_WITHOUT_EFFECT = frozenset(
    {"auto_mapping", "base_model_name_or_path", "corda_config", "ensure_weight_tying", "eva_config",
     "exclude_modules", "fan_in_fan_out", "inference_mode", "layers_pattern",
     "layers_to_transform", "loftq_config", "lora_dropout", "lora_ga_config", "megatron_config",
     "megatron_core", "peft_version", "qalora_group_size", "revision", "runtime_config",
     "task_type"}
    | {"bias", "init_lora_weights", "lora_alpha", "peft_type", "r", "target_modules", "use_rslora"}
)  # fmt: skip
"""Keys that say how an adapter was trained, and those that are read here."""
_CHANGED_BASES = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Beginnings that take a part out of the model's own weights (PEFT's names)."""


@dataclass(frozen=True, slots=True)
class AdapterConfig:
    rank: int
    scale: float
    """Multiplies B·A."""
    targets: tuple[str, ...]
    """How names of adapted modules end; empty: any."""


def read_adapter_config(folder: Path) -> AdapterConfig:
    """Raises ConfigError naming what is not supported, ModelFileError for a defect."""
    path = folder / CONFIG
    values = read_json(path)
    _refuse(path, values)
    fields = Fields(path, values)
    rank = fields.integer("r", most=MAX_RANK)
    alpha = fields.number("lora_alpha", float(rank))
    stabilised = fields.flag("use_rslora", False)  # Kalajdzievski 2023
    # A text is a pattern or 'all-linear': then the tensors alone say what is adapted.
    listed = not isinstance(values.get("target_modules"), str)
    targets = fields.texts("target_modules", []) if listed else []
    scale = alpha / (math.sqrt(rank) if stabilised else rank)
    return AdapterConfig(rank, scale, tuple(targets))


def _refuse(path: Path, values: dict[str, Any]) -> None:
    kind = values.get("peft_type")
    if kind != "LORA":
        raise _unsupported(path, f"peft_type {kind!r}")
    if values.get("bias", "none") != "none":
        raise _unsupported(path, "bias other than 'none'")
    begun = values.get("init_lora_weights")
    if isinstance(begun, str) and begun.startswith(_CHANGED_BASES):
        raise _unsupported(
            path, f"init_lora_weights {begun!r}", hint="Convert it to a plain LoRA adapter first."
        )
    for key, value in values.items():
        if value and key not in _WITHOUT_EFFECT:
            raise _unsupported(path, str(key)[:64])


def _unsupported(path: Path, what: str, hint: str | None = None) -> ConfigError:
    given = hint or "Plain LoRA is supported: A and B for the matrices of attention and MLP."
    return ConfigError(f"{path}: {what} is not supported in an adapter", hint=given)
