"""What every section and entry of the configuration is made of."""

from __future__ import annotations

from typing import Any

import msgspec

from stoker.config.redaction import shown


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file. Printed, logged or in a traceback, it hides its secrets."""

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [
            (field.name, shown(getattr(self, field.name), field.type))
            for field in msgspec.structs.fields(type(self))
        ]

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={text}" for name, text in self.__rich_repr__())
        return f"{type(self).__name__}({inside})"
