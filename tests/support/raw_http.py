"""Bytes on a socket, for what no HTTP client can be made to send."""

from __future__ import annotations

import socket

from tests.support.server import RunningServer


def exchange(server: RunningServer, *pieces: bytes) -> bytes:
    """Sends the pieces and reads until the server closes; empty when it closed without a word."""
    with server.connect() as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
        except OSError:
            pass  # closed already; what it said is still there to read
        return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    received = b""
    try:
        while data := connection.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    return received


def statuses(answer: bytes) -> list[int]:
    """Of every response in the bytes."""
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
