"""What a front and a replica on another machine say to each other over HTTP.

The frames are those of a local engine. A request is one POST of a Submit frame, its answer a
stream of Deltas frames that ends with the sequence's ending; anything else is a loss. Every call
carries a ticket, and both sides name their version.
"""

from __future__ import annotations

import msgspec

from stoker.engine.frames import PROTOCOL
from stoker.engine.interface import EngineInfo, EngineLoad
from stoker.errors import ProtocolError
from stoker.version import VERSION

SUBMIT_PATH = "/replica/submit"
REPORT_PATH = "/replica/report"
TICKET_HEADER = "x-stoker-ticket"
VERSION_HEADER = "x-stoker-version"
FRAMES = "application/vnd.stoker.frames"
MINE = f"{PROTOCOL}/{VERSION}"


class ReplicaReport(msgspec.Struct, frozen=True, kw_only=True):
    """How a replica is. `info` is missing until it has loaded."""

    model: str
    state: str
    """Value of an EngineState."""
    load: EngineLoad
    info: EngineInfo | None = None
    restarts: int = 0


def check_version(theirs: str | None, who: str) -> None:
    """Raises ProtocolError naming both versions when they differ."""
    if theirs != MINE:
        raise ProtocolError(
            f"{who} speaks {theirs or 'no known protocol'}, this side {MINE} (protocol/version)",
            hint="Run the same version of stoker on both sides.",
        )
