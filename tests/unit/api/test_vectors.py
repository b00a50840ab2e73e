"""Vectors count for tenants as text does, and are asked of the model that is named."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

from stoker.gateway.usage import Usage
from tests.support.gateway import Gateway, gateway, tenant


def post(server: Gateway, key: str, path: str, **body: Any) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
    connection.request("POST", path, json.dumps(body), headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer


def test_vectors_are_reserved_settled_and_limited(tmp_path: Path) -> None:
    text = '[[models]]\nname = "tiny"\n' + tenant("free") + tenant("few", tokens_per_minute=10)
    with gateway(tmp_path, text) as server:
        given = {"model": "tiny", "input": [[1, 2, 3], [4, 5, 6]]}
        assert post(server, "free", "/v1/embeddings", **given)[0] == 200
        assert post(server, "few", "/v1/embeddings", **given)[0] == 200
        status, refused = post(server, "few", "/v1/embeddings", **given)
        assert (status, refused["error"]["code"]) == (429, "rate_limit_exceeded")
        pair = {"model": "tiny", "text_1": "the", "text_2": ["the", "in"]}
        status, scored = post(server, "free", "/score", **pair)
        assert status == 200
        assert scored["data"][0]["score"] > 0.999
        used = [usage for _, usage, outcome in server.ledger.settled if outcome == "stop"]
    assert used[:2] == [Usage(input_tokens=6)] * 2
    assert used[2].input_tokens == scored["usage"]["total_tokens"] > 0
    assert server.ledger.num_open == 0


def test_the_model_is_the_one_that_is_named(tmp_path: Path) -> None:
    text = '[[models]]\nname = "one"\n[[models]]\nname = "two"\n' + tenant("free")
    with gateway(tmp_path, text) as server:
        for name in ("one", "two"):
            status, answer = post(server, "free", "/v1/embeddings", model=name, input="the")
            assert (status, answer["model"]) == (200, name)
        status, answer = post(server, "free", "/v1/embeddings", model="three", input="the")
        assert (status, answer["error"]["code"]) == (404, "model_not_found")
        status, answer = post(server, "free", "/rerank", query="the", documents=["in"])
        assert (status, answer["error"]["param"]) == (400, "model")


def test_several_names_of_one_model_are_still_one(tmp_path: Path) -> None:
    text = '[[models]]\nname = "one"\n[[routes]]\nname = "other"\ntargets = [{ model = "one" }]\n'
    with gateway(tmp_path, text + tenant("free")) as server:
        for asked in ({}, {"model": None}, {"model": "other"}):
            status, answer = post(server, "free", "/v1/embeddings", **asked, input="the")
            assert (status, answer["model"]) == (200, "one")
