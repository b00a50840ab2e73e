"""Host names, origins and keys: who may ask at all (S14, S15, S17, B9)."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from stoker.api.gates import OPEN_PATHS
from stoker.api.routes import operations
from stoker.config.exposure import check_exposure
from stoker.config.schema import ServerSection
from stoker.errors import ConfigError
from tests.support.server import RunningServer, local_server

KEY = "canary-key-0123456789"


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with local_server(ServerSection(port=0, allowed_hosts=("models.example",))) as running:
        yield running


@pytest.fixture(scope="module")
def locked() -> Iterator[RunningServer]:
    with local_server(ServerSection(port=0, api_key=KEY)) as running:
        yield running


def ask(
    server: RunningServer, method: str, path: str, headers: dict[str, str], body: bytes = b""
) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.putrequest(method, path, skip_host="host" in headers)
    for name, value in {"content-length": str(len(body)), **headers}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    response = connection.getresponse()
    answer = json.loads(response.read() or b"{}")
    connection.close()
    return response.status, _code(answer)


def _code(answer: dict[str, Any]) -> str:
    """Of an error in the form of any surface."""
    error = answer.get("error", {})
    inside = error if isinstance(error, dict) else answer
    return inside.get("name") or inside.get("code", "")


GOOD_HOSTS = [
    "localhost", "LOCALHOST", "localhost:8000", "127.0.0.1", "127.0.0.1:1", "127.8.8.8", "[::1]",
    "[::1]:9", "models.example", "Models.Example:443",
]  # fmt: skip
BAD_HOSTS = [
    "evil.example", "localhost.evil.example", "evil-localhost", "127.0.0.1.evil.example",
    "localhost.", "10.0.0.1", "0.0.0.0", "169.254.169.254", "[::2]", "::1", "2130706433",
    "0x7f.1", "0177.0.0.1", "127.1", "[::ffff:10.0.0.1]", "user@localhost", "localhost:port",
    "localhost:1:2", "localhost/", "localhost,evil.example", "a" * 300, "models.example.",
    "sub.models.example",
]  # fmt: skip


@pytest.mark.parametrize("host", GOOD_HOSTS)
def test_known_hosts(server: RunningServer, host: str) -> None:
    assert ask(server, "GET", "/health/live", {"host": host})[0] == 200


@pytest.mark.parametrize("host", BAD_HOSTS)
def test_unknown_hosts_are_misdirected(server: RunningServer, host: str) -> None:
    for method, path in (("GET", "/health/live"), ("POST", "/v1/chat/completions")):
        assert ask(server, method, path, {"host": host}) == (421, "misdirected")


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:3000", 200),
        ("http://127.0.0.1", 200),
        ("https://models.example", 200),
        ("null", 403),
        ("http://evil.example", 403),
        ("http://localhost.evil.example", 403),
        ("file://", 403),
        ("chrome-extension://localhost", 403),
        ("localhost", 403),
        ("", 403),
        ("http://localhost http://evil.example", 403),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_pages_of_other_sites_may_not_call(
    server: RunningServer, origin: str, status: int, method: str
) -> None:
    """A request that passes the gate gets as far as the path's own answer to the method."""
    got, code = ask(server, method, "/health/live", {"origin": origin})
    passed = {"GET": 200}.get(method, 405)
    assert got == (passed if status == 200 else 403)
    assert (code == "permission_denied") == (status == 403)


def test_no_answer_invites_other_origins(server: RunningServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", "/v1/models", headers={"origin": "http://localhost"})
    response = connection.getresponse()
    response.read()
    connection.close()
    assert not [name for name, _ in response.getheaders() if name.startswith("access-control")]


def every_route(server: RunningServer) -> list[tuple[str, str]]:
    table = operations(server.application.front)
    found = {(operation.method, operation.path) for operation in table}
    found |= {("GET", "/docs"), ("GET", "/openapi.json"), ("GET", "/nowhere")}
    verbs = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    paths = {re.sub(r"{.*}", "tiny", path) for _, path in found}
    return [(verb, path) for path in sorted(paths) for verb in verbs]


WRONG = {
    "none": {},
    "wrong": {"authorization": "Bearer wrong"},
    "empty": {"authorization": "Bearer "},
    "prefix": {"authorization": f"Bearer {KEY[:-1]}"},
    "longer": {"authorization": f"Bearer {KEY}x"},
    "no scheme": {"authorization": KEY},
    "basic": {"authorization": f"Basic {KEY}"},
    "in another header": {"x-key": KEY},
    "twice": {"authorization": f"Bearer {KEY}", "x-api-key": KEY},
    "quoted": {"authorization": f'Bearer "{KEY}"'},
    "SQL": {"authorization": "Bearer ' OR 1=1 --"},
    "not ASCII": {"authorization": "Bearer schlüssel".encode().decode("latin-1")},
}


@pytest.mark.parametrize("kind", WRONG)
def test_every_path_and_verb_needs_the_key(locked: RunningServer, kind: str) -> None:
    """The matrix is made from the route table, so a new route is covered by being there."""
    for method, path in every_route(locked):
        status, code = ask(locked, method, path, WRONG[kind])
        if path in OPEN_PATHS:
            assert status in (200, 405)
        else:
            assert (status, code) == (401, "invalid_api_key"), (method, path)


def test_the_right_key_opens_every_path(locked: RunningServer) -> None:
    for method, path in every_route(locked):
        headers = {"authorization": f"bearer {KEY}"}
        connection = http.client.HTTPConnection("127.0.0.1", locked.port, timeout=10)
        connection.request(method, path, b"{}", headers)
        assert connection.getresponse().status != 401, (method, path)
        connection.close()


def test_keys_are_compared_by_digest_in_constant_time() -> None:
    import inspect

    from stoker.gateway.identity import Keyring

    assert "hmac.compare_digest" in inspect.getsource(Keyring.authenticate)
    assert KEY not in repr(vars(Keyring(api_key=KEY)))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "models.example"])
def test_other_machines_are_served_only_with_a_key(host: str) -> None:
    with pytest.raises(ConfigError, match="needs an API key"):
        check_exposure(ServerSection(host=host))
    check_exposure(ServerSection(host=host, api_key=KEY))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.0.0.2"])
def test_loopback_needs_none(host: str) -> None:
    check_exposure(ServerSection(host=host))
