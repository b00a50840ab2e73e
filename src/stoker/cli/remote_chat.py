"""Answers from a running server, over its chat completions route."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

import msgspec

from stoker.core.sampling import SamplingParams
from stoker.errors import SetupError

TIMEOUT = 600.0
SHOWN = 5
Message = Mapping[str, str]


class _Delta(msgspec.Struct, frozen=True):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta = _Delta()


class _Error(msgspec.Struct):
    message: str = "the server reported an error"
    hint: str | None = None


class _Event(msgspec.Struct):
    choices: list[_Choice] = []
    error: _Error | None = None


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


class RemoteChat:
    """Raises SetupError, with a sentence for the terminal, whenever the server cannot answer."""

    def __init__(self, url: str, api_key: str | None = None, model: str | None = None) -> None:
        """`model` is one that the server has, in upper or lower case; None: its first."""
        self._url = url
        try:
            parts = urlsplit(url if "//" in url else f"//{url}", scheme="http")
            port = parts.port
        except ValueError as error:  # brackets that do not close, a port over 65535
            raise SetupError(f"'{url}' is not the address of a server: {error}") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SetupError(f"'{url}' is not the address of a server")
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, port
        self._prefix = parts.path.rstrip("/").removesuffix("/v1")
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self.model = self._chosen(model)

    def answer(self, messages: Sequence[Message], sampling: SamplingParams) -> Iterator[str]:
        """Text as it comes. Closing the iterator early closes the connection, which cancels."""
        body = {
            "model": self.model,
            "messages": messages,
            "stream": True,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
        }
        connection = self._connect()
        try:
            response = self._ask(connection, "POST", "/v1/chat/completions", body)
            yield from self._events(response)
        except msgspec.DecodeError:
            raise SetupError(f"{self._url} does not answer as an OpenAI server does") from None
        except (OSError, http.client.HTTPException) as error:
            raise SetupError(f"the connection to {self._url} broke: {error}") from None
        finally:
            connection.close()

    def _events(self, response: http.client.HTTPResponse) -> Iterator[str]:
        for line in response:
            if not line.startswith(b"data:"):
                continue
            data = line[5:].strip()
            if data == b"[DONE]":
                return
            event = msgspec.json.decode(data, type=_Event)
            if event.error is not None:
                raise SetupError(event.error.message, hint=event.error.hint)
            for choice in event.choices:
                if choice.delta.content:
                    yield choice.delta.content
        raise SetupError("the answer broke off")

    def _chosen(self, wanted: str | None) -> str:
        models = self._models()
        if wanted is None:
            return models[0]
        found = next((name for name in models if name.casefold() == wanted.casefold()), None)
        if found is None:
            raise SetupError(
                f"{self._url} has no model '{wanted}'", hint=f"It has {', '.join(models[:SHOWN])}."
            )
        return found

    def _models(self) -> list[str]:
        connection = self._connect()
        try:
            response = self._ask(connection, "GET", "/v1/models", None)
            found = msgspec.json.decode(response.read(), type=_Models).data
        except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
            raise SetupError(
                f"no server answers at {self._url} ({error})",
                hint="Start one with 'stoker serve', or leave --url out.",
            ) from None
        finally:
            connection.close()
        if not found:
            raise SetupError(f"the server at {self._url} has no model yet")
        return [model.id for model in found]

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=TIMEOUT)

    def _ask(
        self, connection: http.client.HTTPConnection, verb: str, path: str, body: object
    ) -> http.client.HTTPResponse:
        data = None if body is None else msgspec.json.encode(body)
        headers = {**self._headers, "Content-Type": "application/json"}
        connection.request(verb, self._prefix + path, data, headers)
        response = connection.getresponse()
        if response.status != 200:
            raise _refusal(response)
        return response


def _refusal(response: http.client.HTTPResponse) -> SetupError:
    try:
        found = msgspec.json.decode(response.read(64 * 1024), type=_Event).error
    except msgspec.DecodeError:
        found = None
    if found is None:
        return SetupError(f"the server answered with status {response.status}")
    return SetupError(found.message, hint=found.hint)
