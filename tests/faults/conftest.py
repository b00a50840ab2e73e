"""What several tests of replicas on other machines need."""

from __future__ import annotations

from pathlib import Path

import pytest

KEY = "k" * 40


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """The file with the secret that fronts and replicas share."""
    path = tmp_path / "ticket.key"
    path.write_text(KEY + "\n")
    return path
