"""docs/models.md says what the registry says."""

from __future__ import annotations

from pathlib import Path

from stoker.model.page import models_page
from stoker.model.registry import FAMILIES
from tests.support.architectures import NAMES, golden
from tests.support.checkpoints import FOLDER_FAMILIES
from tests.support.encoders import NAMES as ENCODERS
from tests.support.encoders import golden_encoder

PAGE = Path(__file__).parents[3] / "docs" / "models.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == models_page(), "run `make models-page`"


def test_every_family_is_compared_with_transformers() -> None:
    """Here by files in tests/golden, or by numbers in test_reference_decoder.py."""
    compared = {golden(name).config["model_type"] for name in NAMES} | set(FOLDER_FAMILIES)
    compared |= {golden_encoder(name).config["model_type"] for name in ENCODERS}
    assert {family.name for family in FAMILIES} - {"gemma3"} <= compared
