"""Where one suite runs: its environment, its folder under build/compat, and our server."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from benchmarks.compat.record import Record

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
START_SECONDS = 300.0
STOP_SECONDS = 30.0


class Workplace:
    """Of the suite called `name`, whose packages are in requirements/`name`.txt: the first line
    names the package that is measured, in a comment where it need not be installed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = ROOT / "build" / "compat" / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.python = ROOT / f".venv-compat-{name}" / "bin" / "python"
        self.report = self.folder / "report.json"

    @property
    def requirement(self) -> str:
        first = (HERE / "requirements" / f"{self.name}.txt").read_text().splitlines()[0]
        return first.removeprefix("# ")

    @property
    def version(self) -> str:
        return self.requirement.partition("==")[2]

    def sources(self) -> Path:
        """The unpacked source distribution of the package that is measured, fetched once."""
        package = self.requirement.partition("==")[0].partition("[")[0]
        target = self.folder / f"{package}-{self.version}"
        if not target.exists():
            command = [self.python, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary"]
            command += [package, "--dest", self.folder, f"{package}=={self.version}"]
            # Building what pip wants to know of it may fail; the archive is there all the same.
            subprocess.run(command, check=False)
            (archive,) = self.folder.glob("*.tar.gz")
            with tarfile.open(archive) as tar:
                tar.extractall(target, filter="data")
        (inside,) = target.iterdir()
        return inside

    @contextmanager
    def serving(self, config: str) -> Iterator[str]:
        """The address of a real server with this configuration, ended afterwards."""
        path = self.folder / "stoker.toml"
        path.write_text(config, encoding="utf-8")
        path.chmod(0o600)
        command = [sys.executable, "-m", "stoker", "serve", "--config", path, "--port", "0"]
        with (
            (self.folder / "server.log").open("w") as log,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
        ):
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                found = re.search(r"served at (\S+) ", line)
                if found is None:
                    raise RuntimeError(f"the server did not start: see {self.folder}/server.log")
                _wait_until_ready(found[1])
                yield found[1]
            finally:
                process.terminate()
                process.wait(STOP_SECONDS)

    def run(
        self, command: Sequence[str | Path], seconds: float, cwd: Path = ROOT, **variables: str
    ) -> Record:
        """What a program in the suite's environment reports, at the path in COMPAT_REPORT, within
        so many seconds. Its exit code does not matter: tests that fail are in the report."""
        self.report.unlink(missing_ok=True)
        self.execute(command, seconds, cwd, COMPAT_REPORT=str(self.report), **variables)
        if not self.report.exists():
            raise RuntimeError(f"{self.name} left no report: see {self.folder}/output.log")
        return msgspec.json.decode(self.report.read_bytes(), type=Record)

    def execute(
        self, command: Sequence[str | Path], seconds: float, cwd: Path = ROOT, **variables: str
    ) -> None:
        """The same for a program that reports in a way of its own."""
        with (self.folder / "output.log").open("w") as log:
            subprocess.run(
                [self.python, *command],
                cwd=cwd,
                env=os.environ | variables,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=seconds,
                check=False,
            )

    def pytest(
        self, tests: Path, arguments: Sequence[str], seconds: float, **variables: str
    ) -> Record:
        """Tests of others under the recorder, with the scope in scopes/`name`.toml."""
        variables |= {
            "COMPAT_SCOPE": str(HERE / "scopes" / f"{self.name}.toml"),
            "PYTHONPATH": os.pathsep.join([str(HERE), variables.get("PYTHONPATH", str(tests))]),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        plain = ["-m", "pytest", "-p", "pytest_recorder", "-p", "no:cacheprovider", "-q"]
        return self.run([*plain, "--tb=short", *arguments], seconds, cwd=tests, **variables)


def _wait_until_ready(url: str) -> None:
    """It answers while its models load, but not with them."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(f"{url}/health/ready").close()
            return
        time.sleep(0.05)
    raise RuntimeError(f"the models were not loaded within {START_SECONDS:.0f} s")
