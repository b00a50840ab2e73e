"""A model file opened for reading at offsets, never mapped.

docs/decisions/0004-read-not-map.md says why.
"""

from __future__ import annotations

import mmap
import os
import stat
from pathlib import Path

from stoker.errors import ModelFileError


class ModelFile:
    """An open regular file. Every failure is a ModelFileError that names the file."""

    def __init__(self, path: Path) -> None:
        """Anything but a regular file is refused: opening a pipe would wait for its writer."""
        self.path = path
        self._descriptor: int | None = None
        try:
            # O_NONBLOCK has no effect on regular files; it only keeps `open` from waiting.
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            status = os.fstat(self._descriptor)
        except OSError as error:
            self.close()
            raise ModelFileError(path, error.strerror or "cannot be opened") from None
        except ValueError:
            raise ModelFileError(ascii(str(path)), "is not a path") from None
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise ModelFileError(path, "is not a regular file")
        self.size = status.st_size

    def read(self, offset: int, size: int, what: str) -> bytes:
        """Exactly `size` bytes in a buffer of their own. Names `what` if the file ends first."""
        if self._descriptor is None:
            raise ModelFileError(self.path, "the file is closed")
        pieces: list[bytes] = []
        while size:
            try:
                piece = os.pread(self._descriptor, size, offset)
            except OSError as error:
                raise ModelFileError(self.path, error.strerror or "cannot be read") from None
            if not piece:
                raise ModelFileError(self.path, f"the file ends inside {what}")
            pieces.append(piece)
            offset += len(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read_pages(self, offset: int, size: int, what: str) -> memoryview:
        """As `read`, in pages that go back to the system with the last reference: freed buffers of
        many sizes would leave holes in the heap while a model is packed. `size` is not zero."""
        if self._descriptor is None:
            raise ModelFileError(self.path, "the file is closed")
        view = memoryview(mmap.mmap(-1, size))
        done = 0
        while done < size:
            try:
                count = os.preadv(self._descriptor, [view[done:]], offset + done)
            except OSError as error:
                raise ModelFileError(self.path, error.strerror or "cannot be read") from None
            if not count:
                raise ModelFileError(self.path, f"the file ends inside {what}")
            done += count
        return view

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
