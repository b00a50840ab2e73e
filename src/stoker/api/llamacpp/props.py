"""GET /props and GET /slots: the one model that is served, in the form of llama.cpp's server."""

from __future__ import annotations

from typing import Any

import msgspec

import stoker
from stoker.api.exchange import Exchange
from stoker.api.front import Front
from stoker.api.llamacpp.completion_schema import GenerationSettings, settings
from stoker.api.only_model import begin_token, end_token, only_own
from stoker.core.sampling import SamplingParams
from stoker.text.calls.protocol import ChatProtocol


class DefaultSettings(msgspec.Struct, frozen=True, kw_only=True):
    n_ctx: int
    params: GenerationSettings


class TemplateCapabilities(msgspec.Struct, frozen=True, kw_only=True):
    """Of the template itself: where it shows no tools, they are told in words all the same."""

    supports_system_role: bool
    supports_tools: bool
    supports_tool_calls: bool
    supports_reasoning: bool


class Props(msgspec.Struct, frozen=True, kw_only=True):
    default_generation_settings: DefaultSettings
    total_slots: int
    model_alias: str
    model_path: str
    """The name: where the file lies is nobody's business."""
    chat_template: str
    chat_template_caps: TemplateCapabilities | None
    """None for a base model."""
    bos_token: str
    eos_token: str
    modalities: dict[str, bool]
    is_sleeping: bool = False
    build_info: str = f"stoker-{stoker.__version__}"


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """A place in the running batch. What runs there is its client's business."""

    id: int
    n_ctx: int
    is_processing: bool


class ShowProps:
    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, exchange: Exchange) -> None:
        service = only_own(self._front, exchange)
        info, text = service.backend.info, service.text
        default = SamplingParams(max_tokens=info.max_context)
        props = Props(
            default_generation_settings=DefaultSettings(
                n_ctx=info.max_context, params=settings(default, (), stream=False)
            ),
            total_slots=info.max_running,
            model_alias=service.name,
            model_path=service.name,
            chat_template=text.chat_template.source if text.chat_template else "",
            chat_template_caps=_capabilities(text.protocol),
            bos_token=begin_token(service) or "",
            eos_token=end_token(service) or "",
            modalities={"vision": False, "audio": False},
        )
        await exchange.respond_json(props)


def _capabilities(protocol: ChatProtocol | None) -> TemplateCapabilities | None:
    if protocol is None:
        return None
    return TemplateCapabilities(
        supports_system_role=protocol.takes_system,
        supports_tools=not protocol.generic,
        supports_tool_calls=not protocol.generic,
        supports_reasoning=protocol.form.reasoning is not None,
    )


class ShowSlots:
    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, exchange: Exchange) -> None:
        service = only_own(self._front, exchange)
        info, busy = service.backend.info, service.backend.load.num_running
        slots: list[Any] = [
            Slot(id=number, n_ctx=info.max_context, is_processing=number < busy)
            for number in range(info.max_running)
        ]
        await exchange.respond_json(slots)
