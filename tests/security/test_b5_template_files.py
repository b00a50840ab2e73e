"""B5: a model file whose chat template is made for harm is refused when it loads, or its
conversations are, on every surface, never with a 5xx; what needs no template goes on (S06, S07)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from stoker.errors import ConfigError, InvalidRequest
from tests.security.hostile_templates import ESCAPES
from tests.security.test_bad_requests import TELLS_TOO_MUCH
from tests.support.scripted_backend import scripted_server
from tests.support.server import MODEL
from tests.support.surfaces import BY_NAME, SURFACES, SurfaceCase, post
from tests.support.text import tiny_text

CHAT = [{"role": "user", "content": "Hello"}]
HARMFUL = {
    "reaches for a class": "{% if messages[0].content != 'x' %}{{ ''.__class__ }}{% endif %}",
    "reaches for a module": "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "changes a conversation": "{{ messages.append(messages) }}",
    "never ends": "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
    "writes too much": "{% for a in range(99999) %}" + "x" * 6000 + "{% endfor %}",
    "refuses everybody": "{{ raise_exception('</script> \x1b[31m\n\ndata: [DONE]\n\n') }}",
}
PATHS: dict[str, dict[str, Any]] = {
    "/v1/messages/count_tokens": {"messages": CHAT},
    "/apply-template": {"messages": CHAT},
    "/tokenize": {"messages": CHAT},
}


@pytest.mark.parametrize("source", ESCAPES)
def test_in_a_model_file_it_reaches_nothing_either(source: str) -> None:
    try:
        text = tiny_text(source)
    except ConfigError as refused:
        assert "\n" not in refused.message
        return
    assert text.chat_template and text.protocol
    with pytest.raises(InvalidRequest):
        text.chat_template.encode(CHAT)


@pytest.mark.parametrize("source", HARMFUL.values(), ids=list(HARMFUL))
def test_its_conversations_are_refused_on_every_surface(source: str) -> None:
    with scripted_server(tiny_text(source)) as server:
        server.backend.answers = ["Words."]
        for surface in SURFACES:
            refused = _needs_template(surface)
            for streamed in (False, True):
                status, _, body = post(server, surface, surface.ask(5, 1, streamed))
                assert status == (400 if refused else 200), (surface.name, body)
                if refused:
                    _check(surface.failure(json.loads(body)), surface.name)
        for path, asked in PATHS.items():
            case = replace(BY_NAME["chat"], path=path)
            status, _, body = post(server, case, {"model": MODEL, **asked})
            assert status == 400, (path, body)
            _check(json.loads(body)["error"]["message"], path)


def _needs_template(surface: SurfaceCase) -> bool:
    return surface.twin == "chat" and surface.name != "text"


def _check(told: str | None, place: str) -> None:
    assert told and "chat template" in told, (place, told)
    assert "\n" not in told and len(told) < 400, (place, told)
    assert not TELLS_TOO_MUCH.search(told), (place, told)
