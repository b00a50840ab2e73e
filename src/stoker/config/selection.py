"""The models that a command line names, instead of all that the file has."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stoker.config.consistency import check
from stoker.config.fleet_schema import ModelEntry
from stoker.config.schema import Config


def select(config: Config, names: Sequence[str]) -> Config:
    """A model that the file has keeps what the file says of it; any other is a catalog name, a path
    or a repository. One name and a file without models: the section [model] says the rest.

    Raises ConfigError when something in the file needs a model that is left out.
    """
    if not names or (len(names) == 1 and not config.models):
        return config
    entries = {model.name.casefold(): model for model in config.models}
    chosen = (
        entries.get(name.casefold())
        or ModelEntry(name=name, draft=config.model.draft, quantize=config.model.quantize)
        for name in dict.fromkeys(names)
    )
    selected = msgspec.structs.replace(config, models=tuple(chosen))
    check(selected)
    return selected
