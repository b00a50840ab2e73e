"""`stoker batch`: a file of requests becomes a file of results, however often it is interrupted."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stoker.api.batch.line import Answered, Result
from stoker.cli.result_file import ResultFile
from stoker.errors import SetupError

CHAT = "/v1/chat/completions"
SECONDS = 120


def line(custom_id: str, **body: Any) -> dict[str, Any]:
    given = {
        "model": "smollm2:135m",
        "messages": [{"role": "user", "content": f"I am {custom_id}."}],
    }
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions",
            "body": given | {"max_tokens": 8} | body}  # fmt: skip


def written(path: Path, lines: Iterable[object]) -> Path:
    path.write_text("".join(f"{json.dumps(one)}\n" for one in lines))
    return path


def results(path: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in path.read_text().splitlines()]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "stoker", "batch", *map(str, arguments)]


def batch(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, check=False, timeout=SECONDS
    )


@pytest.mark.model
def test_every_line_is_answered_as_the_server_would(tmp_path: Path) -> None:
    asked = [
        line("chat"),
        line("refused", max_tokens=-1),
        line("nobody", model="another"),
        {
            "custom_id": "text",
            "url": "/v1/completions",
            "body": {"prompt": "One, two,", "max_tokens": 4},
        },
    ]
    done = batch(written(tmp_path / "in", asked), tmp_path / "out", "--model", "smollm2:135m")
    assert done.returncode == 1  # one was refused
    assert "3 answered, 1 refused" in done.stderr
    found = {one["custom_id"]: one for one in results(tmp_path / "out")}
    assert found.keys() == {"chat", "refused", "nobody", "text"}
    assert found["chat"]["response"]["body"]["choices"][0]["message"]["content"]
    assert found["nobody"]["response"]["body"]["model"] == "smollm2:135m"
    assert found["text"]["response"]["body"]["usage"]["completion_tokens"] == 4
    refused = found["refused"]["response"]
    assert refused["status_code"] == 400
    assert refused["body"]["error"]["param"] == "max_tokens"


@pytest.mark.model
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_stopped_in_the_middle_it_goes_on_with_one_result_a_line(
    how: signal.Signals, tmp_path: Path
) -> None:
    lengths = [1, *[60] * 30]  # the first is done long before the others
    asked = [line(f"r{i}", max_tokens=n, ignore_eos=True) for i, n in enumerate(lengths)]
    source, target = written(tmp_path / "in", asked), tmp_path / "out"
    running = subprocess.Popen(command(source, target, "--max-running", 4), stderr=subprocess.PIPE)
    wait_until(lambda: running.poll() is not None or (target.exists() and target.stat().st_size))
    running.send_signal(how)
    _, said = running.communicate(timeout=SECONDS)
    if how is signal.SIGINT:
        assert running.returncode == 130
        assert b"the same command goes on" in said
    with target.open("ab") as torn:
        torn.write(b'{"id":"batch_req_1","custom_id":"r3')
    before = target.read_bytes()
    assert batch(source, target).returncode == 0
    assert target.read_bytes().startswith(before[: before.rindex(b"\n") + 1])
    assert sorted(one["custom_id"] for one in results(target)) == sorted(f"r{i}" for i in range(31))
    again = batch(source, target)
    assert again.returncode == 0
    assert "all 31 results" in again.stderr


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([line("a"), line("a")], "line 2: another line has its custom_id"),
        ([line("a"), {"custom_id": "b"}], "line 2: it is no request of a batch"),
        ([line("a") | {"url": "/v1/files"}], "line 1: 'url' must be one of"),
        ([line("a") | {"method": "GET"}], "line 1: 'method' must be POST"),
        ([line("")], "line 1: 'custom_id' needs"),
        ([line("a", stream=True)], "line 1: 'stream' has no use"),
        ([line("a"), line("b", model="other")], "the lines name several models"),
        (["text"], "line 1: it is no request of a batch"),
    ],
)
def test_a_file_of_no_use_is_one_line_and_nothing_is_done(
    lines: list[object], says: str, tmp_path: Path
) -> None:
    done = batch(written(tmp_path / "in", lines), tmp_path / "out")
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    source = written(tmp_path / "in", [line("a")])
    missing = batch(tmp_path / "no-such", tmp_path / "out")
    assert missing.returncode == 2
    assert "no-such: No such file" in missing.stderr
    nowhere = batch(source, tmp_path / "no-folder" / "out")
    assert nowhere.returncode == 2
    assert "No such file" in nowhere.stderr
    other = written(tmp_path / "notes", [{"something": "else"}])
    before = other.read_bytes()
    kept = batch(source, other)
    assert kept.returncode == 2
    assert "line 1 is no result of a batch" in kept.stderr
    assert other.read_bytes() == before


def result(custom_id: str) -> Result:
    return Result("batch_req_1", custom_id, Answered(200, "req_1", msgspec.Raw(b"{}")))


def test_a_second_run_does_not_write_into_the_first_ones_file(tmp_path: Path) -> None:
    with ResultFile(tmp_path / "out") as first:
        first.add(result("a"))
        with pytest.raises(SetupError, match="another run is writing"):
            ResultFile(tmp_path / "out")
    with ResultFile(tmp_path / "out") as second:
        assert second.done == {"a"}


def test_a_full_disk_leaves_whole_lines_and_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out"
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) > 10:
            return real(descriptor, data[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with ResultFile(path) as file:
        file.add(result("a"))
        whole = path.read_bytes()
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", full)
            with pytest.raises(SetupError, match="No space left on device; 1 results") as caught:
                file.add(result("b"))
        assert "run the same command" in (caught.value.hint or "")
    assert path.read_bytes() == whole
