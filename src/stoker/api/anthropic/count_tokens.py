"""POST /v1/messages/count_tokens."""

from __future__ import annotations

from stoker.api.anthropic.answer_schema import TokenCount
from stoker.api.anthropic.conversation import conversation
from stoker.api.anthropic.schema import CountTokensRequest
from stoker.api.anthropic.tools import TOOL_NAMES
from stoker.api.exchange import Exchange
from stoker.api.openai.chat import encode_messages
from stoker.api.openai.chat_schema import ChatRequest
from stoker.api.openai.fields import refuse_unsupported
from stoker.api.openai.tools import tool_use
from stoker.api.service import Service
from stoker.api.surface import spelled
from stoker.core.ids import TokenId


class CountTokens:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, exchange: Exchange) -> None:
        service = self._service
        body = await service.off_loop.read(exchange, CountTokensRequest)
        refuse_unsupported(body)
        with spelled(TOOL_NAMES):
            tokens = await service.off_loop.run(
                exchange.body_size, lambda: _tokens(service, conversation(body, service.limits))
            )
        await exchange.respond_json(TokenCount(len(tokens)))


def _tokens(service: Service, request: ChatRequest) -> list[TokenId]:
    return encode_messages(service, request, tool_use(request, service.limits))
