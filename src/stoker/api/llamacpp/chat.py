"""POST /chat/completions of llama.cpp's server: OpenAI's, with fields of its own."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from stoker.api.exchange import Exchange
from stoker.api.openai.chat import encode_messages
from stoker.api.openai.chat_schema import ChatRequest
from stoker.api.openai.chat_surface import ChatCompletions
from stoker.api.openai.fields import Ignored, refuse_unsupported
from stoker.api.openai.tools import tool_use
from stoker.api.service import Service


class LlamaCppChatRequest(ChatRequest, kw_only=True):
    cache_prompt: Ignored = msgspec.UNSET
    """Prompts that begin alike always share their beginning, so there is no slot to choose."""
    id_slot: Ignored = msgspec.UNSET
    timings_per_token: Any = None
    return_progress: Any = None
    verbose: Any = None

    REFUSED: ClassVar[dict[str, tuple[object, ...]]] = {
        **ChatRequest.REFUSED,
        "timings_per_token": (False,),
        "return_progress": (False,),
        "verbose": (False,),
    }


class LlamaCppChat(ChatCompletions):
    """Implements Surface."""

    record = LlamaCppChatRequest


class InputTokens(msgspec.Struct, frozen=True):
    input_tokens: int


class CountChatTokens:
    """What a conversation would be for the model to read. Nothing is generated."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, exchange: Exchange) -> None:
        service = self._service
        body = await service.off_loop.read(exchange, LlamaCppChatRequest)
        refuse_unsupported(body)
        tokens = await service.off_loop.run(
            exchange.body_size,
            lambda: encode_messages(service, body, tool_use(body, service.limits)),
        )
        await exchange.respond_json(InputTokens(len(tokens)))
