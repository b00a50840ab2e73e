"""Answers a file of requests with engines of its own, as many at once as a step may hold."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from stoker.api.app import Application
from stoker.api.assembly import Parts, assemble
from stoker.api.batch.asking import result_of
from stoker.api.batch.line import BatchLine
from stoker.api.batch.work import Survey, numbered, survey
from stoker.cli.progress import counter
from stoker.cli.result_file import ResultFile
from stoker.cli.served_model import ServedModel
from stoker.config import served
from stoker.config.schema import Config, ServerSection
from stoker.errors import InvalidRequest, SetupError
from stoker.gateway.identity import Keyring
from stoker.gateway.ledger import NoLimits

FOR_EVER = 1e9
"""Seconds. Nobody waits at the other end."""


def look_through(path: Path) -> Survey:
    """Raises SetupError for a file that cannot be read, or that holds a line of no use."""
    try:
        with path.open("rb") as lines:
            return survey(lines)
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror or error}") from None
    except InvalidRequest as error:
        raise SetupError(f"{path}: {error.message}", hint="Nothing was done.") from None


class BatchRun:
    def __init__(self, requests: Path, results: ResultFile, config: Config, replaced: bool) -> None:
        """`replaced`: the configuration's model answers lines that name another."""
        self.answered = self.refused = 0
        self._requests = requests
        self._results = results
        self._config = _alone(config)
        self._name = served.models(self._config)[0].name
        self._replaced = replaced

    async def run(self, total: int) -> None:
        """Raises SetupError's kinds."""
        try:
            await self._run(total)
        except ExceptionGroup as several:
            raise _first(several) from None

    async def _run(self, total: int) -> None:
        model = ServedModel(served.models(self._config)[0], self._config)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(model.start())
                text = group.create_task(model.text())
            parts = Parts(model.entry, model.backend, text.result())
            application = assemble(self._config, [parts], Keyring(), NoLimits())
            await self._answer_all(application, total)
        finally:
            await model.close()

    async def _answer_all(self, application: Application, total: int) -> None:
        with self._requests.open("rb") as lines, counter("Answering") as report:
            left = self._left(lines)

            async def worker() -> None:
                for line in left:
                    result = await result_of(application, line)
                    self._results.add(result)
                    self.answered += result.response.status_code < 400
                    self.refused += result.response.status_code >= 400
                    report(len(self._results.done), total)

            async with asyncio.TaskGroup() as group:
                for _ in range(self._config.engine.max_running):
                    group.create_task(worker())
        self._results.sync()

    def _left(self, lines: Iterator[bytes]) -> Iterator[BatchLine]:
        for _, line in numbered(lines):
            if line.custom_id not in self._results.done:
                named = self._replaced or not line.model
                yield replace(line, body=line.body | {"model": self._name}) if named else line


def _first(several: ExceptionGroup) -> Exception:
    first = several.exceptions[0]
    return _first(first) if isinstance(first, ExceptionGroup) else first


def _alone(config: Config) -> Config:
    """With the model and engine that were asked for, and nothing that only a server has."""
    return replace(
        config,
        server=ServerSection(),
        queue=replace(config.queue, max_seconds=FOR_EVER, standing_seconds=FOR_EVER),
        limits=replace(config.limits, request_seconds=FOR_EVER),
        tenants=(), keys=(), backends=(), routes=(),
    )  # fmt: skip
