"""The dialects by the names that a configuration uses."""

from __future__ import annotations

from collections.abc import Mapping

from stoker.gateway.upstream.dialects.anthropic import Anthropic
from stoker.gateway.upstream.dialects.interface import Dialect
from stoker.gateway.upstream.dialects.llamacpp import LlamaCpp
from stoker.gateway.upstream.dialects.openai import OpenAI, OpenServer
from stoker.gateway.upstream.dialects.tgi import Tgi

DIALECTS: Mapping[str, Dialect] = {
    "openai": OpenAI(),
    "vllm": OpenServer(),
    "triton": OpenServer(),
    "tgi": Tgi(),
    "llamacpp": LlamaCpp(),
    "anthropic": Anthropic(),
}
