"""Watches the configuration file while the server runs, and hands on what changes.

The file is looked at on a thread: every second, and at once on SIGHUP. A look sees names, not
notifications, so editors that rename, links that Kubernetes swaps and network disks all work.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

from stoker.config.load import LoadedConfig
from stoker.config.reload import Reload, plan
from stoker.config.schema import Config
from stoker.config.secret_file import files
from stoker.errors import ConfigError

POLL_SECONDS = 1.0
SETTLE_SECONDS = 0.2
"""Two looks this far apart must agree: a file is not read while an editor still writes it."""
SETTLE_LOOKS = 50

log = logging.getLogger("stoker.config")

Apply = Callable[[Config, Reload], Awaitable[None]]
"""Puts `config` in force. Called only when something live changed, never twice at once."""
Fingerprint = Mapping[Path, tuple[int, ...]]
"""For each file that is there: where it is kept, its size and times."""


def fingerprint(paths: Iterable[Path]) -> Fingerprint:
    found: dict[Path, tuple[int, ...]] = {}
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            continue
        found[path] = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    return found


class ConfigWatcher:
    """`reload` reads the sources again, flags included, and runs on a thread. A ConfigError it
    raises is one line in the log, and what was in force stays so."""

    def __init__(
        self,
        loaded: LoadedConfig,
        reload: Callable[[], LoadedConfig],
        apply: Apply,
        *,
        look: Callable[[Iterable[Path]], Fingerprint] = fingerprint,
        poll_seconds: float = POLL_SECONDS,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        self.config = loaded.config
        """In force."""
        self._path = loaded.path
        self._reload = reload
        self._apply = apply
        self._look = look
        self._poll_seconds = poll_seconds
        self._settle_seconds = settle_seconds
        self._asked = asyncio.Event()
        self._seen = look(self._watched())

    def ask(self) -> None:
        """Look now, whatever the file's times say. Safe in a signal handler of the loop."""
        self._asked.set()

    async def run(self) -> None:
        """Until cancelled. SIGHUP asks meanwhile."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self.ask)
        try:
            while True:
                await self.look(asked=await self._pause())
        finally:
            loop.remove_signal_handler(signal.SIGHUP)

    async def _pause(self) -> bool:
        """Until the next look is due; True when it was asked for."""
        try:
            await asyncio.wait_for(self._asked.wait(), self._poll_seconds)
        except TimeoutError:
            return False
        self._asked.clear()
        return True

    async def look(self, *, asked: bool = False) -> Reload | None:
        """One look; what was put in force, if anything was."""
        found = await self._looked()
        if found == self._seen and not asked:
            return None
        self._seen = await self._settled(found)
        try:
            loaded = await asyncio.to_thread(self._reload)
        except ConfigError as error:
            hint = f" ({error.hint.rstrip('.')})" if error.hint else ""
            log.error("the configuration stays as it was: %s%s", error.message, hint)
            return None
        for advice in loaded.warnings:
            log.warning("%s", advice)
        return await self._take(plan(self.config, loaded.config))

    async def _take(self, reload: Reload) -> Reload | None:
        if reload.restart:
            log.warning("needs a restart: %s", _named(reload.restart))
        if not reload.live:
            return None
        try:
            await self._apply(reload.config, reload)
        except Exception:
            log.exception("the configuration could not be put in force")
            return None
        self.config = reload.config
        log.info("configuration changed: %s", _named(reload.live))
        return reload

    async def _settled(self, found: Fingerprint) -> Fingerprint:
        for _ in range(SETTLE_LOOKS):
            await asyncio.sleep(self._settle_seconds)
            before, found = found, await self._looked()
            if found == before:
                break
        return found

    async def _looked(self) -> Fingerprint:
        return await asyncio.to_thread(self._look, self._watched())

    def _watched(self) -> list[Path]:
        """The file, and those with secrets that it names."""
        named = [path for _, path in files(self.config)]
        return [self._path, *named] if self._path else named


def _named(changes: Iterable[object]) -> str:
    return "; ".join(map(str, changes))
