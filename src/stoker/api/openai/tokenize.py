"""POST /tokenize and POST /detokenize, in the shape vLLM gave them."""

from __future__ import annotations

import msgspec

from stoker.api.exchange import Exchange
from stoker.api.openai.chat import encode_messages
from stoker.api.openai.chat_schema import ChatRequest, Message
from stoker.api.openai.job import vocabulary_of
from stoker.api.openai.sampling import check_token_ids
from stoker.api.service import Service
from stoker.core.ids import TokenId
from stoker.errors import InvalidRequest


class TokenizeRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Either a prompt or messages."""

    model: str | None = None
    prompt: str | None = None
    messages: list[Message] | None = None
    add_special_tokens: bool = True
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None
    """As for chat completions."""


class Tokenized(msgspec.Struct, frozen=True):
    tokens: list[int]
    count: int
    max_model_len: int


class DetokenizeRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    model: str | None = None
    tokens: list[int]


class Detokenized(msgspec.Struct, frozen=True):
    prompt: str


class Tokenize:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, exchange: Exchange) -> None:
        request = await self._service.off_loop.read(exchange, TokenizeRequest)
        longest = vocabulary_of(self._service).max_context
        tokens = await self._service.off_loop.run(exchange.body_size, lambda: self._tokens(request))
        await exchange.respond_json(Tokenized(tokens, len(tokens), longest))

    def _tokens(self, request: TokenizeRequest) -> list[TokenId]:
        if (request.prompt is None) == (request.messages is None):
            raise InvalidRequest("give either 'prompt' or 'messages'", param="prompt")
        if request.prompt is not None:
            return self._service.text.tokenizer.encode(
                request.prompt, add_bos=request.add_special_tokens
            )
        chat = ChatRequest(
            model=self._service.name,
            messages=request.messages or [],
            add_generation_prompt=request.add_generation_prompt,
            continue_final_message=request.continue_final_message,
        )
        return encode_messages(self._service, chat)


class Detokenize:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, exchange: Exchange) -> None:
        request = await self._service.off_loop.read(exchange, DetokenizeRequest)
        size = vocabulary_of(self._service).size
        text = await self._service.off_loop.run(
            exchange.body_size, lambda: self._text(request.tokens, size)
        )
        await exchange.respond_json(Detokenized(text))

    def _text(self, tokens: list[TokenId], vocabulary: int) -> str:
        check_token_ids(tokens, vocabulary, "tokens")
        return self._service.text.tokenizer.decode(tokens, skip_control=False)
