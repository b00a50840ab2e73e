"""POST /apply-template of llama.cpp's server: what a model would be given to read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from stoker.api.exchange import Exchange
from stoker.api.openai.chat_schema import ChatRequest, Message
from stoker.api.openai.messages import plain_messages
from stoker.api.openai.template_variables import template_variables
from stoker.api.openai.tool_schema import Tool
from stoker.api.openai.tools import tool_use
from stoker.api.service import Service
from stoker.errors import UnsupportedConstraint


class ApplyTemplateRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    messages: list[Message]
    model: str | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["none", "auto"] | None = None
    add_generation_prompt: bool = True
    reasoning_effort: Annotated[str, Meta(max_length=32)] | None = None
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
        text, limits = self._service.text, self._service.limits
        if text.chat_template is None or text.protocol is None:
            raise UnsupportedConstraint(
                "this model has no chat template",
                param="messages",
                hint="It is a base model: what it reads is the prompt as it is.",
            )
        asked = ChatRequest(
            model=self._service.name,
            messages=body.messages,
            tools=body.tools,
            tool_choice=body.tool_choice,
            reasoning_effort=body.reasoning_effort,
            chat_template_kwargs=body.chat_template_kwargs,
        )
        use = tool_use(asked, limits)
        messages, tools = text.protocol.conversation(
            plain_messages(body.messages, limits), use.told if use else ()
        )
        return text.chat_template.render(
            messages,
            tools=tools,
            add_generation_prompt=body.add_generation_prompt,
            variables=template_variables(asked, limits),
        )
