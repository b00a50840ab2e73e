"""Foreign backends as clients see them: from a configuration file, through the real server, to
scripted servers that answer well and badly."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from msgspec.structs import replace

from stoker.config.load import load
from stoker.gateway.identity import digest_of
from tests.support import scripted_server as script
from tests.support.eventually import eventually
from tests.support.gateway import Gateway, ask, gateway, tenant
from tests.support.scripted_server import ScriptedServer, scripted, whole

KEY = "sk-the-backends-own-key"
ANSWER = script.completion("Hello")


def backend(server: ScriptedServer, name: str = "there", **settings: Any) -> str:
    lines = "".join(f"{key} = {value}\n" for key, value in settings.items())
    return (
        f'[[backends]]\nname = "{name}"\nurl = "{server.url}/v1"\napi_key = "{KEY}"\n{lines}'
        f"prices.large = {{ input = 1.0, output = 2.0 }}\n"
    )


def route(*backends: str) -> str:
    targets = ", ".join(f'{{ backend = "{name}", model = "large" }}' for name in backends)
    return f'[[routes]]\nname = "chat"\ntargets = [{targets}]\n'


@contextmanager
def before(
    folder: Path, server: ScriptedServer, more: str = "", **settings: Any
) -> Iterator[Gateway]:
    """A gateway with one backend."""
    with gateway(folder, backend(server, **settings) + route("there") + more) as running:
        yield running


async def test_an_answer_passes_and_is_billed_as_the_server_counts(tmp_path: Path) -> None:
    async with scripted(whole(ANSWER)) as server:
        with before(tmp_path, server, tenant("alice")) as running:
            answer = await ask(running, "alice", temperature=0.5, tools=[])
    assert (answer.status, answer.json) == (200, ANSWER)
    (sent,) = server.received
    assert sent.path == "/v1/chat/completions"
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert (sent.json["model"], sent.json["temperature"]) == ("large", 0.5)
    ((grant, usage, outcome),) = running.ledger.settled
    assert (grant.ask.backend, grant.ask.model) == ("there", "large")
    assert (usage.input_tokens, usage.output_tokens, outcome) == (7, 3, "stop")
    assert grant.ask.price.cost(usage) == 7 * 1000 + 3 * 2000


@pytest.mark.parametrize("wanted", [True, False])
async def test_usage_in_a_stream_is_shown_only_to_who_asked(tmp_path: Path, wanted: bool) -> None:
    async with scripted(script.GOOD) as server:
        with before(tmp_path, server) as running:
            options = {"stream_options": {"include_usage": True}} if wanted else {}
            answer = await ask(running, stream=True, **options)
    assert server.received[0].json["stream_options"] == {"include_usage": True}
    assert answer.text == "Hello"
    assert answer.events[-1] is None
    assert any(event and event.get("usage") for event in answer.events) == wanted
    ((_, usage, _),) = running.ledger.settled
    assert (usage.input_tokens, usage.output_tokens) == (7, 3)


async def test_it_makes_no_difference_how_a_stream_is_cut_into_pieces(tmp_path: Path) -> None:
    joined = script.chunk("Hel") + script.chunk("lo", "stop") + script.DONE
    single = [joined[place : place + 1] for place in range(len(joined))]
    crlf = joined.replace(b"\n", b"\r\n")
    async with scripted(script.stream(*single), script.stream(crlf[:9], crlf[9:])) as server:
        with before(tmp_path, server) as running:
            answers = [await ask(running, stream=True) for _ in range(2)]
    assert [answer.text for answer in answers] == ["Hello", "Hello"]
    assert [answer.events[-1] for answer in answers] == [None, None]


FAILING = {
    "500": whole({"error": {"message": "boom"}}, 500),
    "502 without JSON": whole(b"<html>", 502),
    "its key is refused": whole({"error": {"message": f"bad key {KEY}"}}, 401),
    "a redirect": whole({}, 307, location="http://127.0.0.1:1/stolen"),
    "no such model": whole({"error": {"message": "no model large"}}, 404),
    "bad JSON": whole(b"{", 200),
    "no answer": whole({}, 200),
    "an error that looks like success": whole({"error": {"message": "boom"}}, 200),
    "hung up": script.hung_up,
    "silent": script.silent,
    "another kind": whole(b"hello", 200, content_type="text/plain"),
}


@pytest.mark.parametrize("name", FAILING)
async def test_a_failure_is_answered_by_the_next_target(tmp_path: Path, name: str) -> None:
    async with scripted(FAILING[name]) as bad, scripted(whole(ANSWER)) as good:
        text = backend(bad, "bad", first_byte_seconds=0.3, connect_seconds=0.2)
        with gateway(tmp_path, text + backend(good, "good") + route("bad", "good")) as running:
            answer = await ask(running)
            assert answer.json == ANSWER
    assert [outcome for _, _, outcome in running.ledger.settled][-1] == "stop"
    assert running.ledger.settled[0][1].total_tokens == 0
    assert len(good.received) == 1


@pytest.mark.parametrize("name", FAILING)
async def test_alone_it_is_a_502_that_says_nothing_of_the_inside(tmp_path: Path, name: str) -> None:
    async with scripted(FAILING[name]) as bad:
        with before(tmp_path, bad, first_byte_seconds=0.3, connect_seconds=0.2) as running:
            answer = await ask(running)
    assert (answer.status, answer.code) == (502, "backend_failed")
    for secret in (KEY, "boom", "large", "127.0.0.1", str(bad.port)):
        assert secret.encode() not in answer.body


BROKEN = {
    "cut": script.stream(script.chunk("Hel"), cut=b""),
    "cut in an event": script.stream(script.chunk("Hel"), b'data: {"choi', cut=b""),
    "ended without an end": script.stream(script.chunk("Hel")),
    "half an event": script.stream(script.chunk("Hel"), b'data: {"choi'),
    "no JSON": script.stream(script.chunk("Hel"), b"data: hello\n\n", script.DONE),
    "an error": script.stream(script.chunk("Hel"), script.event({"error": {"message": KEY}})),
    "a line without end": script.stream(script.chunk("Hel"), *[b"data: " + b"x" * 65536] * 20),
    "silent": script.stalled(script.chunk("Hel")),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_stream_that_breaks_ends_with_an_error_and_no_end_marker(
    tmp_path: Path, name: str
) -> None:
    async with scripted(BROKEN[name]) as bad, scripted(script.GOOD) as good:
        text = backend(bad, "bad", silence_seconds=0.3) + backend(good, "good")
        with gateway(tmp_path, text + route("bad", "good")) as running:
            answer = await ask(running, stream=True)
    assert answer.text == "Hel"
    assert answer.events[-1]["error"]["code"] == "backend_failed"
    assert None not in answer.events
    assert KEY.encode() not in answer.body
    assert not good.received
    ((_, usage, outcome),) = running.ledger.settled
    assert outcome == "backend_failed"
    assert usage.output_tokens >= 1


async def test_a_stream_that_never_began_is_answered_by_the_next_target(tmp_path: Path) -> None:
    never = script.stream(cut=b"")
    overloaded = script.stream(script.event({"error": {"type": "overloaded_error"}}, "error"))
    async with scripted(never, never, overloaded) as bad, scripted(script.GOOD) as good:
        with gateway(
            tmp_path, backend(bad, "bad") + backend(good, "good") + route("bad", "good")
        ) as running:
            answers = [await ask(running, stream=True) for _ in range(2)]
    assert [answer.text for answer in answers] == ["Hello", "Hello"]
    assert len(bad.received) == 3


async def test_a_connection_that_was_lost_is_tried_once_more(tmp_path: Path) -> None:
    async with scripted(script.hung_up, whole(ANSWER)) as server:
        with before(tmp_path, server) as running:
            assert (await ask(running)).json == ANSWER
    assert len(server.received) == 2
    assert len(running.ledger.settled) == 1


async def test_its_limit_is_a_429_with_its_time(tmp_path: Path) -> None:
    async with scripted(whole({"error": {"message": "slow"}}, 429, retry_after="17")) as server:
        with before(tmp_path, server) as running:
            answer = await ask(running)
    assert (answer.status, answer.code) == (429, "overloaded")
    assert answer.headers["retry-after"] == "17"
    assert len(server.received) == 1


async def test_what_is_wrong_with_a_request_is_said_in_clean_words(tmp_path: Path) -> None:
    said = f"bad 'foo' at http://10.0.0.7:80/x with {KEY}\n/srv/models/x" + "y" * 999
    async with scripted(whole({"error": {"message": said}}, 400)) as server:
        with before(tmp_path, server) as running:
            answer = await ask(running)
    assert (answer.status, answer.code) == (400, "invalid_request")
    message = answer.json["error"]["message"]
    assert message.startswith("bad 'foo' at [address] with [key] [path]")
    assert len(message) <= 300


async def test_a_backend_that_fails_is_left_alone(tmp_path: Path) -> None:
    async with scripted(whole({}, 500)) as server:
        with before(tmp_path, server) as running:
            answers = [await ask(running) for _ in range(12)]
    assert [answer.code for answer in answers[-3:]] == ["no_capacity"] * 3
    assert answers[-1].headers["retry-after"]
    assert len(server.received) == 5


async def test_retries_are_a_share_of_what_is_asked(tmp_path: Path) -> None:
    """Each answered request in between keeps the breaker closed."""
    scripts = [whole({}, 500), whole({}, 500), whole(ANSWER)] * 20
    async with scripted(*scripts) as server:
        with before(tmp_path, server) as running:
            for _ in range(12):
                await ask(running)
    assert len(server.received) == 12 + 3


async def test_nothing_of_a_local_tenant_reaches_a_backend_that_is_not_private(
    tmp_path: Path,
) -> None:
    tenants = tenant("secretive", privacy="local") + tenant("open")
    own = '[[models]]\nname = "tiny"\n'
    async with scripted(whole(ANSWER)) as away, scripted(whole(ANSWER)) as near:
        text = (
            own + backend(away, "away", health_path='"/health"')
            + backend(near, "near", private="true")
            + '[[routes]]\nname = "chat"\ntargets = [{ backend = "away", model = "large" },'
            ' { backend = "near", model = "large" }, { model = "tiny" }]\n'
            '[[routes]]\nname = "out"\ntargets = [{ backend = "away", model = "large" }]\n'
            + tenants
        )  # fmt: skip
        with gateway(tmp_path, text) as running:
            assert (await ask(running, "secretive")).json == ANSWER
            near.scripts[:] = [whole({}, 503)]
            fallback = await ask(running, "secretive", max_tokens=4)
            refused = await ask(running, "secretive", model="out")
            assert (fallback.status, fallback.json["model"]) == (200, "tiny")
            assert (refused.status, refused.code) == (403, "permission_denied")
            assert not away.received
            assert (await ask(running, "open")).status == 200
            assert len(away.received) == 1


async def test_our_own_model_comes_first_and_a_full_one_sends_the_request_on(
    tmp_path: Path,
) -> None:
    from stoker.engine.interface import EngineState

    async with scripted(whole(ANSWER)) as server:
        text = (
            '[[models]]\nname = "tiny"\n' + backend(server) + '[[routes]]\nname = "chat"\n'
            'targets = [{ model = "tiny" }, { backend = "there", model = "large" }]\n'
        )
        with gateway(tmp_path, text) as running:
            assert (await ask(running, max_tokens=3)).json["model"] == "tiny"
            running.backend.state = EngineState.LOADING
            assert (await ask(running)).json == ANSWER
            running.backend.state = EngineState.READY


async def test_a_request_that_is_sent_on_counts_once_in_its_tenants_minute(tmp_path: Path) -> None:
    async with scripted(whole({}, 503), whole({}, 503)) as down, scripted(whole(ANSWER)) as up:
        text = (
            backend(down, "down") + backend(up, "up") + '[[routes]]\nname = "chat"\n'
            'targets = [{ backend = "down", model = "m" }, { backend = "up", model = "m" }]\n'
            + tenant("thrifty", requests_per_minute=2)
        )  # fmt: skip
        with gateway(tmp_path, text) as running:
            answers = [await ask(running, "thrifty") for _ in range(3)]
        assert [one.status for one in answers] == [200, 200, 429]
        assert down.received


async def test_a_client_that_leaves_cancels_the_request_there_and_pays_for_what_came(
    tmp_path: Path,
) -> None:
    async with scripted(script.stalled(script.chunk("a"), script.chunk("b"))) as server:
        with before(tmp_path, server) as running:
            async with ClientSession() as session:
                body = {
                    "model": "chat",
                    "stream": True,
                    "messages": [{"role": "user", "content": "x"}],
                }
                response = await session.post(f"{running.url}/v1/chat/completions", json=body)
                await response.content.readuntil(b'"b"')
                response.close()
            async with asyncio.timeout(10):
                await server.left.wait()
            await eventually(lambda: running.ledger.settled)
    ((_, usage, outcome),) = running.ledger.settled
    assert outcome == "cancelled"
    assert usage.output_tokens == 2
    assert usage.input_tokens > 0
    assert running.ledger.num_open == 0


async def test_a_whole_answer_nobody_waits_for_is_cancelled(tmp_path: Path) -> None:
    async with scripted(script.silent) as server:
        with before(tmp_path, server) as running:
            asking = asyncio.create_task(ask(running))
            await eventually(lambda: server.received)
            asking.cancel()
            async with asyncio.timeout(10):
                await server.left.wait()


async def test_a_deadline_ends_a_request(tmp_path: Path) -> None:
    async with scripted(script.silent) as server:
        with before(tmp_path, server, "[limits]\nrequest_seconds = 0.2\n") as running:
            answer = await ask(running)
    assert (answer.status, answer.code) == (504, "deadline_exceeded")


async def test_a_budget_bounds_an_answer_and_then_refuses_it(tmp_path: Path) -> None:
    """A request of N bytes and 10 tokens may cost N + 20 thousand billionths."""
    long = script.completion("Hello", 40, 10)
    async with scripted(whole(long)) as server:
        text = tenant("poor", budget=0.0002, budget_window="ever")
        with before(tmp_path, server, text) as running:
            answers = [await ask(running, "poor", max_tokens=100) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 402, 402]
    sent = [one.json["max_tokens"] for one in server.received]
    assert sent[0] < 100
    assert sent[1] < sent[0]
    assert answers[-1].code == "budget_exhausted"


async def test_a_length_is_written_for_a_tenant_that_pays_by_the_token(tmp_path: Path) -> None:
    async with scripted(whole(ANSWER)) as server:
        tenants = tenant("metered", tokens_per_minute=100_000) + tenant("free")
        with before(tmp_path, server, tenants, dialect='"vllm"') as running:
            await ask(running, "metered")
            await ask(running, "free")
    assert server.received[0].json["max_tokens"] == 4096
    assert "max_tokens" not in server.received[1].json


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest", "https://example.com/a.png", "file:///etc/passwd",
        "//example.com/a.png", "ftp://example.com", "gopher://x", " http://example.com",
        "\\\\example.com\\a", "HTTP://EXAMPLE.COM", "example.com/a.png", "jar:http://x",
    ],
)  # fmt: skip
async def test_nobody_is_made_to_fetch_what_a_client_names(foreign: Any, url: str) -> None:
    running, server = foreign
    part = {"type": "image_url", "image_url": {"url": url}}
    answer = await ask(running, messages=[{"role": "user", "content": [part]}])
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert not server.received


@pytest.fixture
async def foreign(tmp_path: Path) -> Any:
    async with scripted(whole(ANSWER)) as server:
        with before(tmp_path, server) as running:
            yield running, server


async def test_a_picture_itself_is_passed_on_and_addresses_in_texts_are_texts(foreign: Any) -> None:
    running, server = foreign
    parts = [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        {"type": "text", "text": "http://example.com"},
    ]
    assert (await ask(running, messages=[{"role": "user", "content": parts}])).status == 200
    assert server.received[0].json["messages"][0]["content"] == parts


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"api_base": "http://x"}, "api_base"),
        ({"n": 9}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": None, "stream": 3}, "stream"),
    ],
)
async def test_what_we_must_understand_is_checked(foreign: Any, fields: Any, param: str) -> None:
    running, server = foreign
    answer = await ask(running, **fields)
    assert (answer.status, answer.json["error"]["param"]) == (400, param)
    assert not server.received


async def test_texts_are_continued_too(foreign: Any) -> None:
    running, server = foreign
    server.scripts[:] = [whole({"choices": [{"index": 0, "text": "x", "finish_reason": "stop"}]})]
    assert (await ask(running, path="completions", prompt="Hi")).status == 200
    assert server.received[0].path == "/v1/completions"


async def test_two_backends_of_a_route_share_nothing_but_their_turn(tmp_path: Path) -> None:
    """Each has its own connections: one that hangs does not hold up the other."""
    async with scripted(script.silent) as slow, scripted(whole(ANSWER)) as good:
        text = backend(slow, "slow", max_connections=1) + backend(good, "good")
        with gateway(tmp_path, text + route("slow", "good")) as running:
            hanging = asyncio.create_task(ask(running))
            await eventually(lambda: slow.received)
            assert (await ask(running)).json == ANSWER
            hanging.cancel()
            await asyncio.gather(hanging, return_exceptions=True)
    assert len(slow.received) == 1


async def test_a_redirect_is_not_followed_and_no_key_goes_there(tmp_path: Path) -> None:
    async with scripted(whole(ANSWER)) as elsewhere:
        location = f"{elsewhere.url}/v1/chat/completions"
        async with scripted(whole({}, 307, location=location)) as server:
            with before(tmp_path, server) as running:
                answer = await ask(running)
    assert answer.status == 502
    assert elsewhere.num_connections == 0


async def test_connections_are_used_again(tmp_path: Path) -> None:
    async with scripted(whole(ANSWER), script.GOOD, whole(ANSWER)) as server:
        with before(tmp_path, server) as running:
            for stream in (False, True, False):
                assert (await ask(running, stream=stream)).status == 200
    assert server.num_connections == 1


async def test_a_changed_backend_is_asked_from_then_on(tmp_path: Path) -> None:
    async with scripted(whole(ANSWER)) as old, scripted(whole(ANSWER)) as new:
        with before(tmp_path, old) as running:
            await ask(running)
            entry = replace(running.config.backends[0], url=f"{new.url}/v1")
            forwarder = running.application.front.forwarder
            running.call(lambda: forwarder.configure([entry]))
            assert (await ask(running)).json == ANSWER
    assert (len(old.received), len(new.received)) == (1, 1)


async def test_tokens_of_a_model_elsewhere_cannot_be_counted_here(foreign: Any) -> None:
    running, server = foreign
    async with ClientSession() as session:
        body = {"model": "chat", "prompt": "Hi"}
        async with session.post(f"{running.url}/tokenize", json=body) as response:
            assert response.status == 400
            assert (await response.json())["error"]["code"] == "unsupported_constraint"
    assert not server.received


def test_the_example_is_sound(tmp_path: Path) -> None:
    folder = Path("examples/own-model-first-provider-fallback")
    copied = tmp_path / "stoker.toml"
    copied.write_text((folder / "stoker.toml").read_text())
    key = tmp_path / "provider.key"
    key.write_text("secret\n")
    key.chmod(0o600)
    loaded = load(path=copied, environ={})
    assert loaded.config.backends[0].api_key == "secret"
    assert not loaded.warnings
    readme = (folder / "README.md").read_text()
    for entry in loaded.config.keys:
        written = re.findall(rf"sk-stoker-{entry.tenant}-[\w-]+", readme)
        assert written
        assert f"sha256:{digest_of(written[0].encode()).hex()}" == entry.digest
