"""What a front and a replica on another machine say to each other over HTTP.

The frames are those of a local engine. A request is one POST of a Submit frame, its answer a
stream of Deltas frames that ends with the sequence's ending; anything else is a loss. Every call
carries a ticket, and both sides name their version.

Or the front only decides: a proxy takes the client's own request to the replica, with a ticket, and
the answer back. Such requests are under ANSWER_PATH. How they ended the front learns by asking at
OUTCOMES_PATH, and the replica forgets it when the front says that it is done with it.
"""

from __future__ import annotations

import msgspec

from stoker.engine.frames import PROTOCOL
from stoker.engine.interface import EngineInfo, EngineLoad
from stoker.errors import ProtocolError
from stoker.version import VERSION

SUBMIT_PATH = "/replica/submit"
REPORT_PATH = "/replica/report"
OUTCOMES_PATH = "/replica/outcomes"
ANSWER_PATH = "/replica"
"""Before the path that the client asked for."""
TICKET_HEADER = "x-stoker-ticket"
VERSION_HEADER = "x-stoker-version"
REPLICA_HEADER = "x-stoker-replica"
"""HOST:PORT, from the front to the proxy."""
EDGE_HEADER = "x-stoker-edge"
"""From the proxy to the front: that it is there; see `ticket.edge_token`."""
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
    run: str = ""
    """Another one for each process."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a request ended that a replica answered by itself."""

    ticket: str
    """The request id of the ticket."""
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    ending: str
    """A finish reason or an error's code."""


class OutcomesAsked(msgspec.Struct, frozen=True, kw_only=True):
    front: str
    done: list[str]
    """Tickets whose outcomes the replica may forget."""
    late: list[str]
    """Expired tickets of which the front has not heard."""
    seconds: float
    """How long to wait for an outcome when there is none."""


class Outcomes(msgspec.Struct, frozen=True, kw_only=True):
    run: str
    outcomes: list[Outcome]
    unused: list[str]
    """Of the late ones: those that this process never saw."""


def check_version(theirs: str | None, who: str) -> None:
    """Raises ProtocolError naming both versions when they differ."""
    if theirs != MINE:
        raise ProtocolError(
            f"{who} speaks {theirs or 'no known protocol'}, this side {MINE} (protocol/version)",
            hint="Run the same version of stoker on both sides.",
        )
