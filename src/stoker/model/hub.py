"""Fetches a repository from a model hub, through the hub's own library (an optional extra)."""

from __future__ import annotations

from pathlib import Path

from stoker.errors import PullError

PATTERNS = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.gguf", "*.jinja", "*.txt"]
"""Only data is ever fetched: no code, no pickled weights."""


def pull_repository(name: str, cache: Path, endpoint: str | None = None) -> Path:
    """The folder, or the only GGUF file, of `owner/name`. Raises PullError."""
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError:
        raise PullError(
            f"'{name}' looks like a hub repository, and the hub library is not installed",
            hint="pip install 'stoker[hub]'",
        ) from None
    try:
        folder = Path(
            snapshot_download(
                name, cache_dir=cache / "hub", allow_patterns=PATTERNS, endpoint=endpoint
            )
        )
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = (str(error).splitlines() or ["no reason given"])[0]
        raise PullError(f"cannot fetch {name} from the hub: {reason}") from None
    files = sorted(folder.glob("*.gguf"))
    if len(files) > 1:
        names = ", ".join(file.name for file in files[:4])
        raise PullError(f"{name} holds several GGUF files ({names})", hint="Give the path of one.")
    return files[0] if files else folder
