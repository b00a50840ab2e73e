"""S11, S12: nobody fetches what a client names, and a configured address has one meaning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from stoker.config.load import load
from stoker.errors import ConfigError, InvalidRequest
from stoker.gateway.upstream.backend_address import BackendAddress
from stoker.gateway.upstream.client_choices import REFUSED_FIELDS, check_part
from tests.support import scripted_server as script
from tests.support.gateway import ask, gateway
from tests.support.scripted_server import scripted, whole

HOSTS = [
    "127.0.0.1", "127.1", "127.0.0.1.", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "0",
    "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[0:0:0:0:0:ffff:7f00:1]", "[fe80::1%25lo]",
    "localhost", "localhost.", "LOCALHOST", "localtest.me", "127.0.0.1.nip.io",
    "169.254.169.254", "[fd00:ec2::254]", "metadata.google.internal", "１２７.0.0.1", "ⓛocalhost",
    "user@127.0.0.1", "user:word@127.0.0.1", "good.example@127.0.0.1", "127.0.0.1%00.example",
    "127.0.0.1#@good.example", "127.0.0.1?@good.example", "127.0.0.1\\@good.example",
    "good.example\\@127.0.0.1", "127.0.0.1:80\\.good.example", "127.0.0.1\t.example",
]  # fmt: skip
SCHEMES = [
    "http://", "https://", "HTTP://", "hTtPs://", "http:/", "http:", "http:\\\\", "//", "///",
    "\\\\", "/\\", "\\/", " http://", "\thttp://", "\nhttp://", "\x00http://", "ht\ttp://",
    "h\nttp://", "\u200bhttp://", "\ufeffhttp://", "h\u200bttp://", "http\u200b://", "ftp://",
    "file://", "file:/", "file:", "FILE:", "gopher://", "dict://", "ldap://", "ws://", "wss://",
    "s3://", "gs://", "hf://", "oci://", "unix:/", "jar:http://", "blob:http://", "javascript:",
    "view-source:http://", "url:http://", "netdoc:///", "x+y://", "local://",
]  # fmt: skip
SPELLINGS = [f"http://{host}/a.png" for host in HOSTS] + [f"{s}example.com/a.png" for s in SCHEMES]
SHAPES: dict[str, Any] = {
    "image_url.url": lambda url: {"type": "image_url", "image_url": {"url": url}},
    "image_url": lambda url: {"type": "image_url", "image_url": url},
    "a list": lambda url: {"type": "image_url", "image_url": [url]},
    "image": lambda url: {"type": "image", "image": url},
    "source": lambda url: {"type": "image", "source": {"type": "url", "url": url}},
    "audio": lambda url: {"type": "input_audio", "input_audio": {"data": url}},
    "file": lambda url: {"type": "file", "file": {"file_data": url}},
    "below text": lambda url: {"type": "text", "text": {"url": url}},
    "in a result": lambda url: {"type": "tool_result", "content": [{"image": url}]},
}
PICTURE = "data:image/png;base64,aGk="
MP3 = "//uQxAAAAAAAAAAAAAAAAAAAAAAAWGluZwAAAA8AAAAC+/8="


@pytest.mark.parametrize("shape", SHAPES)
def test_no_part_of_a_message_may_hold_an_address(shape: str) -> None:
    assert len(SPELLINGS) >= 79
    for url in SPELLINGS:
        with pytest.raises(InvalidRequest, match="holds an address"):
            check_part([SHAPES[shape](url)], "messages[0].content")


@pytest.mark.parametrize("url", ["example.com/a", "169.254.169.254", "/etc/passwd", "..\\a", ""])
def test_what_is_called_an_address_may_only_be_the_data(url: str) -> None:
    with pytest.raises(InvalidRequest):
        check_part([SHAPES["image_url.url"](url)], "messages[0].content")


@pytest.mark.parametrize(
    "part",
    [
        {"type": "text", "text": "see http://example.com"},
        {"type": "refusal", "refusal": "http://example.com is not for me"},
        {"type": "image_url", "image_url": {"url": PICTURE, "detail": "high"}},
        {"type": "input_audio", "input_audio": {"data": MP3, "format": "mp3"}},
        {"type": "file", "file": {"filename": "Notes: all.pdf", "file_data": PICTURE}},
    ],
)
def test_texts_and_the_thing_itself_pass(part: Any) -> None:
    check_part([part], "messages[0].content")


@pytest.mark.parametrize("field", sorted(REFUSED_FIELDS))
async def test_no_field_of_a_client_reaches_who_would_follow_it(field: str, tmp_path: Path) -> None:
    async with scripted(whole(script.completion("Hello"))) as server:
        text = (
            f'[[backends]]\nname = "there"\nurl = "{server.url}/v1"\n'
            '[[routes]]\nname = "chat"\ntargets = [{ backend = "there", model = "m" }]\n'
        )
        with gateway(tmp_path, text) as running:
            answer = await ask(running, **{field: {"remote_host": "169.254.169.254"}})
    assert (answer.status, answer.json["error"]["param"]) == (400, field)
    assert server.num_connections == 0


def test_a_configured_address_is_refused_or_has_one_meaning(tmp_path: Path) -> None:
    """The host that was checked is the one that is connected to."""
    path, taken = tmp_path / "stoker.toml", []
    for url in SPELLINGS:
        path.write_text(f'[[backends]]\nname = "a"\nurl = {json.dumps(url)}\n')
        try:
            entry = load(path=path, environ={}).config.backends[0]
            base = BackendAddress(entry.url).base
        except ConfigError:
            continue
        taken.append(url)
        assert base.host == urlsplit(entry.url).hostname
        assert base.scheme in ("http", "https")
        assert base.user is None
    assert "http://127.0.0.1/a.png" in taken
    assert "http://user@127.0.0.1/a.png" not in taken
    assert not [url for url in taken if "\\" in url or url.startswith(("file", "//"))]
