"""What the offline and the asyncio engine both need first: files, text layer, settings."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stoker.config.load import load as load_config
from stoker.config.paths import cache_folder
from stoker.config.setting import Setting
from stoker.core.ids import TokenId
from stoker.engine.frames import EngineSettings
from stoker.engine.settings import engine_settings
from stoker.errors import InvalidRequest
from stoker.model.load import open_model
from stoker.model.pull import resolve
from stoker.text.load import TextModel, load_text

Prompt = str | Sequence[TokenId]
Messages = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Prepared:
    text: TextModel
    settings: EngineSettings
    max_restarts: int

    def encode(self, prompt: Prompt) -> tuple[TokenId, ...]:
        """Raises InvalidRequest for an empty prompt or token ids outside the vocabulary."""
        if isinstance(prompt, str):
            ids = tuple(self.text.tokenizer.encode(prompt, add_bos=True))
        else:
            try:
                ids = tuple(map(operator.index, prompt))
            except TypeError:
                raise InvalidRequest("a prompt is text or a list of token ids") from None
            if any(not 0 <= token < self.text.tokenizer.vocab_size for token in ids):
                raise InvalidRequest("a token id is outside the vocabulary")
        if not ids:
            raise InvalidRequest("the prompt has no tokens")
        return ids

    def encode_chat(self, messages: Messages) -> tuple[TokenId, ...]:
        """Raises InvalidRequest for a model without a chat template."""
        if self.text.chat_template is None:
            raise InvalidRequest("this model has no chat template; give it a prompt instead")
        return tuple(self.text.chat_template.encode(messages))


def prepare(
    model: str,
    source: str,
    engine: Mapping[str, Any],
    quantize: str | None = None,
    cache: str | None = None,
) -> Prepared:
    """Fetches the model if need be, into the folder `cache` if one is given. `engine` holds keys of
    the engine section; `source` is what messages call it. Raises PullError, ModelFileError,
    UnsupportedModel or ConfigError."""
    given = [Setting(f"engine.{key}", value, source) for key, value in engine.items()]
    if quantize is not None:
        given.append(Setting("model.quantize", quantize, source))
    if cache:
        given.append(Setting("model.cache", cache, source))
    config = load_config(given).config
    folder = cache_folder(config.model)
    path = resolve(model, folder)
    opened = open_model(path)
    try:
        text = load_text(path, opened.metadata, folder)
    finally:
        opened.close()
    settings = engine_settings(config, path, text.tokenizer.vocabulary.table)
    return Prepared(text, settings, config.engine.max_restarts)
