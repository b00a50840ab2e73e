"""The kinds of values that keys hold: ranges, names, and what must not be shown whole.

`description` is what a refusal says was expected; `extra["shown"]` says how much people may see.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

Positive = Annotated[int, msgspec.Meta(ge=1)]
Automatic = Annotated[int, msgspec.Meta(ge=0)]
"""0 asks for a value chosen at start-up."""
Duration = Annotated[float, msgspec.Meta(gt=0)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1000)]
Fraction = Annotated[float, msgspec.Meta(gt=0, le=1)]
Money = Annotated[float, msgspec.Meta(ge=0, le=1e9, description="a number from 0 to 1,000,000,000")]

Name = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$",
        description="a name of 1 to 128 letters, digits and . _ : / -",
    ),
]
Secret = Annotated[str, msgspec.Meta(extra={"shown": "never"})]
Address = Annotated[str, msgspec.Meta(extra={"shown": "without password"})]
"""A URL that may hold a user's name and password."""
Digest = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^sha256:[0-9a-f]{64}$",
        description="'sha256:' and 64 hexadecimal digits",
        extra={"shown": "beginning"},
    ),
]
Moment = Annotated[str, msgspec.Meta(description="an ISO date or time")]
