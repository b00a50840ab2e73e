"""What clients can ask for: the models and routes of a configuration."""

from __future__ import annotations

from stoker.config.fleet_schema import ModelEntry
from stoker.config.schema import Config


def models(config: Config) -> tuple[ModelEntry, ...]:
    """Our models: the [[models]], or without any the one of [model]. A file that only has routes to
    backends serves none of its own."""
    if config.models or config.routes:
        return config.models
    section = config.model
    name = section.served_name or section.name
    return (ModelEntry(name=name, source=section.name, quantize=section.quantize),)


def names(config: Config) -> list[str]:
    """What a request may name, routes first; a route may have taken a model's name."""
    every = [route.name for route in config.routes] + [model.name for model in models(config)]
    return list({name.casefold(): name for name in reversed(every)}.values())[::-1]
