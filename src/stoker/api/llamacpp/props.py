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


class DefaultSettings(msgspec.Struct, frozen=True, kw_only=True):
    n_ctx: int
    params: GenerationSettings


class Props(msgspec.Struct, frozen=True, kw_only=True):
    default_generation_settings: DefaultSettings
    total_slots: int
    model_alias: str
    model_path: str
    """The name: where the file lies is nobody's business."""
    chat_template: str
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
            bos_token=begin_token(service) or "",
            eos_token=end_token(service) or "",
            modalities={"vision": False, "audio": False},
        )
        await exchange.respond_json(props)


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
