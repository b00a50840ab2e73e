"""Text Generation Inference, through its Messages API: OpenAI's protocol with its own words for
why an answer ended."""

from __future__ import annotations

import re

from stoker.gateway.upstream.dialects.openai import OpenAIReader, OpenServer
from stoker.gateway.upstream.question import Question

_OWN_REASON = re.compile(rb'("finish_reason"\s*:\s*)"(?:eos_token|stop_sequence)"')


class TgiReader(OpenAIReader):
    def shown(self, answer: bytes) -> bytes:
        if b'"eos_token"' in answer or b'"stop_sequence"' in answer:
            return _OWN_REASON.sub(rb'\1"stop"', answer)
        return answer


class Tgi(OpenServer):
    def reader(self, question: Question) -> TgiReader:
        return TgiReader(question)
