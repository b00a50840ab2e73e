"""POST /v1/messages/count_tokens."""

from __future__ import annotations

from stoker.api.anthropic.conversation import conversation
from stoker.api.anthropic.schema import CountTokensRequest, TokenCount
from stoker.api.exchange import Exchange
from stoker.api.openai.chat import encode_messages
from stoker.api.openai.fields import refuse_unsupported
from stoker.api.service import Service


class CountTokens:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, exchange: Exchange) -> None:
        service = self._service
        body = await service.off_loop.read(exchange, CountTokensRequest)
        refuse_unsupported(body)
        tokens = await service.off_loop.run(
            exchange.body_size,
            lambda: encode_messages(service, conversation(body, service.limits)),
        )
        await exchange.respond_json(TokenCount(len(tokens)))
