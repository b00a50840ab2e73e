"""Every route in one table, from which dispatch, /openapi.json and /docs are made."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from starlette.routing import Route, Router

import stoker
from stoker.api.adapters import adapter_operations
from stoker.api.anthropic.models import ByInterface, GetAnthropicModel, ListAnthropicModels
from stoker.api.anthropic.operations import anthropic_operations
from stoker.api.asgi import Receive, Scope, Send
from stoker.api.dispatch import ByModel, Endpoint
from stoker.api.errors import JSON
from stoker.api.exchange import Exchange
from stoker.api.foreign import ForeignAnswers
from stoker.api.front import Front
from stoker.api.health import Health, Live, Progressing, ProgressReport, Ready
from stoker.api.llamacpp.operations import llamacpp_operations
from stoker.api.ollama.operations import ollama_operations
from stoker.api.openai.batch_operations import batch_operations
from stoker.api.openai.chat_schema import ChatCompletion, ChatRequest
from stoker.api.openai.chat_surface import ChatCompletions
from stoker.api.openai.completion_schema import Completion, CompletionRequest
from stoker.api.openai.completion_surface import Completions
from stoker.api.openai.models import GetModel, ListModels, Model, ModelList
from stoker.api.openai.response_schema import Response
from stoker.api.openai.responses import RESPONSES, Responses
from stoker.api.openai.responses_schema import ResponsesRequest
from stoker.api.openai.tokenize import (
    Detokenize,
    Detokenized,
    DetokenizeRequest,
    Tokenize,
    Tokenized,
    TokenizeRequest,
)
from stoker.api.openai.tokenizer_info import ShowTokenizerInfo, TokenizerInfo
from stoker.api.openapi import docs_page, document
from stoker.api.operation import Operation
from stoker.api.scoring.operations import scoring_operations
from stoker.api.surface_endpoint import on
from stoker.api.tgi.operations import tgi_operations
from stoker.errors import MethodNotAllowed, RouteNotFound
from stoker.gateway.upstream.question import Surface
from stoker.observe.metrics import CONTENT_TYPE


class Version(msgspec.Struct, frozen=True):
    version: str


def operations(front: Front) -> list[Operation]:
    return [
        Operation(
            "POST", "/v1/chat/completions", "Answer a conversation",
            ByModel(front, on(ChatCompletions()), ForeignAnswers(front, Surface.CHAT)),
            ChatRequest, ChatCompletion,
        ),
        Operation(
            "POST", "/v1/completions", "Continue a text",
            ByModel(front, on(Completions()), ForeignAnswers(front, Surface.COMPLETIONS)),
            CompletionRequest, Completion,
        ),
        Operation(
            "POST", "/v1/responses", "Answer an input; nothing is stored",
            ByModel(front, on(Responses())), ResponsesRequest, Response, RESPONSES,
        ),
        Operation(
            "GET", "/v1/models", "List the models",
            ByInterface(ListModels(front), ListAnthropicModels(front)), None, ModelList,
        ),
        Operation(
            "GET", "/v1/models/{model:path}", "Describe a model",
            ByInterface(GetModel(front), GetAnthropicModel(front)), None, Model,
        ),
        Operation(
            "POST", "/tokenize", "Text or messages to token ids",
            ByModel(front, Tokenize), TokenizeRequest, Tokenized,
        ),
        Operation(
            "POST", "/detokenize", "Token ids to text",
            ByModel(front, Detokenize), DetokenizeRequest, Detokenized,
        ),
        Operation(
            "GET", "/tokenizer_info", "What prompts are built of",
            ShowTokenizerInfo(front), None, TokenizerInfo,
        ),
        *anthropic_operations(front),
        *ollama_operations(front),
        *tgi_operations(front),
        *llamacpp_operations(front),
        *scoring_operations(front),
        *adapter_operations(front),
        *(batch_operations(front, front.batches) if front.batches else ()),
        *watching(front),
    ]  # fmt: skip


def watching(front: Front) -> list[Operation]:
    """What probes and monitoring ask, of fronts and of replicas."""
    return [
        Operation("GET", "/health", "Same as /health/ready", Ready(front), None, Health),
        Operation(
            "GET", "/health/live", "Whether to leave the process alone", Live(front), None, Health
        ),
        Operation(
            "GET", "/health/ready", "Whether to send work here", Ready(front), None, Health
        ),
        Operation(
            "GET", "/health/progress", "Whether the engine makes steps",
            Progressing(front), None, ProgressReport,
        ),
        Operation("GET", "/metrics", "Counters for Prometheus", _metrics(front), None, None),
        Operation("GET", "/version", "The version of this server", _version, None, Version),
    ]  # fmt: skip


def router(table: Sequence[Operation]) -> Router:
    """Dispatches by path, then by method: a wrong method is told apart from a wrong path."""
    described = msgspec.json.encode(document(table))
    page = docs_page(table).encode()
    pages = [
        Operation("GET", "/openapi.json", "", _static(described, b"application/json"), None, None),
        Operation("GET", "/docs", "", _static(page, b"text/html; charset=utf-8"), None, None),
        Operation("GET", "/", "", _static(b"Stoker is running\n", b"text/plain"), None, None),
    ]
    paths: dict[str, dict[str, Endpoint]] = {}
    for operation in [*table, *pages]:
        paths.setdefault(operation.path, {})[operation.method] = operation.endpoint
    routes = [Route(path, _Resource(path, methods)) for path, methods in paths.items()]
    return Router(routes, redirect_slashes=False, default=_nothing_here)


class _Resource:
    """One path."""

    def __init__(self, path: str, methods: dict[str, Endpoint]) -> None:
        self._path = path
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope["stoker.exchange"]
        exchange.route = self._path
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        endpoint = self._methods.get(method)
        if endpoint is None:
            allowed = ", ".join(self._methods)
            error = MethodNotAllowed(
                "this path does not answer to that method", hint=f"Use {allowed}."
            )
            await exchange.fail(error, [(b"allow", allowed.encode())])
            return
        await endpoint(exchange)


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    raise RouteNotFound("there is nothing at this path")


def _static(content: bytes, kind: bytes) -> Endpoint:
    policy = b"default-src 'none'; style-src 'unsafe-inline'"
    headers = [(b"content-type", kind), (b"content-security-policy", policy)]

    async def endpoint(exchange: Exchange) -> None:
        await exchange.respond(content, headers=headers)

    return endpoint


def _metrics(front: Front) -> Endpoint:
    async def endpoint(exchange: Exchange) -> None:
        headers = [(b"content-type", CONTENT_TYPE.encode())]
        await exchange.respond(front.metrics.render(), headers=headers)

    return endpoint


async def _version(exchange: Exchange) -> None:
    await exchange.respond(msgspec.json.encode(Version(stoker.__version__)), headers=[JSON])
