"""Opens a model by path: its spec, its weights, and the metadata its text layer needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stoker.errors import ConfigError, ModelFileError
from stoker.model.families.family import GgufModel
from stoker.model.families.naming import locate
from stoker.model.fields import Fields
from stoker.model.pickled import refuse_pickled
from stoker.model.registry import find_family
from stoker.model.spec import DecoderSpec
from stoker.model.tensors import tensor_shapes
from stoker.model.weights.gguf import GgufFile
from stoker.model.weights.interface import Weights
from stoker.model.weights.pieces import PiecedWeights
from stoker.model.weights.quantized import FORMATS, QuantizedWeights
from stoker.model.weights.shapes import check_shapes

ROPE_FACTORS = "rope_freqs.weight"
ROPE_TENSORS = (ROPE_FACTORS,)


@dataclass(frozen=True, slots=True)
class Model:
    """An open model. `close` it; the weights read from the file until then."""

    path: Path
    spec: DecoderSpec
    weights: Weights
    metadata: Mapping[str, Any]
    """GGUF metadata: tokenizer, chat template, names."""

    def quantized(self, format_name: str) -> Model:
        """This model with its matrices in a format of `quantized.FORMATS` as they are read.

        Raises ConfigError for an unknown format, or when no matrix is larger than in that format.
        It is closed then. Otherwise closing either closes both.
        """
        kind = FORMATS.get(format_name)
        if kind is None:
            self.close()
            raise ConfigError(
                f"there is no weight format '{format_name}'", hint=f"Formats: {', '.join(FORMATS)}."
            )
        weights = QuantizedWeights(self.weights, kind)
        if not weights.shrinks:
            self.close()
            raise ConfigError(
                f"{self.path.name} is no larger than {format_name} already",
                param="model.quantize",
                hint="Leave --quantize out, or start from weights in F32, F16 or BF16.",
            )
        return replace(self, weights=weights)

    def without_metadata(self) -> Model:
        """What an engine needs. A vocabulary is tens of megabytes as Python strings."""
        return replace(self, metadata={})

    def close(self) -> None:
        self.weights.close()


def open_model(path: Path) -> Model:
    """Raises ModelFileError or UnsupportedModel; nothing stays open then."""
    if path.is_dir():
        from stoker.model.folder import open_folder

        return open_folder(path)
    refuse_pickled([path])
    if path.suffix == ".safetensors":
        raise ModelFileError(
            path, "is weights without a configuration", hint="Give the folder that holds it."
        )
    return _open_gguf(path)


def _open_gguf(path: Path) -> Model:
    file = GgufFile.open(path)
    try:
        fields = Fields(path, file.metadata)
        architecture = fields.text("general.architecture")
        family = find_family(architecture)
        found = GgufModel(
            fields=Fields(path, file.metadata, f"{architecture}."),
            tensor_names=frozenset(file.tensors),
            vocab_size=_vocab_size(path, file),
            rope_factors=_rope_factors(file),
        )
        spec = family.from_gguf(found)
        sources = locate(spec, family.gguf_names, file.tensors)
        check_shapes(path, spec, sources, file.tensors, ignore=ROPE_TENSORS)
    except BaseException:
        file.close()
        raise
    weights = PiecedWeights(file.without_metadata(), sources, tensor_shapes(spec))
    return Model(path, spec, weights, file.metadata)


def _vocab_size(path: Path, file: GgufFile) -> int:
    embedding = file.tensors.get("token_embd.weight")
    if embedding is None:
        raise ModelFileError(path, "tensor 'token_embd.weight' is missing")
    return embedding.rows


def _rope_factors(file: GgufFile) -> list[float] | None:
    """Llama 3's frequency factors, which its GGUF files carry as a tensor."""
    return file.floats(ROPE_FACTORS) if ROPE_FACTORS in file.tensors else None
