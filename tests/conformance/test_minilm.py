"""all-MiniLM-L6-v2 from the package index: the tokens and embeddings that transformers has."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from openai import OpenAI

from tests.support.server import model_server

NAME = "all-minilm:l6-v2"
GOLDEN = Path(__file__).parents[1] / "golden" / "minilm.json"


@pytest.mark.models
def test_embeddings_equal_those_of_transformers() -> None:
    golden = json.loads(GOLDEN.read_text())
    with model_server(NAME) as server:
        client = OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0)
        with client:
            texts = [entry["text"] for entry in golden]
            answer = client.embeddings.create(model=NAME, input=texts)
            ids = client.embeddings.create(model=NAME, input=[entry["ids"] for entry in golden])
    wanted = np.array([entry["embedding"] for entry in golden])
    ours = np.array([item.embedding for item in answer.data])
    assert np.abs(ours - wanted).max() < 1e-3
    assert np.array_equal(ours, [item.embedding for item in ids.data])
    assert answer.usage.prompt_tokens == sum(len(entry["ids"]) for entry in golden)
