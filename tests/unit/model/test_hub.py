"""Hub repositories against a hub of our own on this machine."""

from __future__ import annotations

import hashlib
import http.server
import json
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from stoker.errors import PullError
from stoker.model.hub import choose, pull_repository
from stoker.model.load import open_model
from stoker.model.pull import resolve
from tests.support.checkpoints import write_folder, write_gguf

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(http.server.ThreadingHTTPServer):
    """Serves folders as repositories. `fetched` lists the files asked for."""

    def __init__(self, repositories: dict[str, Path]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories = repositories
        self.fetched: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        for repository, folder in self.server.repositories.items():
            if path.startswith(f"/api/models/{repository}"):
                return self._answer(json.dumps(listing(repository, folder)).encode())
            prefix = f"/{repository}/resolve/main/"
            if path.startswith(prefix):
                name = path.removeprefix(prefix)
                if self.command == "GET":
                    self.server.fetched.add(name)
                return self._answer((folder / name).read_bytes())
        return self._answer(b'{"error": "Repository not found"}', 404)

    def _answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        if status == 404:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


def listing(repository: str, folder: Path) -> dict[str, object]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    siblings = [
        {"rfilename": str(file.relative_to(folder)), "size": file.stat().st_size} for file in files
    ]
    return {"id": repository, "modelId": repository, "sha": COMMIT, "siblings": siblings}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    pytest.importorskip("huggingface_hub")
    folder = write_folder(tmp_path / "origin" / "folder")
    for name in ("modeling_evil.py", "pytorch_model.bin", "README.md", "consolidated.safetensors"):
        (folder / name).write_text("nothing we want")
    (folder / "original").mkdir()
    (folder / "original" / "params.json").write_text("{}")
    several = tmp_path / "origin" / "several"
    several.mkdir()
    for name in ("m-Q4_K_M.gguf", "m-Q8_0.gguf"):
        write_gguf(several / name)
    server = Hub({"own/folder": folder, "own/several": several})
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_folder_of_safetensors_without_code_or_pickles(hub: Hub, tmp_path: Path) -> None:
    reports: list[tuple[int, int]] = []
    path = pull_repository("own/folder", tmp_path, lambda *r: reports.append(r), hub.url)
    open_model(path).close()
    wanted = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert hub.fetched == {file.name for file in path.iterdir()} == wanted
    assert reports[-1][0] == reports[-1][1] == sum(f.stat().st_size for f in path.iterdir())


def test_one_of_several_gguf_files_is_named(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(PullError, match="2 such GGUF files") as caught:
        pull_repository("own/several", tmp_path, endpoint=hub.url)
    assert "m-Q8_0.gguf" in caught.value.hint
    path = pull_repository("own/several:q8_0", tmp_path, endpoint=hub.url)
    open_model(path).close()
    assert hub.fetched == {"m-Q8_0.gguf"}


def test_what_was_fetched_opens_without_the_hub(hub: Hub, tmp_path: Path) -> None:
    path = pull_repository("own/folder", tmp_path, endpoint=hub.url)
    gone = "http://127.0.0.1:9"
    assert pull_repository("own/folder", tmp_path, endpoint=gone) == path
    shutil.rmtree(tmp_path / "hub")
    with pytest.raises(PullError, match="cannot fetch own/folder"):
        pull_repository("own/folder", tmp_path, endpoint=gone)


def test_an_unknown_repository(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(PullError, match="cannot fetch own/none") as caught:
        pull_repository("own/none", tmp_path, endpoint=hub.url)
    assert caught.value.message.isprintable()


def test_without_the_library_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(PullError) as caught:
        resolve("owner/name", tmp_path)
    assert "stoker[hub]" in caught.value.hint


def test_names_that_would_leave_the_folder_are_not_chosen() -> None:
    files = [
        "config.json",
        "a.safetensors",
        "../b.safetensors",
        "/c.safetensors",
        "d/e.json",
        "..\\f.json",
    ]
    assert choose("r", dict.fromkeys(files, 1), "") == ["config.json", "a.safetensors"]


@pytest.mark.parametrize("files", [[], ["a.bin"], ["config.json"], ["sub/a.gguf"]])
def test_a_repository_without_weights(files: list[str]) -> None:
    with pytest.raises(PullError, match="no weights"):
        choose("r", dict.fromkeys(files, 1), "")
