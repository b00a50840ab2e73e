"""Fetches wheels through pip, so that the index, mirrors and proxies are the user's own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from stoker.errors import PullError

Fetch = Callable[[str, Path], Path]
"""(requirement with exact version, folder) → the wheel's path in that folder."""

SECONDS = 1800


def fetch_wheel(requirement: str, folder: Path) -> Path:
    """Downloads one wheel unless the folder has it. Raises PullError with pip's last line."""
    name, _, version = requirement.partition("==")
    stem = f"{name.replace('-', '_')}-{version}-"
    for wheel in folder.glob(f"{stem}*.whl"):
        return wheel
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetch-") as temporary:
        _pip_download(requirement, Path(temporary))
        for wheel in Path(temporary).glob("*.whl"):
            return wheel.rename(folder / wheel.name)
    raise PullError(f"the package index has no wheel for {requirement}")


def _pip_download(requirement: str, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir"]
    command += ["--only-binary", ":all:", "--disable-pip-version-check", "--dest", str(folder)]
    try:
        finished = subprocess.run(
            [*command, requirement],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PullError(f"fetching {requirement} took longer than {SECONDS} s") from None
    if finished.returncode:
        raise _failed(requirement, finished.stderr)


def _failed(requirement: str, stderr: str) -> PullError:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line] or lines or ["pip gave no reason"]
    reason = errors[-1].removeprefix("ERROR: ")
    hint = "Is the package index reachable?"
    if "No space left" in stderr:
        hint = "Free some space in the cache folder and in the folder for temporary files."
    elif "No module named pip" in stderr:
        hint = "Install pip into this environment."
    return PullError(f"cannot fetch {requirement}: {reason}", hint=hint)
