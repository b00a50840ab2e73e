"""Makes sure that both ends of an internal socket belong to the same user."""

from __future__ import annotations

import os
import socket
import struct

from stoker.errors import ProtocolError

_CREDENTIALS = struct.Struct("3i")


def check_same_user(connection: socket.socket) -> None:
    """Raises ProtocolError when the process at the other end runs as somebody else."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _pid, user, _group = _CREDENTIALS.unpack(raw)
    if user != os.getuid():
        raise ProtocolError(f"the other end of the engine's socket belongs to user {user}")
