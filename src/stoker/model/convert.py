"""`stoker quantize`: any model we open, written as a GGUF file that other readers open too."""

from __future__ import annotations

from pathlib import Path

from stoker.errors import ConfigError
from stoker.model.families.family import GGUF_NAMES
from stoker.model.families.naming import locate
from stoker.model.gguf_entries import architecture, rope_factors, shape_entries
from stoker.model.gguf_layout import ROPE_FREQUENCIES, GgufLayout
from stoker.model.gguf_tokenizer import tokenizer_entries
from stoker.model.load import Model, open_model
from stoker.model.weights import gguf_writer as gguf
from stoker.model.weights.gguf import GgufFile
from stoker.model.weights.gguf_writer import Progress, write_gguf
from stoker.model.weights.interface import TensorType
from stoker.model.weights.quantized import FORMATS, QuantizedWeights
from stoker.model.weights.stored import StoredWeights

FILE_TYPES = {
    TensorType.F32: 0,
    TensorType.F16: 1,
    TensorType.Q4_0: 2,
    TensorType.Q4_1: 3,
    TensorType.Q8_0: 7,
    TensorType.Q5_1: 9,
    TensorType.Q4_K: 14,
}
"""What GGUF's general.file_type calls a file mostly of this type."""
QUANTIZATION_VERSION = 2
_REPLACED = ("general.file_type", "general.quantization_version", "general.alignment")


def convert(source: Path, target: Path, format_name: str, progress: Progress) -> bool:
    """Writes `source` (a GGUF file or a folder) to `target` with its matrices in a format of
    FORMATS. Tensors already smaller than that stay as they are; whether any became smaller.

    Raises ModelFileError, UnsupportedModel, or ConfigError for a format that does not exist.
    """
    kind = FORMATS.get(format_name)
    if kind is None:
        raise ConfigError(
            f"there is no weight format '{format_name}'", hint=f"Formats: {', '.join(FORMATS)}."
        )
    if target.exists() and target.samefile(source):
        raise ConfigError("source and target are the same file")
    written = [
        gguf.count("general.file_type", FILE_TYPES[kind]),
        gguf.count("general.quantization_version", QUANTIZATION_VERSION),
    ]
    model = open_model(source)
    try:
        if source.is_dir():
            return _from_folder(model, target, kind, written, progress)
        return _from_gguf(model, target, kind, written, progress)
    finally:
        model.close()


def _from_gguf(
    model: Model, target: Path, kind: TensorType, written: list[bytes], progress: Progress
) -> bool:
    """Metadata is copied as bytes, so that it keeps types we would not tell apart; tensors keep
    the names and the order of rows they have."""
    with GgufFile.open(model.path) as file:
        entries = [file.record(key) for key in file.metadata if key not in _REPLACED]
        weights = QuantizedWeights(StoredWeights(file), kind)
        names = {name: name for name in weights.names()}
        write_gguf(target, entries + written, weights, names, progress)
    return weights.shrinks


def _from_folder(
    model: Model, target: Path, kind: TensorType, written: list[bytes], progress: Progress
) -> bool:
    entries = shape_entries(model) + tokenizer_entries(model.metadata, model.spec.vocab_size)
    layout = GgufLayout(
        model.weights,
        model.spec,
        pairs=architecture(model) == "llama",
        factors=rope_factors(model),
    )
    sources = locate(model.spec, GGUF_NAMES, ())
    names = {name: pieces[0].stored for name, pieces in sources.items()}
    if ROPE_FREQUENCIES in layout.names():
        names[ROPE_FREQUENCIES] = f"{ROPE_FREQUENCIES}.weight"
    weights = QuantizedWeights(layout, kind)
    write_gguf(target, entries + written, weights, names, progress)
    return weights.shrinks
