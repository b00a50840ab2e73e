"""POST /tokenize and POST /detokenize, in the shapes of vLLM and of llama.cpp's server."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from stoker.api.exchange import Exchange
from stoker.api.openai.chat import encode_messages
from stoker.api.openai.chat_schema import ChatRequest, Message
from stoker.api.openai.fields import refuse_unsupported
from stoker.api.openai.job import vocabulary_of
from stoker.api.openai.sampling import check_token_ids
from stoker.api.openai.tool_schema import Tool
from stoker.api.openai.tools import tool_use
from stoker.api.service import Service
from stoker.core.ids import TokenId
from stoker.errors import InvalidRequest


class TokenizeRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One of a prompt, messages, and llama.cpp's `content`."""

    model: str | None = None
    prompt: str | None = None
    messages: list[Message] | None = None
    tools: list[Tool] | None = None
    """With messages: what the model is told of."""
    add_special_tokens: bool = True
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None
    """As for chat completions."""
    content: str | None = None
    add_special: bool = False
    """As `add_special_tokens`, for `content`."""
    with_pieces: bool = False
    """llama.cpp's: each token with its text, or its bytes where those are no text."""
    parse_special: Any = None

    REFUSED: ClassVar[dict[str, tuple[object, ...]]] = {"parse_special": (False,)}


class Piece(msgspec.Struct, frozen=True):
    id: TokenId
    piece: str | list[int]


class Tokenized(msgspec.Struct, frozen=True):
    tokens: list[TokenId | Piece]
    count: int
    max_model_len: int


class DetokenizeRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    model: str | None = None
    tokens: list[int]


class Detokenized(msgspec.Struct, frozen=True):
    """The same text under the names of both."""

    prompt: str
    content: str


class Tokenize:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, exchange: Exchange) -> None:
        request = await self._service.off_loop.read(exchange, TokenizeRequest)
        refuse_unsupported(request)
        longest = vocabulary_of(self._service).max_context
        tokens = await self._service.off_loop.run(exchange.body_size, lambda: self._shown(request))
        await exchange.respond_json(Tokenized(tokens, len(tokens), longest))

    def _shown(self, request: TokenizeRequest) -> list[TokenId | Piece]:
        tokens = self._tokens(request)
        if not request.with_pieces:
            return [*tokens]
        return [Piece(token, _spelled(self._service, token)) for token in tokens]

    def _tokens(self, request: TokenizeRequest) -> list[TokenId]:
        given = (request.prompt, request.messages, request.content)
        if sum(one is not None for one in given) != 1:
            raise InvalidRequest("give one of 'prompt', 'messages' and 'content'", param="prompt")
        tokenizer = self._service.text.tokenizer
        if request.prompt is not None:
            return tokenizer.encode(request.prompt, add_bos=request.add_special_tokens)
        if request.content is not None:
            return tokenizer.encode(request.content, add_bos=request.add_special)
        chat = ChatRequest(
            model=self._service.name,
            messages=request.messages or [],
            tools=request.tools,
            add_generation_prompt=request.add_generation_prompt,
            continue_final_message=request.continue_final_message,
        )
        return encode_messages(self._service, chat, tool_use(chat, self._service.limits))


def _spelled(service: Service, token: TokenId) -> str | list[int]:
    raw = service.text.tokenizer.token_bytes(token)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return list(raw)


class Detokenize:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, exchange: Exchange) -> None:
        request = await self._service.off_loop.read(exchange, DetokenizeRequest)
        size = vocabulary_of(self._service).size
        text = await self._service.off_loop.run(
            exchange.body_size, lambda: self._text(request.tokens, size)
        )
        await exchange.respond_json(Detokenized(text, text))

    def _text(self, tokens: list[TokenId], vocabulary: int) -> str:
        check_token_ids(tokens, vocabulary, "tokens")
        return self._service.text.tokenizer.decode(tokens, skip_control=False)
