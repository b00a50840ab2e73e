"""The engines that are compared: how each is started, on which weights, and what it cannot do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DRIVERS = Path(__file__).parent / "drivers"
BUILD = ROOT / "build" / "peers"
LLAMA_SERVER = BUILD / "llama.cpp" / "bin" / "llama-server"
TCMALLOC = "libtcmalloc_minimal.so.4"
LIBRARIES = (Path("/usr/lib/x86_64-linux-gnu"), Path("/usr/lib64"))
SHORT_SLOTS = 32
SHORT_CONTEXT = 768
LONG_SLOTS = 5
LONG_CONTEXT = 8192


@dataclass(frozen=True)
class Setting:
    """One model on this machine."""

    model: str
    shipped: Path
    """The GGUF file as it is served by us."""
    vocabulary: int
    threads: int

    @property
    def folder(self) -> Path:
        return BUILD / self.model.replace(":", "-")


@dataclass(frozen=True)
class Peer:
    name: str
    numbers: str
    """The format of its weights."""
    python: Path
    driver: str
    weights: Callable[[Setting], Path]
    server: Callable[[Setting, str, int], list[str]] | None = None
    """Command for a kind of load, 'short' or 'long', on a port."""
    health: str = "/health"
    variables: Mapping[str, str] = field(default_factory=dict)
    load: bool = True
    """Whether it can serve many clients at all."""
    starts: int = 100
    """How many starts are timed at most; slow ones are not repeated."""
    libraries: tuple[Path, ...] = ()
    """Loaded before all others, where they exist."""

    @property
    def installed(self) -> bool:
        return self.python.exists()

    def driver_command(self, setting: Setting) -> list[str]:
        command = [str(self.python), str(DRIVERS / self.driver), str(self.weights(setting))]
        command += ["--threads", str(setting.threads)]
        return [*command, "--vocabulary", str(setting.vocabulary)]

    def environment(self, setting: Setting) -> dict[str, str]:
        found = {"HF_HUB_OFFLINE": "1"}
        found |= {
            key: value.format(last=setting.threads - 1) for key, value in self.variables.items()
        }
        preloaded = [str(library) for library in self.libraries if library.exists()]
        return found | ({"LD_PRELOAD": ":".join(preloaded)} if preloaded else {})


def _environment(name: str) -> Path:
    return ROOT / name / "bin" / "python"


def _stoker(setting: Setting, _kind: str, port: int) -> list[str]:
    """Without speculation: random prompts make a greedy model repeat itself, which guessing would
    profit from as no real text lets it."""
    command = [sys.executable, "-m", "stoker", "serve", str(setting.shipped), "--port", str(port)]
    options = ["--threads", str(setting.threads), "--speculation", "off"]
    return [*command, *options, "--log-level", "warning"]


def _llama_server(setting: Setting, kind: str, port: int) -> list[str]:
    """A slot has a fixed share of the context, so many short and few long ones are two servers."""
    slots, context = {
        "short": (SHORT_SLOTS, SHORT_CONTEXT),
        "long": (LONG_SLOTS, LONG_CONTEXT),
    }[kind]
    threads = str(setting.threads)
    return [
        str(LLAMA_SERVER), "--model", str(setting.folder / "q4_0.gguf"), "--port", str(port),
        "--threads", threads, "--threads-batch", threads, "--flash-attn", "on",
        "--parallel", str(slots), "--ctx-size", str(slots * context), "--no-kv-unified",
    ]  # fmt: skip


def _vllm(setting: Setting, _kind: str, port: int) -> list[str]:
    return [
        str(_environment(".venv-vllm")), "-m", "vllm.entrypoints.openai.api_server",
        "--model", str(setting.folder / "int8"), "--host", "127.0.0.1", "--port", str(port),
        "--max-num-seqs", "64", "--max-model-len", "8192", "--dtype", "bfloat16",
        "--disable-uvicorn-access-log",
    ]  # fmt: skip


PEERS = [
    Peer("stoker", "the file as shipped", Path(sys.executable), "stoker_driver.py",
         lambda setting: setting.shipped, _stoker, "/health/ready"),
    Peer("llama", "Q4_0 made from it", _environment(".venv-peers"), "llama_cpp_driver.py",
         lambda setting: setting.folder / "q4_0.gguf", _llama_server),
    Peer("openvino", "int4, groups of 64", _environment(".venv-openvino"), "openvino_driver.py",
         lambda setting: setting.folder / "openvino-int4"),
    Peer("vllm", "int8 weights and activations", _environment(".venv-vllm"), "vllm_driver.py",
         lambda setting: setting.folder / "int8", _vllm, starts=1,
         variables={"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "0-{last}",
                    "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_NO_USAGE_STATS": "1",
                    "DO_NOT_TRACK": "1"},
         libraries=(ROOT / ".venv-vllm" / "lib" / "libiomp5.so",
                    *(folder / TCMALLOC for folder in LIBRARIES))),
    Peer("transformers", "bfloat16", _environment(".venv-fidelity"), "transformers_driver.py",
         lambda setting: setting.folder / "hugging-face", load=False, starts=1),
]  # fmt: skip
