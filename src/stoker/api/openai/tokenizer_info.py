"""GET /tokenizer_info, vLLM's: what a client needs that builds prompts by itself."""

from __future__ import annotations

import msgspec

from stoker.api.exchange import Exchange
from stoker.api.front import Front
from stoker.api.only_model import begin_token, end_token, only_own


class TokenizerInfo(msgspec.Struct, frozen=True, kw_only=True):
    tokenizer_class: str = "PreTrainedTokenizerFast"
    vocab_size: int
    bos_token: str | None
    eos_token: str | None
    pad_token: str | None
    """The end token: nothing is padded here, and who pads takes that."""
    add_bos_token: bool
    """Whether the model was trained with it before every text."""
    chat_template: str | None
    model_max_length: int


class ShowTokenizerInfo:
    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, exchange: Exchange) -> None:
        service = only_own(self._front, exchange)
        text = service.text
        await exchange.respond_json(
            TokenizerInfo(
                vocab_size=text.tokenizer.vocab_size,
                bos_token=begin_token(service),
                eos_token=end_token(service),
                pad_token=end_token(service),
                add_bos_token=text.tokenizer.vocabulary.adds_bos,
                chat_template=text.chat_template.source if text.chat_template else None,
                model_max_length=service.backend.info.max_context,
            )
        )
