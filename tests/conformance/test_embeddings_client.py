"""Embeddings, ranks and scores, by the official client and by plain requests."""

from __future__ import annotations

import base64
import http.client
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from openai import OpenAI

from stoker.core.pooling import Pooling
from stoker.kernels.reference.decoder import ReferenceDecoder
from stoker.model.load import open_model
from tests.support.encoders import VOCABULARY, golden_encoder
from tests.support.server import MODEL, RunningServer, local_server, path_server

TEXTS = ["the cat sat.", "a dog", "the dog sat sat sat"]
APART = 1e-3


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("encoders")
    for name in ("bert", "bert-score"):
        golden_encoder(name).write_folder(root / name)
    return root


@pytest.fixture(scope="module")
def encoder(folders: Path) -> Iterator[RunningServer]:
    with path_server(folders / "bert", batch_texts=300) as running:
        yield running


@pytest.fixture(scope="module")
def scorer(folders: Path) -> Iterator[RunningServer]:
    with path_server(folders / "bert-score") as running:
        yield running


@pytest.fixture(scope="module")
def decoder() -> Iterator[RunningServer]:
    with local_server() as running:
        yield running


@pytest.fixture
def client(encoder: RunningServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{encoder.url}/v1", api_key="unused", max_retries=0) as made:
        yield made


def post(server: RunningServer, path: str, body: dict[str, Any]) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    headers = {"content-type": "application/json"}
    connection.request("POST", path, json.dumps(body), headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer


def ids(*words: str) -> list[int]:
    return [VOCABULARY.index(word) for word in words]


def framed(*words: str) -> list[int]:
    return ids("[CLS]", *words, "[SEP]")


def definition(folder: Path, tokens: list[int], second_part: int | None = None) -> np.ndarray:
    """The embedding, or the one label, as plain NumPy computes it."""
    model = open_model(folder)
    pooling = Pooling.LABELS if model.spec.labels else Pooling.MEAN
    found = ReferenceDecoder(model.spec, model.weights).pool(tokens, pooling, second_part)
    model.close()
    return found if model.spec.labels else found / np.linalg.norm(found)


def test_texts_become_the_models_embeddings(client: OpenAI, folders: Path) -> None:
    answer = client.embeddings.create(model=MODEL, input=TEXTS)
    wanted = [
        framed("the", "cat", "sat", "."),
        framed("a", "dog"),
        framed("the", "dog", "sat", "sat", "sat"),
    ]
    assert [item.index for item in answer.data] == [0, 1, 2]
    for item, tokens in zip(answer.data, wanted, strict=True):
        theirs = definition(folders / "bert", tokens)
        np.testing.assert_allclose(item.embedding, theirs, atol=APART)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == sum(map(len, wanted))


def test_token_ids_are_taken_as_they_are(client: OpenAI) -> None:
    text, listed, alone = (
        client.embeddings.create(model=MODEL, input=given).data[0].embedding
        for given in ("a dog", [framed("a", "dog")], framed("a", "dog"))
    )
    assert text == listed == alone


def test_floats_and_base64_are_the_same_numbers(client: OpenAI) -> None:
    floats = client.embeddings.create(model=MODEL, input="a dog", encoding_format="float")
    coded = client.embeddings.create(model=MODEL, input="a dog", encoding_format="base64")
    numbers = np.frombuffer(base64.b64decode(str(coded.data[0].embedding)), dtype="<f4")
    assert numbers.tolist() == floats.data[0].embedding


def test_fewer_dimensions_are_the_first_ones_at_length_one(client: OpenAI) -> None:
    whole = np.array(client.embeddings.create(model=MODEL, input="a dog").data[0].embedding)
    short = client.embeddings.create(model=MODEL, input="a dog", dimensions=8).data[0].embedding
    np.testing.assert_allclose(short, whole[:8] / np.linalg.norm(whole[:8]), atol=1e-6)
    with pytest.raises(openai.BadRequestError, match="have 64"):
        client.embeddings.create(model=MODEL, input="a dog", dimensions=65)


def test_a_batch_gives_what_each_text_gives_alone(client: OpenAI) -> None:
    """More texts than the engine holds at once."""
    many = [TEXTS[i % 3] for i in range(300)]
    alone = [client.embeddings.create(model=MODEL, input=text).data[0].embedding for text in TEXTS]
    answer = client.embeddings.create(model=MODEL, input=many)
    assert [item.embedding for item in answer.data] == [alone[i % 3] for i in range(300)]


def test_a_text_that_is_too_long_is_refused_unless_it_may_be_cut(client: OpenAI) -> None:
    long = "the " * 127
    with pytest.raises(openai.BadRequestError, match="129 tokens; this model takes 128") as caught:
        client.embeddings.create(model=MODEL, input=["a", long])
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input")
    longest = client.embeddings.create(model=MODEL, input="the " * 126)
    cut = client.embeddings.create(
        model=MODEL, input=long, extra_body={"truncate_prompt_tokens": -1}
    )
    assert cut.data[0].embedding == longest.data[0].embedding
    assert cut.usage.prompt_tokens == 128


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"input": []}, "input"),
        ({"input": ""}, "input"),
        ({"input": ["a", ""]}, "input"),
        ({"input": [[]]}, "input"),
        ({"input": ["a", 1]}, "input"),
        ({"input": [1, -1]}, "input"),
        ({"input": [[96]]}, "input"),
        ({"input": ["a"] * 301}, "input"),
        ({"input": {"text": "a"}}, "input.text"),
        ({"input": "\ud800"}, None),
        ({"dimensions": 0}, "dimensions"),
        ({"encoding_format": "int8"}, "encoding_format"),
        ({"pooling": "max"}, "pooling"),
        ({"truncate_prompt_tokens": -2}, "truncate_prompt_tokens"),
        ({"prompt_embeds": "AAAA"}, "prompt_embeds"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(
    encoder: RunningServer, change: dict[str, Any], param: str | None
) -> None:
    status, answer = post(encoder, "/v1/embeddings", {"model": MODEL, "input": "a"} | change)
    assert status == 400
    assert param is None or answer["error"]["param"] == param


def test_an_encoder_makes_no_text(encoder: RunningServer) -> None:
    body = {"model": MODEL, "prompt": "a dog", "max_tokens": 1}
    status, answer = post(encoder, "/v1/completions", body)
    assert (status, answer["error"]["param"]) == (400, "model")
    assert "encoder" in answer["error"]["message"]


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
def test_documents_are_ranked_by_the_model_that_reads_both(
    scorer: RunningServer, folders: Path, path: str
) -> None:
    documents = ["a cat", {"text": "sat."}, "the dog"]
    status, answer = post(scorer, path, {"query": "the dog", "documents": documents, "top_n": 2})
    assert status == 200
    words = [("a", "cat"), ("sat", "."), ("the", "dog")]
    pairs = [[*framed("the", "dog"), *ids(*document, "[SEP]")] for document in words]
    logits = [float(definition(folders / "bert-score", pair, 4)[0]) for pair in pairs]
    scores = [1 / (1 + math.exp(-logit)) for logit in logits]
    best = sorted(range(3), key=lambda i: -scores[i])[:2]
    assert [found["index"] for found in answer["results"]] == best
    for found in answer["results"]:
        assert found["relevance_score"] == pytest.approx(scores[found["index"]], abs=APART)
        assert found["document"]["text"] == " ".join(words[found["index"]]).replace(" .", ".")
    assert answer["usage"]["total_tokens"] == sum(map(len, pairs))


def test_texts_are_ranked_as_text_embeddings_inference_does(scorer: RunningServer) -> None:
    texts = ["a cat", "sat.", "the dog"]
    ranked = post(scorer, "/rerank", {"query": "the dog", "documents": texts})[1]["results"]
    status, answer = post(scorer, "/rerank", {"query": "the dog", "texts": texts})
    assert status == 200
    assert answer == [{"index": r["index"], "score": r["relevance_score"]} for r in ranked]
    body = {"query": "the dog", "texts": texts, "return_text": True, "top_n": 1}
    (best,) = post(scorer, "/rerank", body)[1]
    assert best["text"] == texts[best["index"]]
    status, answer = post(scorer, "/rerank", {**body, "documents": texts})
    assert (status, answer["error"]["param"]) == (400, "documents")
    status, answer = post(scorer, "/rerank", {**body, "texts": []})
    assert (status, answer["error"]["param"]) == (400, "texts")


def test_texts_and_lists_of_ids_go_together_and_the_only_model_needs_no_name(
    encoder: RunningServer,
) -> None:
    given = ["a dog", ids("[CLS]", "the", "[SEP]")]
    status, answer = post(encoder, "/v1/embeddings", {"input": given})
    assert (status, answer["model"]) == (200, MODEL)
    each = [post(encoder, "/v1/embeddings", {"input": one})[1]["data"][0] for one in given]
    assert [one["embedding"] for one in answer["data"]] == [one["embedding"] for one in each]


def test_a_text_may_come_in_parts_as_for_llama_cpp(encoder: RunningServer) -> None:
    parts = [{"type": "text", "text": "a "}, {"type": "text", "text": "dog"}]
    given = ["a dog", {"content": parts}, {"prompt_string": "a dog"}]
    found = post(encoder, "/v1/embeddings", {"input": given})[1]["data"]
    (alone,) = post(encoder, "/v1/embeddings", {"input": given[1]})[1]["data"]
    assert [one["embedding"] for one in found] == [alone["embedding"]] * 3
    picture = {"content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}
    for wrong in ({}, {"content": parts, "prompt_string": "a"}, picture):
        status, answer = post(encoder, "/v1/embeddings", {"input": wrong})
        assert status == 400, answer


def test_scores_of_an_embedding_model_are_cosines(encoder: RunningServer, client: OpenAI) -> None:
    found = client.embeddings.create(model=MODEL, input=TEXTS).data
    a, b, c = (np.array(item.embedding) for item in found)
    body = {"model": MODEL, "text_1": TEXTS[0], "text_2": [TEXTS[1], TEXTS[2], TEXTS[0]]}
    status, answer = post(encoder, "/v1/score", body)
    assert status == 200
    scores = [item["score"] for item in answer["data"]]
    assert scores == pytest.approx([a @ b, a @ c, 1.0], abs=1e-5)
    paired = body | {"text_1": TEXTS[:2], "text_2": TEXTS[1:]}
    assert post(encoder, "/score", paired)[1]["data"][0]["score"] == scores[0]
    assert post(encoder, "/score", paired | {"text_2": ["a"]})[0] == 400
    assert post(encoder, "/score", body | {"text_2": []})[1]["error"]["param"] == "text_2"


def test_a_decoder_answers_too(decoder: RunningServer) -> None:
    with OpenAI(base_url=f"{decoder.url}/v1", api_key="unused", max_retries=0) as made:
        answer = made.embeddings.create(model=MODEL, input=["the sea", "the sea", "the in"])
        first, same, other = (item.embedding for item in answer.data)
        assert first == same != other
        assert np.linalg.norm(first) == pytest.approx(1.0, abs=1e-6)
        mean = made.embeddings.create(
            model=MODEL, input="the sea", extra_body={"pooling": "mean", "normalize": False}
        )
        assert len(mean.data[0].embedding) == len(first)
        with pytest.raises(openai.BadRequestError, match="takes 2048"):
            made.embeddings.create(model=MODEL, input=[[1] * 2049])


def test_what_was_used_is_counted(decoder: RunningServer) -> None:
    body = {"model": MODEL, "input": [[1, 2, 3], [4, 5]]}
    before = decoder.call(lambda: decoder.backend.load.prompt_tokens)
    status, answer = post(decoder, "/v1/embeddings", body)
    assert (status, answer["usage"]) == (200, {"prompt_tokens": 5, "total_tokens": 5})
    assert decoder.call(lambda: decoder.backend.load.prompt_tokens) == before + 5
