"""POST /generate, /generate_stream and / of text-generation-inference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stoker.api.openai.completion_schema import CompletionRequest
from stoker.api.openai.fields import refuse_unsupported
from stoker.api.openai.sampling import SEEDS
from stoker.api.plan import Plan
from stoker.api.surface import Asked
from stoker.api.tgi.generated_shape import GeneratedShape
from stoker.api.tgi.schema import GenerateRequest, Grammar, Parameters
from stoker.config.schema import LimitsSection
from stoker.errors import InvalidRequest

DEFAULT_NEW_TOKENS = 100
"""TGI's."""
PARAMETERS = {
    "max_tokens": "max_new_tokens",
    "stop": "stop",
    "logprobs": "top_n_tokens",
    "prompt_logprobs": "decoder_input_details",
    "guided_json": "grammar",
    "guided_regex": "grammar",
}


class Generate:
    """Implements Surface. The prompt is taken as it is, without the model's template."""

    record = GenerateRequest
    names: Mapping[str, str] = {
        "prompt": "inputs",
        **{ours: f"parameters.{theirs}" for ours, theirs in PARAMETERS.items()},
    }

    def __init__(self, *, stream: bool, in_list: bool) -> None:
        """`stream`: where the body does not say. `in_list`: whether an answer that is not streamed
        stands in a list, as one of its paths has it."""
        self._stream = stream
        self._in_list = in_list

    def asked(self, body: GenerateRequest, limits: LimitsSection) -> Asked:
        parameters = body.parameters or Parameters()
        refuse_unsupported(parameters, "parameters.")
        if parameters.seed is not None and parameters.seed >= SEEDS:
            raise InvalidRequest("'parameters.seed' is out of range", param="parameters.seed")
        stream = self._stream if body.stream is None else body.stream
        request = CompletionRequest(
            model=body.model,
            prompt=body.inputs,
            stream=stream,
            max_tokens=parameters.max_new_tokens,
            temperature=_temperature(parameters),
            top_k=parameters.top_k,
            top_p=parameters.top_p,
            repetition_penalty=parameters.repetition_penalty,
            frequency_penalty=parameters.frequency_penalty,
            seed=parameters.seed,
            stop=parameters.stop,
            logprobs=(parameters.top_n_tokens or 0) if stream or parameters.details else None,
            prompt_logprobs=0 if parameters.decoder_input_details else None,
            **_constraint(parameters.grammar),
        )
        return Asked(request, DEFAULT_NEW_TOKENS)

    def shape(self, body: GenerateRequest, plan: Plan) -> GeneratedShape:
        asked = body.parameters or Parameters()
        before = body.inputs if asked.return_full_text else ""
        return GeneratedShape(plan, asked, before, in_list=self._in_list)


def _temperature(asked: Parameters) -> float | None:
    """Nothing is drawn unless something asks for it."""
    drawn = (asked.temperature, asked.top_k, asked.top_p)
    if asked.do_sample or any(value is not None for value in drawn):
        return asked.temperature
    return 0.0


def _constraint(grammar: Grammar | None) -> dict[str, Any]:
    if grammar is None:
        return {}
    value = grammar.value
    if grammar.type == "json_schema" and isinstance(value, dict) and "schema" in value:
        value = value["schema"]  # beside its name
    if value is None:
        place = "parameters.grammar.value"
        raise InvalidRequest(f"'{place}' must not be null", param=place)
    return {"guided_regex" if grammar.type == "regex" else "guided_json": value}
