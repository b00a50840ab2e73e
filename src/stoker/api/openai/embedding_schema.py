"""The fields of POST /v1/embeddings: OpenAI's, and vLLM's that make sense here."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stoker.api.openai.fields import AtLeastOne, Ignored
from stoker.errors import InvalidRequest

CutAt = Annotated[int, Meta(ge=-1, le=2**31 - 1)]


class TextPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: Literal["text"]
    text: str


class TextObject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """llama.cpp's: a text, or the parts of one."""

    prompt_string: str | None = None
    content: list[TextPart] | None = None

    @property
    def text(self) -> str:
        """Raises InvalidRequest unless it holds one."""
        if (self.prompt_string is None) == (self.content is None):
            raise InvalidRequest(
                "an object in 'input' holds one of 'prompt_string' and 'content'", param="input"
            )
        return self.prompt_string or "".join(part.text for part in self.content or [])


class EmbeddingRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    model: str | None = None
    input: str | TextObject | list[str | int | list[int] | TextObject]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: AtLeastOne | None = None
    """The first so many numbers, for models trained so that these are an embedding themselves."""
    user: Ignored = msgspec.UNSET
    truncate_prompt_tokens: CutAt | None = None
    """Longer texts are cut there; -1: at the model's limit. Else they are refused."""
    add_special_tokens: bool = True
    normalize: bool = True
    pooling: Literal["cls", "last", "mean"] | None = None
    """What of the hidden states; None: as the model was trained."""


class Embedding(msgspec.Struct, frozen=True):
    index: int
    embedding: list[float] | str
    """Numbers, or little-endian float32 in base64."""
    object: Literal["embedding"] = "embedding"


class TextUsage(msgspec.Struct, frozen=True):
    prompt_tokens: int
    total_tokens: int


class EmbeddingList(msgspec.Struct, frozen=True):
    data: list[Embedding]
    model: str
    usage: TextUsage
    object: Literal["list"] = "list"
