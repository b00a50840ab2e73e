"""What sentence-transformers writes beside a model: how its hidden states become an embedding."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from stoker.core.pooling import Pooling
from stoker.model.fields import Fields
from stoker.model.json_file import read_json
from stoker.model.spec import DecoderSpec

POOLING_FILE = Path("1_Pooling") / "config.json"
_MODES = {
    "pooling_mode_mean_tokens": Pooling.MEAN,
    "pooling_mode_cls_token": Pooling.FIRST,
    "pooling_mode_lasttoken": Pooling.LAST,
}


def with_pooling(folder: Path, spec: DecoderSpec) -> DecoderSpec:
    """The spec with the pooling its folder names, if it names one.

    Raises ModelFileError for one that we do not compute.
    """
    path = folder / POOLING_FILE
    if not path.is_file():
        return spec
    config = Fields(path, read_json(path))
    named = [pooling for mode, pooling in _MODES.items() if config.flag(mode, False)]
    if len(named) != 1:
        raise config.fail("pooling_mode", "is not one of " + ", ".join(_MODES))
    return replace(spec, pooling=named[0])
