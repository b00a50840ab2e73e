"""A neighbour that must not notice anything: the same stream, read again and again."""

from __future__ import annotations

import http.client
import json
import re
import threading

from tests.support.server import MODEL, RunningServer

HEALTHY = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "A healthy question"}],
    "max_tokens": 400,
    "seed": 42,
    "stream": True,
}
IDENTITY = re.compile(rb'"id":"chatcmpl-\w+"|"created":\d+')


class HealthyStream:
    """Reads the same stream again and again in a thread and compares every reading. Leaving the
    context fails unless there were readings and all were identical."""

    def __init__(self, server: RunningServer) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.expected = read_stream(self._connection)
        self.readings = 0
        self.problems: list[str] = []

    def __enter__(self) -> HealthyStream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        self._connection.close()
        assert self.readings > 0
        assert not self.problems

    def _run(self) -> None:
        while not self._stop.is_set():
            if read_stream(self._connection) != self.expected:
                self.problems.append(f"reading {self.readings} differs")
            self.readings += 1


def read_stream(connection: http.client.HTTPConnection) -> bytes:
    """One answer, over a connection that is kept."""
    connection.request(
        "POST", "/v1/chat/completions", json.dumps(HEALTHY), {"content-type": "application/json"}
    )
    body = connection.getresponse().read()
    assert body.endswith(b"data: [DONE]\n\n")
    return IDENTITY.sub(b"", body)
