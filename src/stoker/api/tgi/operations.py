"""What clients of text-generation-inference may ask."""

from __future__ import annotations

from stoker.api.dispatch import ByModel
from stoker.api.front import Front
from stoker.api.operation import Operation
from stoker.api.surface_endpoint import on
from stoker.api.tgi.dialect import TGI
from stoker.api.tgi.generate import Generate
from stoker.api.tgi.info import Info, TgiInfo
from stoker.api.tgi.schema import Generated, GenerateRequest


def tgi_operations(front: Front) -> list[Operation]:
    return [
        Operation(
            "POST", "/generate", "Continue a text, in TGI's form",
            ByModel(front, on(Generate(stream=False, in_list=False))),
            GenerateRequest, Generated, TGI,
        ),
        Operation(
            "POST", "/generate_stream", "The same as a stream",
            ByModel(front, on(Generate(stream=True, in_list=False))),
            GenerateRequest, Generated, TGI,
        ),
        Operation(
            "POST", "/", "The same; `stream` says how, and what is whole stands in a list",
            ByModel(front, on(Generate(stream=False, in_list=True))),
            GenerateRequest, Generated, TGI,
        ),
        Operation("GET", "/info", "The one model, in TGI's form", Info(front), None, TgiInfo, TGI),
    ]  # fmt: skip
