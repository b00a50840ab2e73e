"""The prompts of a completion request, as token ids and as text."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.api.openai.sampling import check_token_ids
from stoker.api.plan import Prompt
from stoker.api.service import Service
from stoker.core.ids import TokenId
from stoker.errors import InvalidRequest


def read_prompts(
    service: Service, prompt: str | list[str | int | list[int]], vocab_size: int
) -> list[Prompt]:
    """Slow when there is much text.

    Raises InvalidRequest for empty or mixed prompts, too many, and ids out of range.
    """
    if not prompt:
        raise InvalidRequest("'prompt' is empty", param="prompt")
    if isinstance(prompt, str):
        return [_from_text(service, prompt)]
    if all(isinstance(item, int) for item in prompt):
        return [_from_ids(service, [i for i in prompt if isinstance(i, int)], vocab_size)]
    if len(prompt) > service.limits.batch_prompts:
        raise InvalidRequest(
            f"'prompt' has more than {service.limits.batch_prompts} entries", param="prompt"
        )
    if any(isinstance(item, int) for item in prompt):
        raise InvalidRequest("'prompt' mixes texts and token ids", param="prompt")
    return [
        _from_text(service, item)
        if isinstance(item, str)
        else _from_ids(service, item if isinstance(item, list) else [], vocab_size)
        for item in prompt
    ]


def _from_text(service: Service, text: str) -> Prompt:
    ids = service.text.tokenizer.encode(text, add_bos=True)
    if not text or not ids:
        raise InvalidRequest("'prompt' holds an empty text", param="prompt")
    return Prompt(tuple(ids), text)


def _from_ids(service: Service, ids: Sequence[TokenId], vocab_size: int) -> Prompt:
    if not ids:
        raise InvalidRequest("'prompt' holds an empty list", param="prompt")
    check_token_ids(ids, vocab_size, "prompt")
    return Prompt(tuple(ids), service.text.tokenizer.decode(ids))
