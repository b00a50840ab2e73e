"""The six environment variables. This is the only module that reads the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping

from stoker.config.setting import Setting

CONFIG_FILE = "STOKER_CONFIG"

VARIABLES = {
    "STOKER_API_KEY": "server.api_key",
    "STOKER_CACHE": "model.cache",
    "STOKER_HOST": "server.host",
    "STOKER_PORT": "server.port",
    "STOKER_LOG_LEVEL": "log.level",
}
"""Variables that set one key each; STOKER_CONFIG, which names the file, is the sixth."""


def current() -> Mapping[str, str]:
    return os.environ


def config_file(environ: Mapping[str, str]) -> str | None:
    return environ.get(CONFIG_FILE) or None


def settings(environ: Mapping[str, str]) -> list[Setting]:
    """Settings from the variables that are set. An empty variable counts as unset."""
    return [
        Setting(key, environ[variable], f"environment {variable}", textual=True)
        for variable, key in VARIABLES.items()
        if environ.get(variable)
    ]


def ignored(environ: Mapping[str, str]) -> list[str]:
    """STOKER_ variables that mean nothing here; `stoker doctor` lists them."""
    known = {CONFIG_FILE, *VARIABLES}
    return sorted(name for name in environ if name.startswith("STOKER_") and name not in known)
