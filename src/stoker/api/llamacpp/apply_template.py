"""POST /apply-template of llama.cpp's server: what a model would be given to read."""

from __future__ import annotations

from typing import Any

import msgspec

from stoker.api.exchange import Exchange
from stoker.api.openai.chat_schema import ChatRequest, Message
from stoker.api.openai.messages import plain_messages
from stoker.api.openai.template_variables import template_variables
from stoker.api.service import Service
from stoker.errors import UnsupportedConstraint


class ApplyTemplateRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    messages: list[Message]
    model: str | None = None
    add_generation_prompt: bool = True
    chat_template_kwargs: dict[str, Any] | None = None


class AppliedTemplate(msgspec.Struct, frozen=True):
    prompt: str


class ApplyTemplate:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, exchange: Exchange) -> None:
        service = self._service
        body = await service.off_loop.read(exchange, ApplyTemplateRequest)
        prompt = await service.off_loop.run(exchange.body_size, lambda: self._applied(body))
        await exchange.respond_json(AppliedTemplate(prompt))

    def _applied(self, body: ApplyTemplateRequest) -> str:
        template, limits = self._service.text.chat_template, self._service.limits
        if template is None:
            raise UnsupportedConstraint("this model has no chat template", param="messages")
        asked = ChatRequest(
            model=self._service.name,
            messages=body.messages,
            chat_template_kwargs=body.chat_template_kwargs,
        )
        return template.render(
            plain_messages(body.messages, limits),
            add_generation_prompt=body.add_generation_prompt,
            variables=template_variables(asked, limits),
        )
