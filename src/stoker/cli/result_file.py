"""The file of results of `stoker batch`: one run at a time, whole lines only, and more runs go on
where one ended."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

import msgspec

from stoker.api.batch.line import Result
from stoker.api.batch.work import finished
from stoker.errors import InvalidRequest, SetupError


class ResultFile:
    """A context manager. `done` holds the custom_ids whose results are in it."""

    def __init__(self, path: Path) -> None:
        """Raises SetupError when it cannot be written, or holds something else."""
        self.path = path
        try:
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise SetupError(f"{path}: {error.strerror or error}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.done = self._take_over()
        except BlockingIOError:
            self._file.close()
            raise SetupError(f"{path}: another run is writing to it") from None
        except InvalidRequest as error:
            self._file.close()
            raise SetupError(
                f"{path}: {error.message}", hint="Name a file that is new, or of an earlier run."
            ) from None

    def __enter__(self) -> ResultFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, result: Result) -> None:
        """All of it or nothing. Raises SetupError when the disk is full."""
        data = msgspec.json.encode(result) + b"\n"
        end = os.fstat(self._file.fileno()).st_size
        try:
            written = 0
            while written < len(data):
                written += os.write(self._file.fileno(), data[written:])
        except OSError as error:
            self._file.truncate(end)
            raise SetupError(
                f"{self.path}: {error.strerror or error}; {len(self.done)} results are in it",
                hint="Make room, then run the same command: it goes on from there.",
            ) from None
        self.done.add(result.custom_id)

    def sync(self) -> None:
        """On the disk, as far as the disk says so."""
        os.fsync(self._file.fileno())

    def _take_over(self) -> set[str]:
        self._file.seek(0)
        with os.fdopen(os.dup(self._file.fileno()), "rb") as lines:
            done, size = finished(lines)
        self._file.truncate(size)
        return done
