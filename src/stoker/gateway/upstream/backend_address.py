"""Where a foreign server is: the one reading of a configured address."""

from __future__ import annotations

from urllib.parse import urlsplit

from yarl import URL

from stoker.errors import ConfigError


class BackendAddress:
    def __init__(self, url: str) -> None:
        """Raises ConfigError for an address that two readers understand differently."""
        self.base, split = URL(url), urlsplit(url)
        if (self.base.scheme, self.base.host, self.base.port) != (
            split.scheme,
            split.hostname,
            split.port or (443 if split.scheme == "https" else 80),
        ):
            raise ConfigError(
                "a backend's url can be understood in two ways", hint="Write http://HOST:PORT/PATH."
            )

    def at(self, path: str) -> URL:
        """Below the address; a path that begins with a slash, below its host."""
        if path.startswith("/"):
            return self.base.with_path(path)
        return self.base.joinpath(path, encoded=True)
