"""What clients can ask for: the models and routes of a configuration."""

from __future__ import annotations

from stoker.config.adapter_entries import adapter_entries
from stoker.config.fleet_schema import ModelEntry
from stoker.config.schema import Config


def models(config: Config) -> tuple[ModelEntry, ...]:
    """Our models: the [[models]], or without any the one of [model]. A file that has backends and
    no models serves none of its own."""
    if config.models or config.backends:
        return config.models
    section = config.model
    return (
        ModelEntry(
            name=section.served_name or section.name,
            source=section.name,
            draft=section.draft,
            quantize=section.quantize,
            adapters=section.adapters,
            replicas=section.replicas,
        ),
    )


def names(config: Config) -> list[str]:
    """What a request may name, routes first; a route may have taken a model's name."""
    own = models(config)
    every = [route.name for route in config.routes] + [model.name for model in own]
    every += [name for model in own for name, _ in adapter_entries(model)]
    return list({name.casefold(): name for name in reversed(every)}.values())[::-1]
