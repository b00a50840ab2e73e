"""A file that changes under a running server: taken if it is sound, refused in one line if not."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Iterable
from pathlib import Path

import pytest

from stoker.config.load import load
from stoker.config.reload import Reload
from stoker.config.schema import Config
from stoker.config.watch import ConfigWatcher, Fingerprint, fingerprint

BEFORE = "[queue]\nmax_seconds = 5.0\n"
AFTER = "[queue]\nmax_seconds = 6.0\n"


class Server:
    """Stands for what the configuration is applied to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_text(BEFORE)
        self.taken: list[Config] = []
        self.told = asyncio.Event()
        self.loads = 0
        self.watcher = self.watch()

    def watch(self, **options: object) -> ConfigWatcher:
        self.watcher = ConfigWatcher(
            load(path=self.path, environ={}),
            self._load,
            self._apply,
            poll_seconds=0.005,
            settle_seconds=0,
            **options,  # type: ignore[arg-type]
        )
        return self.watcher

    def _load(self):
        self.loads += 1
        return load(path=self.path, environ={})

    async def _apply(self, config: Config, reload: Reload) -> None:
        assert reload.config == config
        self.taken.append(config)
        self.told.set()


@pytest.fixture
async def server(tmp_path: Path) -> Server:
    return Server(tmp_path / "stoker.toml")


def rewrite(path: Path, text: str) -> None:
    """As careful editors do: another file takes the name."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


@pytest.mark.parametrize("write", [rewrite, Path.write_text], ids=["renamed", "in place"])
async def test_a_changed_file_is_taken_once(server: Server, write) -> None:
    write(server.path, AFTER + "# a comment, so that the size differs\n")
    assert await server.watcher.look()
    assert await server.watcher.look() is None
    assert [config.queue.max_seconds for config in server.taken] == [6.0]
    assert server.watcher.config.queue.max_seconds == 6.0


async def test_a_swapped_link_is_a_changed_file(server: Server, tmp_path: Path) -> None:
    """Kubernetes renews mounted files so."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "one" / "f.toml").write_text(BEFORE)
    (tmp_path / "two" / "f.toml").write_text(AFTER)
    link = tmp_path / "current"
    link.symlink_to("one")
    server.path = link / "f.toml"
    server.watch()
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").replace(link)
    assert await server.watcher.look()
    assert server.taken[0].queue.max_seconds == 6.0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[queue]\nmax_secnds = 6.0\n", "Did you mean queue.max_seconds?"),
        ("[queue\n", "not valid TOML"),
        (None, "No such file"),
    ],
)
async def test_a_broken_file_changes_nothing_and_is_one_line(
    server: Server, text: str | None, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    if text is None:
        server.path.unlink()
    else:
        rewrite(server.path, text)
    assert await server.watcher.look() is None
    assert await server.watcher.look() is None
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert says.rstrip("?") in record.getMessage()
    assert "\n" not in record.getMessage()
    assert record.exc_info is None
    assert server.taken == []
    assert server.watcher.config.queue.max_seconds == 5.0
    rewrite(server.path, AFTER)
    assert await server.watcher.look()


async def test_a_file_is_not_read_while_it_is_written(server: Server) -> None:
    states = iter([1, 2, 3, 3])
    server.watch(look=lambda _paths: {server.path: (next(states, 3),)})
    await server.watcher.look()
    assert server.loads == 1
    assert next(states, None) is None


async def test_a_file_that_never_rests_is_read_in_the_end(server: Server) -> None:
    ever = iter(range(10_000))
    server.watch(look=lambda _paths: {server.path: (next(ever),)})
    await server.watcher.look()
    assert server.loads == 1


async def test_what_needs_a_restart_is_named(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    rewrite(server.path, BEFORE + "[server]\nport = 9\n[engine]\nthreads = 2\n")
    assert await server.watcher.look() is None
    assert [record.getMessage() for record in caplog.records] == [
        "needs a restart: engine.threads; server.port"
    ]
    assert server.taken == []


async def test_what_could_not_be_applied_is_not_in_force(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(_config: Config, _reload: Reload) -> None:
        raise OSError("no room")

    watcher = ConfigWatcher(
        load(path=server.path, environ={}), server._load, fails, settle_seconds=0
    )
    rewrite(server.path, AFTER)
    assert await watcher.look() is None
    assert watcher.config.queue.max_seconds == 5.0
    assert "could not be put in force" in caplog.text


async def test_a_renewed_secret_is_taken(server: Server, tmp_path: Path) -> None:
    secret = tmp_path / "provider.key"
    secret.write_text("first")
    server.path.write_text(
        "[[backends]]\nname = 'p'\nurl = 'https://a.example'\napi_key_file = 'provider.key'\n"
        "[[routes]]\nname = 'r'\ntargets = [{ backend = 'p' }]\n"
    )
    server.watch()
    rewrite(secret, "second")
    assert await server.watcher.look()
    assert server.taken[0].backends[0].api_key == "second"


async def test_a_signal_asks_for_a_look_although_no_time_changed(server: Server) -> None:
    quiet: Fingerprint = fingerprint([server.path])

    def unmoved(_paths: Iterable[Path]) -> Fingerprint:
        return quiet

    server.watch(look=unmoved)
    running = asyncio.create_task(server.watcher.run())
    server.path.write_text(AFTER)
    await asyncio.sleep(0)  # its first step installs the handler
    os.kill(os.getpid(), signal.SIGHUP)
    await asyncio.wait_for(server.told.wait(), 30)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL


async def test_a_running_watcher_finds_the_change_by_itself(server: Server) -> None:
    running = asyncio.create_task(server.watcher.run())
    rewrite(server.path, AFTER)
    await asyncio.wait_for(server.told.wait(), 30)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_another_file_of_the_same_size_and_time_is_a_change(server: Server) -> None:
    before = server.path.stat()
    new = server.path.with_suffix(".new")
    new.write_text(AFTER)
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.replace(server.path)
    assert server.path.stat().st_size == before.st_size
    assert await server.watcher.look()
