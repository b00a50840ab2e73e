"""Files and batches with OpenAI's own client, on a real server that is killed in the middle."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from stoker.bench.server import free_port
from tests.support.programs import postgresql

MODEL = "smollm2:135m"
CHAT = "/v1/chat/completions"
SECONDS = 90.0


class Served:
    """A `stoker serve` that can be killed and started again at the same place."""

    def __init__(self, folder: Path, url: str, more: str = "") -> None:
        self.port = free_port()
        self.clients = contextlib.ExitStack()
        self.config = folder / "stoker.toml"
        self.config.write_text(
            f'[model]\nname = "{MODEL}"\n[server]\nport = {self.port}\n'
            f'[batches]\nurl = "{url}"\nmax_running = 2\n{more}'
        )
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "stoker", "serve", "--config", str(self.config)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        assert "served at" in self.process.stdout.readline()

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        self.process.send_signal(how)
        self.process.communicate(timeout=SECONDS)

    def client(self, key: str = "none") -> openai.OpenAI:
        url = f"http://127.0.0.1:{self.port}/v1"
        return self.clients.enter_context(openai.OpenAI(base_url=url, api_key=key))


@contextlib.contextmanager
def serving(folder: Path, url: str, more: str = "") -> Iterator[Served]:
    served = Served(folder, url, more)
    try:
        yield served
    finally:
        served.clients.close()
        if served.process.poll() is None:
            served.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/batches.db"
    else:
        with postgresql() as database, database.started() as address:
            yield address


def requests(lengths: list[int]) -> bytes:
    lines = []
    for number, tokens in enumerate(lengths):
        messages = [{"role": "user", "content": f"Number {number}?"}]
        body = {"model": MODEL, "messages": messages, "max_tokens": tokens, "ignore_eos": True}
        line = {"custom_id": f"r{number}", "method": "POST", "url": CHAT, "body": body}
        lines.append(line)
    return "".join(f"{json.dumps(line)}\n" for line in lines).encode()


def begun(client: openai.OpenAI, data: bytes) -> str:
    file = client.files.create(file=("in.jsonl", data), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint=CHAT, completion_window="24h", metadata={"a": "b"}
    )
    assert batch.status == "validating"
    return batch.id


def until(client: openai.OpenAI, batch_id: str, reached: Callable[[Any], object]) -> Any:
    deadline = time.monotonic() + SECONDS
    while not reached(batch := client.batches.retrieve(batch_id)):
        assert time.monotonic() < deadline, batch
        time.sleep(0.05)
    return batch


def ended(batch: Any) -> bool:
    return batch.status in ("completed", "failed", "cancelled", "expired")


def results(client: openai.OpenAI, file_id: str | None) -> dict[str, Any]:
    assert file_id
    lines = [json.loads(line) for line in client.files.content(file_id).text.splitlines()]
    found = {line["custom_id"]: line["response"] for line in lines}
    assert len(found) == len(lines)
    return found


@pytest.mark.model
def test_killed_in_the_middle_a_batch_goes_on_with_one_result_a_line(
    url: str, tmp_path: Path
) -> None:
    """F05."""
    with serving(tmp_path, url) as served:
        client = served.client()
        batch_id = begun(client, requests([1, *[40] * 11, -1]))
        until(client, batch_id, lambda batch: batch.request_counts.completed >= 2)
        served.stop()
        served.start()
        batch = until(client, batch_id, ended)
        assert batch.status == "completed"
        counts = batch.request_counts
        assert (counts.total, counts.completed, counts.failed) == (13, 12, 1)
        output = results(client, batch.output_file_id)
        assert output.keys() == {f"r{number}" for number in range(12)}
        assert output["r5"]["body"]["usage"]["completion_tokens"] == 40
        [(name, refused)] = results(client, batch.error_file_id).items()
        assert (name, refused["status_code"]) == ("r12", 400)
        assert batch.metadata == {"a": "b"}
        assert [one.id for one in client.batches.list()] == [batch_id]


@pytest.mark.model
def test_cancelled_it_keeps_what_was_done_and_bad_files_fail_with_their_lines(
    tmp_path: Path,
) -> None:
    with serving(tmp_path, f"sqlite:///{tmp_path}/batches.db") as served:
        client = served.client()
        batch_id = begun(client, requests([1, *[2000] * 20]))
        until(client, batch_id, lambda batch: batch.request_counts.completed >= 1)
        client.batches.cancel(batch_id)
        batch = until(client, batch_id, ended)
        assert batch.status == "cancelled"
        assert "r0" in results(client, batch.output_file_id)
        with pytest.raises(openai.BadRequestError, match="the batch is cancelled"):
            client.batches.cancel(batch_id)
        twice = requests([1]) * 2 + b"nonsense\n"
        failed = until(client, begun(client, twice), ended)
        assert failed.status == "failed"
        assert [one.line for one in failed.errors.data] == [2, 3]
        assert [one.code for one in failed.errors.data] == ["duplicate_custom_id", "invalid_line"]
        empty = until(client, begun(client, b"\n"), ended)
        assert empty.errors.data[0].code == "empty_file"


@pytest.mark.model
def test_what_cannot_be_honoured_is_refused_and_tenants_see_only_their_own(tmp_path: Path) -> None:
    from stoker.gateway.identity import digest_of

    keys = "".join(
        f'[[tenants]]\nname = "{name}"\n[[keys]]\nid = "{name}"\ntenant = "{name}"\n'
        f'digest = "sha256:{digest_of(f"sk-{name}".encode()).hex()}"\n'
        for name in ("ours", "theirs")
    )
    store = f'file_bytes = 100000\n[store]\nurl = "sqlite:///{tmp_path}/usage.db"\n'
    with serving(tmp_path, f"sqlite:///{tmp_path}/batches.db", store + keys) as served:
        ours, theirs = served.client("sk-ours"), served.client("sk-theirs")
        file = ours.files.create(file=("in.jsonl", requests([2])), purpose="batch")
        assert (file.filename, file.purpose) == ("in.jsonl", "batch")
        assert ours.files.content(file.id).content == requests([2])
        batch_id = begun(ours, requests([2]))
        assert list(theirs.files.list()) == []
        assert list(theirs.batches.list()) == []
        for call in (
            lambda: theirs.files.retrieve(file.id),
            lambda: theirs.files.content(file.id),
            lambda: theirs.files.delete(file.id),
            lambda: theirs.batches.retrieve(batch_id),
            lambda: theirs.batches.cancel(batch_id),
            lambda: theirs.batches.create(
                input_file_id=file.id, endpoint=CHAT, completion_window="24h"
            ),
        ):
            with pytest.raises(openai.NotFoundError):
                call()
        with pytest.raises(openai.AuthenticationError):
            served.client("sk-nobody").files.list()
        with pytest.raises(openai.BadRequestError, match="purpose"):
            ours.files.create(file=("in.jsonl", b"{}"), purpose="fine-tune")
        with pytest.raises(openai.APIStatusError) as caught:
            ours.files.create(file=("in.jsonl", b"x" * 200_000), purpose="batch")
        assert caught.value.status_code == 413
        for wrong in ({"endpoint": "/v1/files"}, {"completion_window": "1h"}):
            given: dict[str, Any] = {"endpoint": CHAT, "completion_window": "24h"}
            with pytest.raises(openai.BadRequestError):
                ours.batches.create(input_file_id=file.id, **(given | wrong))
        assert ours.files.delete(file.id).deleted
        with pytest.raises(openai.NotFoundError):
            ours.files.retrieve(file.id)
        assert until(ours, batch_id, ended).status == "completed"


@pytest.mark.model
def test_where_nothing_can_be_kept_batches_wait_and_answers_do_not(tmp_path: Path) -> None:
    with serving(tmp_path, "sqlite:////proc/nowhere/batches.db") as served:
        client = served.client().with_options(max_retries=0)
        for call in (client.files.list, client.batches.list):
            with pytest.raises(openai.APIStatusError) as caught:
                call()
            assert caught.value.status_code == 503
            assert caught.value.response.headers["retry-after"] == "5"
        answer = client.completions.create(model=MODEL, prompt="One, two,", max_tokens=2)
        assert answer.usage
