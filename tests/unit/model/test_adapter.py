"""Adapters against what PEFT computes, and everything in one that is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from stoker.errors import ConfigError, ModelFileError
from stoker.executor.native import NativeExecutor, NativeOptions
from stoker.kernels.adapter import load_adapter
from stoker.kernels.decoder import available_kernels
from stoker.kernels.reference.adapter import FloatAdapter
from stoker.kernels.reference.decoder import ReferenceDecoder
from stoker.model.adapter import LowRank, read_adapter
from stoker.model.adapter_files import adapter_source, check_unchanged
from stoker.model.load import Model, open_model
from tests.support.adapters import (
    NAMES,
    WEIGHTS,
    GoldenAdapter,
    changed,
    golden_adapter,
    seeded_adapter,
    tensors_of,
)
from tests.support.gguf_architectures import write_gguf

ROUNDED_CACHE = 4e-3
"""Of the largest logit: keys and values are kept in half precision, which PEFT does not."""


def native(model: Model, kernels: str = "auto") -> NativeExecutor:
    options = NativeOptions(threads=2, kv_bytes=1 << 22, max_context=128, kernels=kernels)
    executor = NativeExecutor(model, options)
    executor.load()
    return executor


def agrees(model: Model, pairs: tuple[LowRank, ...], wanted: GoldenAdapter) -> None:
    """The definition to 1e-3, and the native core but for its half precision cache."""
    tokens = wanted.base.tokens
    reference = ReferenceDecoder(model.spec, model.weights, adapter=FloatAdapter(pairs))
    logits = reference.forward(tokens)[wanted.rows]
    np.testing.assert_allclose(logits, wanted.logits, atol=1e-3)
    for kernels in available_kernels():
        executor = native(model, kernels)
        adapter = load_adapter(executor.decoder, pairs)
        apart = np.abs(executor.forward_logits(tokens, adapter)[wanted.rows] - wanted.logits).max()
        assert apart < ROUNDED_CACHE * np.abs(wanted.logits).max()
    model.close()


@pytest.mark.parametrize("name", NAMES)
def test_logits_equal_those_of_peft(name: str, tmp_path: Path) -> None:
    wanted = golden_adapter(name)
    model = open_model(wanted.base.write_folder(tmp_path / "base"))
    agrees(model, read_adapter(wanted.write_folder(tmp_path / "adapter"), model.spec), wanted)


@pytest.mark.parametrize("name", NAMES)
def test_a_gguf_base_with_its_own_order_of_rows_computes_the_same(
    name: str, tmp_path: Path
) -> None:
    wanted = golden_adapter(name)
    model = open_model(write_gguf(tmp_path / "base.gguf", wanted.base_name, wanted.base))
    agrees(model, read_adapter(wanted.write_folder(tmp_path / "adapter"), model.spec), wanted)


@pytest.mark.parametrize("name", NAMES)
def test_greedy_tokens_equal_those_of_peft_and_not_the_bases(name: str, tmp_path: Path) -> None:
    wanted = golden_adapter(name)
    model = open_model(wanted.base.write_folder(tmp_path / "base"))
    executor = native(model)
    pairs = read_adapter(wanted.write_folder(tmp_path / "adapter"), model.spec)
    adapter = load_adapter(executor.decoder, pairs)
    tokens = list(wanted.base.tokens)
    for _ in wanted.greedy:
        tokens.append(int(executor.forward_logits(tokens, adapter)[-1].argmax()))
    executor.close()
    assert tokens[len(wanted.base.tokens) :] == wanted.greedy != wanted.base.greedy


# --- refusals -------------------------------------------------------------------------------

REFUSED = {
    "peft_type": "LOHA",
    "use_dora": True,
    "bias": "all",
    "lora_bias": True,
    "modules_to_save": ["lm_head"],
    "rank_pattern": {"q_proj": 4},
    "alpha_pattern": {"q_proj": 4},
    "target_parameters": ["experts.down_proj"],
    "layer_replication": [[0, 2]],
    "alora_invocation_tokens": [1],
    "init_lora_weights": "pissa_niter_16",
    "something_new": {"a": 1},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return seeded_adapter(tmp_path / "adapter", 1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    place = tmp_path_factory.mktemp("base")
    opened = open_model(golden_adapter("llama").base.write_folder(place))
    opened.close()
    return opened


@pytest.mark.parametrize("key", REFUSED)
def test_what_is_not_supported_is_refused_by_name(key: str, folder: Path, model: Model) -> None:
    changed(folder, **{key: REFUSED[key]})
    with pytest.raises(ConfigError, match=key):
        read_adapter(folder, model.spec)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("r", value) for value in (0, 5, True, 1 << 20)),
        *(("lora_alpha", value) for value in (-1, "x")),
        *(("target_modules", value) for value in (["up_proj"], 7)),
        ("use_rslora", "yes"),
    ],
)
def test_a_wrong_value_is_refused(key: str, value: object, folder: Path, model: Model) -> None:
    with pytest.raises((ConfigError, ModelFileError)):
        read_adapter(changed(folder, **{key: value}), model.spec)


def spoil(folder: Path, take: str, give: dict[str, tuple[int, int]]) -> None:
    tensors = {name: value for name, value in tensors_of(folder).items() if take not in name}
    for name, shape in give.items():
        tensors[f"base_model.model.{name}"] = np.zeros(shape, dtype=np.float32)
    save_file(tensors, folder / WEIGHTS)


HEAD = "lm_head.lora_A.weight"
Q = "model.layers.0.self_attn.q_proj"


@pytest.mark.parametrize(
    ("take", "give", "said"),
    [
        ("layers.0.self_attn.q_proj.lora_B", {}, "missing"),
        (f"{Q}.lora_A", {f"{Q}.lora_A.weight": (20, 63)}, "needs"),
        (f"{Q}.lora_B", {f"{Q}.lora_B.weight": (65, 20)}, "needs"),
        ("no", {HEAD: (20, 64), "lm_head.lora_B.weight": (96, 20)}, "nothing to adapt"),
        ("no", {f"{Q}.lora_magnitude_vector.weight": (64, 1)}, "plain LoRA"),
        ("no", {"model.layers.9.mlp.up_proj.lora_A.weight": (20, 64)}, "nothing to adapt"),
        ("lora", {}, "adapts nothing"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    take: str, give: dict[str, tuple[int, int]], said: str, folder: Path, model: Model
) -> None:
    spoil(folder, take, give)
    with pytest.raises(ConfigError, match=said):
        read_adapter(folder, model.spec)


def test_files_that_changed_are_refused(folder: Path) -> None:
    source = adapter_source("a", folder, 1 << 20)
    check_unchanged(source, 1 << 20)
    changed(folder, lora_alpha=17)
    with pytest.raises(ConfigError, match="changed"):
        check_unchanged(source, 1 << 20)


def test_a_file_over_the_limit_is_refused_unread(folder: Path) -> None:
    with pytest.raises(ConfigError, match="more than there is room"):
        adapter_source("a", folder, 1000)


@pytest.mark.parametrize("name", ["", "a b", "../up", "a" * 200, "a@b", "ä"])
def test_a_name_that_no_model_can_have_is_refused(name: str, folder: Path) -> None:
    with pytest.raises(ConfigError, match="name"):
        adapter_source(name, folder, 1 << 20)


def test_pickled_adapters_are_refused(tmp_path: Path) -> None:
    (tmp_path / "adapter_model.bin").write_bytes(b"\x80\x02")
    with pytest.raises(ModelFileError, match="pickled"):
        adapter_source("a", tmp_path, 1 << 20)
