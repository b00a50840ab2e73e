"""Fetches a repository from a model hub, through the hub's own library (an optional extra).

A name is `owner/repository`, or `owner/repository:part` where part picks one of several GGUF files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from stoker.errors import PullError

Progress = Callable[[int, int], None]

BESIDE_WEIGHTS = (".json", ".jinja")
"""Only data is ever fetched: no code, no pickled weights."""


def pull_repository(
    name: str, cache: Path, progress: Progress | None = None, endpoint: str | None = None
) -> Path:
    """The folder of safetensors, or the GGUF file. Raises PullError.

    Without a connection, what was fetched before is used.
    """
    repository, _, part = name.partition(":")
    try:
        from huggingface_hub import HfApi, hf_hub_download, snapshot_download
        from huggingface_hub.utils import disable_progress_bars
    except ImportError:
        raise PullError(
            f"'{name}' looks like a hub repository, and the hub library is not installed",
            hint="pip install 'stoker[hub]'",
        ) from None
    disable_progress_bars()
    folder = cache / "hub"
    # The library raises the errors of whichever HTTP client it was built on, hence Exception.
    try:
        info = HfApi(endpoint=endpoint).model_info(repository, files_metadata=True)
    except Exception as error:
        try:
            kept = Path(snapshot_download(repository, cache_dir=folder, local_files_only=True))
        except Exception:
            raise _failed(repository, error) from None
        return _opened(kept, choose(repository, _sizes_in(kept), part))
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    chosen = choose(repository, sizes, part)
    total, done = sum(sizes[file] for file in chosen), 0
    for file in chosen:
        try:
            path = hf_hub_download(repository, file, cache_dir=folder, endpoint=endpoint)
        except Exception as error:
            raise _failed(repository, error) from None
        done += sizes[file]
        if progress is not None:
            progress(done, total)
    return _opened(Path(path).parent, chosen)


def choose(repository: str, sizes: Mapping[str, int], part: str) -> list[str]:
    """Which of a repository's files to fetch, weights last. Raises PullError."""
    safe = [file for file in sizes if PurePosixPath(file).name == file and "\\" not in file]
    ggufs = sorted(file for file in safe if file.endswith(".gguf"))
    tensors = sorted(
        file
        for file in safe
        # A second copy of the weights, in another layout.
        if file.endswith(".safetensors") and not file.startswith("consolidated")
    )
    if tensors and not part:
        return sorted(file for file in safe if file.endswith(BESIDE_WEIGHTS)) + tensors
    matching = [file for file in ggufs if part.lower() in file.lower()]
    if len(matching) == 1:
        return matching
    if not ggufs:
        raise PullError(f"{repository} holds {'no GGUF file' if part else 'no weights we read'}")
    if not matching:
        raise PullError(f"{repository} holds no GGUF file named like '{part}'", hint=_list(ggufs))
    raise PullError(
        f"{repository} holds {len(matching)} such GGUF files",
        hint=f"Add a part of one's name after a colon. {_list(matching)}",
    )


def _list(files: list[str]) -> str:
    more = " ..." if len(files) > 6 else ""
    return f"It holds {', '.join(files[:6])}{more}"


def _opened(folder: Path, files: list[str]) -> Path:
    return folder / files[0] if files[0].endswith(".gguf") else folder


def _sizes_in(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_size for file in folder.iterdir() if file.is_file()}


def _failed(repository: str, error: Exception) -> PullError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return PullError(
        f"cannot fetch {repository} from the hub: {reason}",
        hint="Check the name, the connection, and for a gated model the access token.",
    )
