"""What a batch in the background costs people who wait: the time to their first token, without and
with one, in turns.

    python -m benchmarks.batch_slack
"""

from __future__ import annotations

import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from stoker.bench.server import free_port

MODEL = "smollm2:135m"
ROUNDS, ASKED = 3, 40
PROMPT = "The sea was calm that night, and nobody on board thought of storms. " * 16


def main() -> None:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "stoker.toml"
        config.write_text(
            f'[model]\nname = "{MODEL}"\n[server]\nport = {port}\n'
            f'[batches]\nurl = "sqlite:///{folder}/batches.db"\n'
        )
        command = [sys.executable, "-m", "stoker", "serve", "--config", str(config)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as server:
            try:
                assert server.stdout
                server.stdout.readline()
                print(json.dumps(measured(port), indent=1))
            finally:
                server.terminate()


def measured(port: int) -> dict[str, float]:
    first_tokens: dict[str, list[float]] = {"alone": [], "beside a batch": []}
    live(port, 0)
    for number in range(ROUNDS):
        first_tokens["alone"] += live(port, 2 * number + 1)
        batch_id = begin(port)
        first_tokens["beside a batch"] += live(port, 2 * number + 2)
        posted(port, f"/v1/batches/{batch_id}/cancel", {})
        while read(port, batch_id)["status"] == "cancelling":
            time.sleep(0.1)
    found = {}
    for name, seconds in first_tokens.items():
        found[f"p50 {name}, ms"] = round(1000 * statistics.median(seconds), 1)
        found[f"p95 {name}, ms"] = round(1000 * statistics.quantiles(seconds, n=20)[-1], 1)
    return found


def live(port: int, salt: int) -> list[float]:
    """Seconds to the first token of streams one after another; no prompt is cached."""
    seconds = []
    for number in range(ASKED):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        body = {"model": MODEL, "prompt": f"{salt} {number} {PROMPT}", "max_tokens": 8,
                "stream": True, "ignore_eos": True}  # fmt: skip
        began = time.perf_counter()
        headers = {"content-type": "application/json"}
        connection.request("POST", "/v1/completions", json.dumps(body), headers)
        response = connection.getresponse()
        response.readline()
        seconds.append(time.perf_counter() - began)
        response.read()
        connection.close()
    return seconds


def begin(port: int) -> str:
    """A batch that does not end by itself; returns once a line of it is answered."""
    messages = [{"role": "user", "content": "Tell a long story."}]
    lines = [
        {"custom_id": str(number), "url": "/v1/chat/completions",
         "body": {"model": MODEL, "messages": messages, "max_tokens": 64, "ignore_eos": True}}
        for number in range(5000)
    ]  # fmt: skip
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    edge = "edge-of-a-part"
    form = (
        f'--{edge}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="in.jsonl"\r\n\r\n'
        f"{text}\r\n--{edge}--\r\n"
    )
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/files",
        form.encode(),
        {"content-type": f"multipart/form-data; boundary={edge}"},
    )
    with urllib.request.urlopen(request) as response:
        file_id = json.load(response)["id"]
    order = {"input_file_id": file_id, "endpoint": "/v1/chat/completions",
             "completion_window": "24h"}  # fmt: skip
    batch_id: str = posted(port, "/v1/batches", order)["id"]
    while not read(port, batch_id)["request_counts"]["completed"]:
        time.sleep(0.05)
    return batch_id


def posted(port: int, path: str, body: object) -> dict:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def read(port: int, batch_id: str) -> dict:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/batches/{batch_id}") as response:
        return json.load(response)


if __name__ == "__main__":
    main()
