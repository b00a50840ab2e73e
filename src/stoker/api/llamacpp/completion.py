"""POST /completion of llama.cpp's server."""

from __future__ import annotations

from collections.abc import Mapping

from stoker.api.llamacpp.completion_shape import LlamaCppShape
from stoker.api.llamacpp.schema import LlamaCppRequest
from stoker.api.openai.completion_schema import CompletionRequest
from stoker.api.penalty_window import check_window
from stoker.api.plan import Plan
from stoker.api.surface import Asked
from stoker.config.schema import LimitsSection
from stoker.errors import InvalidRequest

NEVER = -100.0
"""As a bias."""


class LlamaCppCompletions:
    """Implements Surface."""

    record = LlamaCppRequest
    names: Mapping[str, str] = {
        "max_tokens": "n_predict",
        "logprobs": "n_probs",
        "guided_json": "json_schema",
        "guided_grammar": "grammar",
    }

    def asked(self, body: LlamaCppRequest, limits: LimitsSection) -> Asked:
        _check(body)
        request = CompletionRequest(
            model=body.model,
            prompt=body.prompt,
            stream=body.stream,
            temperature=None if body.temperature is None else max(0.0, body.temperature),
            top_k=body.top_k,
            top_p=body.top_p,
            min_p=body.min_p,
            repetition_penalty=body.repeat_penalty,
            presence_penalty=body.presence_penalty,
            frequency_penalty=body.frequency_penalty,
            seed=None if body.seed == -1 else body.seed,
            stop=body.stop,
            ignore_eos=body.ignore_eos,
            logit_bias=_bias(body),
            logprobs=body.n_probs or (0 if body.return_tokens else None),
            guided_json=body.json_schema,
            guided_grammar=body.grammar or None,
        )
        length = body.n_predict
        return Asked(request, length if length is not None and length > 0 else None)

    def shape(self, body: LlamaCppRequest, plan: Plan) -> LlamaCppShape:
        several = isinstance(body.prompt, list) and not isinstance(body.prompt[0], int)
        return LlamaCppShape(body, plan, in_list=several)


def _check(body: LlamaCppRequest) -> None:
    if body.n_predict == 0:
        raise InvalidRequest("'n_predict' must not be 0", param="n_predict")
    check_window(
        body.repeat_last_n,
        "repeat_last_n",
        repeat=body.repeat_penalty,
        presence=body.presence_penalty,
        frequency=body.frequency_penalty,
    )


def _bias(body: LlamaCppRequest) -> dict[str, float] | None:
    given = body.logit_bias
    if given is None or isinstance(given, dict):
        return given
    if any(bias is True for _, bias in given):
        raise InvalidRequest("a bias of 'logit_bias' is a number or false", param="logit_bias")
    return {str(token): NEVER if bias is False else float(bias) for token, bias in given}
