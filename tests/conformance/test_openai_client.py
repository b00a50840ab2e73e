"""The official client against a real server on a real port."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from openai import OpenAI

from stoker.core.output import Finish, FinishReason
from stoker.engine.interface import EngineState
from tests.support.server import MODEL, RunningServer, local_server

MESSAGES = [{"role": "user", "content": "Tell me about the sea."}]


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with local_server() as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as made:
        yield made


def test_chat(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, max_tokens=12, seed=1, user="somebody"
    )
    (choice,) = answer.choices
    assert choice.finish_reason == "length"
    assert choice.message.role == "assistant"
    assert answer.usage.completion_tokens == 12
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 12


def test_streamed_chat_is_the_same_text_with_the_same_usage(client: OpenAI) -> None:
    options = {"model": MODEL, "messages": MESSAGES, "max_tokens": 40, "seed": 7}
    whole = client.chat.completions.create(**options)
    with client.chat.completions.create(
        **options, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert len({c.id for c in chunks}) == 1


def test_chat_log_probabilities(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, max_tokens=6, seed=3, logprobs=True, top_logprobs=2
    )
    content = answer.choices[0].logprobs.content
    assert len(content) == 6
    joined = b"".join(bytes(entry.bytes) for entry in content)
    assert joined.decode(errors="replace") == answer.choices[0].message.content
    assert all(entry.logprob <= 0 for entry in content)


def test_completion_with_log_probabilities_and_echo(client: OpenAI) -> None:
    answer = client.completions.create(
        model=MODEL, prompt="the sea", max_tokens=4, seed=5, logprobs=1, echo=True
    )
    (choice,) = answer.choices
    assert choice.text.startswith("the sea")
    lists = choice.logprobs
    assert lists.token_logprobs[0] is None
    assert all(value is not None for value in lists.token_logprobs[1:])
    prompt_tokens = answer.usage.prompt_tokens
    assert len(lists.tokens) == len(lists.text_offset) == prompt_tokens + 4
    assert lists.text_offset[prompt_tokens] == len("the sea")


def test_a_prompt_can_be_scored_without_new_tokens(client: OpenAI) -> None:
    answer = client.completions.create(
        model=MODEL, prompt="the sea", max_tokens=0, logprobs=0, echo=True
    )
    assert answer.choices[0].text == "the sea"
    assert answer.usage.completion_tokens == 0
    assert len(answer.choices[0].logprobs.tokens) == answer.usage.prompt_tokens


@pytest.mark.parametrize("count", [0, 2])
def test_prompt_logprobs_score_every_token_of_a_text(client: OpenAI, count: int) -> None:
    """vLLM's field: a list in each choice, keyed by token id."""
    answer = client.completions.create(
        model=MODEL,
        prompt=["the sea", "the sky"],
        max_tokens=3,
        echo=True,
        logprobs=1,
        extra_body={"prompt_logprobs": count},
    )
    for choice in answer.choices:
        first, *rest = choice.model_extra["prompt_logprobs"]
        lists = choice.logprobs
        assert first is None
        assert len(lists.tokens) == 1 + len(rest) + 3
        for place, scores in enumerate(rest, start=1):
            own = next(iter(scores.values()))
            assert own["decoded_token"] == lists.tokens[place]
            assert own["logprob"] == lists.token_logprobs[place]
            assert own["rank"] >= 1
            assert 1 <= len(scores) <= 1 + count


def test_prompt_logprobs_score_every_token_of_a_conversation(client: OpenAI) -> None:
    options = {"model": MODEL, "messages": MESSAGES, "max_tokens": 3, "seed": 1}
    answer = client.chat.completions.create(**options, extra_body={"prompt_logprobs": 0})
    first, *rest = answer.model_extra["prompt_logprobs"]
    assert first is None
    assert len(rest) == answer.usage.prompt_tokens - 1
    plain = client.chat.completions.create(**options)
    assert "prompt_logprobs" not in plain.model_extra
    assert plain.choices == answer.choices


@pytest.mark.parametrize(
    ("changes", "message"), [({"stream": True}, "streamed"), ({"prompt_logprobs": 21}, "most")]
)
def test_prompt_logprobs_that_cannot_be_had_are_refused_by_name(
    client: OpenAI, changes: dict[str, object], message: str
) -> None:
    body = {"prompt_logprobs": 1, **changes}
    for create in (
        lambda: client.completions.create(model=MODEL, prompt="a", extra_body=body),
        lambda: client.chat.completions.create(model=MODEL, messages=MESSAGES, extra_body=body),
    ):
        with pytest.raises(openai.BadRequestError, match=message) as caught:
            create()
        assert caught.value.param == "prompt_logprobs"


@pytest.mark.parametrize(
    "prompt", ["the sea", ["the sea", "the sky"], [1, 2, 3], [[1, 2, 3], [4, 5]]], ids=str
)
def test_every_form_of_prompt(client: OpenAI, prompt: object) -> None:
    answer = client.completions.create(model=MODEL, prompt=prompt, max_tokens=3, n=2, seed=1)
    several = isinstance(prompt, list) and not isinstance(prompt[0], int)
    assert [choice.index for choice in answer.choices] == list(range(4 if several else 2))
    assert answer.usage.completion_tokens == 3 * len(answer.choices)


def test_choices_of_one_seed_differ_and_repeat(client: OpenAI) -> None:
    def texts(**extra: object) -> list[str]:
        answer = client.chat.completions.create(
            model=MODEL, messages=MESSAGES, max_tokens=16, n=3, **extra
        )
        return [choice.message.content for choice in answer.choices]

    first = texts(seed=11)
    assert len(set(first)) == 3
    assert texts(seed=11) == first
    assert texts(seed=12) != first
    assert texts() != texts()


def test_streamed_choices_keep_apart(client: OpenAI) -> None:
    options = {"model": MODEL, "messages": MESSAGES, "max_tokens": 20, "n": 3, "seed": 2}
    whole = client.chat.completions.create(**options)
    texts = ["", "", ""]
    with client.chat.completions.create(**options, stream=True) as stream:
        for chunk in stream:
            for choice in chunk.choices:
                texts[choice.index] += choice.delta.content or ""
    assert texts == [choice.message.content for choice in whole.choices]


def test_stop_strings_end_the_answer_and_stay_out_of_it(client: OpenAI) -> None:
    options = {"model": MODEL, "messages": MESSAGES, "max_tokens": 60, "seed": 4}
    whole = client.chat.completions.create(**options).choices[0].message.content
    stop = whole[20:23]
    answer = client.chat.completions.create(**options, stop=[stop])
    assert answer.choices[0].message.content == whole[: whole.index(stop)]
    assert answer.choices[0].finish_reason == "stop"
    with client.chat.completions.create(**options, stop=[stop], stream=True) as stream:
        text = "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
    assert text == whole[: whole.index(stop)]


def test_a_stop_ends_the_work_too(client: OpenAI, server: RunningServer) -> None:
    options = {"model": MODEL, "messages": MESSAGES, "max_tokens": 1500, "seed": 4}
    whole = client.chat.completions.create(**{**options, "max_tokens": 30})
    before = server.call(lambda: server.backend.load.output_tokens)
    client.chat.completions.create(**options, stop=[whole.choices[0].message.content[5:8]])
    server.until(lambda: server.backend.load.num_running == 0)
    assert server.call(lambda: server.backend.load.output_tokens) - before < 50


def test_leaving_a_stream_gives_its_blocks_back_within_three_steps(
    client: OpenAI, server: RunningServer
) -> None:
    stream = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, max_tokens=1500, stream=True
    )
    next(iter(stream))
    assert server.call(lambda: server.backend.load.used_blocks) > 0
    server.call(server.backend.hold)
    stream.close()
    server.until(lambda: not server.application.open_requests)
    server.call(lambda: server.backend.let_step(3))
    server.until(lambda: server.backend.load.used_blocks == 0)
    server.call(server.backend.release)


def test_leaving_before_the_answer_ends_the_work(server: RunningServer) -> None:
    server.call(server.backend.hold)
    with (
        OpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=0, timeout=0.2) as hasty,
        pytest.raises(openai.APITimeoutError),
    ):
        hasty.chat.completions.create(model=MODEL, messages=MESSAGES)
    server.until(lambda: not server.application.open_requests)
    server.call(lambda: server.backend.let_step(3))
    server.until(lambda: server.backend.load.used_blocks == 0)
    server.call(server.backend.release)


def test_models(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).id == MODEL
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("some/other")


def test_errors_become_the_clients_own(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="other", messages=MESSAGES)
    assert unknown.value.code == "model_not_found"
    assert unknown.value.param == "model"
    with pytest.raises(openai.BadRequestError) as audio:
        client.chat.completions.create(model=MODEL, messages=MESSAGES, modalities=["audio"])
    assert (audio.value.code, audio.value.param) == ("unsupported_constraint", "modalities")
    with pytest.raises(openai.BadRequestError) as typo:
        client.chat.completions.create(model=MODEL, messages=MESSAGES, extra_body={"max_tokenz": 3})
    assert "max_tokens" in typo.value.body["hint"]
    assert typo.value.request_id.startswith("req_")


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (EngineState.LOADING, "loading"),
        (EngineState.RESTARTING, "no_capacity"),
    ],
)
def test_no_engine_is_a_503_that_says_retry(
    client: OpenAI, server: RunningServer, state: EngineState, code: str
) -> None:
    server.call(lambda: setattr(server.backend, "state", state))
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
    server.call(lambda: setattr(server.backend, "state", EngineState.READY))
    assert caught.value.status_code == 503
    assert caught.value.code == code
    assert caught.value.response.headers["x-should-retry"] == "true"
    assert int(caught.value.response.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("finish", "code"),
    [
        (Finish(FinishReason.ERROR, error_code="replica_lost"), "replica_lost"),
        (Finish(FinishReason.ERROR, error_code="numerical_error"), "numerical_error"),
        (Finish(FinishReason.ERROR, error_code="no such code"), "internal"),
        (Finish(FinishReason.DEADLINE), "deadline_exceeded"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_stream_that_fails_raises(
    client: OpenAI, server: RunningServer, finish: Finish, code: str
) -> None:
    """The client ends its loop silently at a clean end of input: an error event must be there."""
    server.call(server.backend.hold)
    server.call(lambda: server.backend.let_step(3))
    stream = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, max_tokens=1000, stream=True
    )
    chunks = iter(stream)
    next(chunks)
    server.call(lambda: server.backend.fail(finish))
    with pytest.raises(openai.APIError) as caught:
        list(chunks)
    server.call(server.backend.release)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("finish", "status"),
    [
        (Finish(FinishReason.ERROR, error_code="replica_lost"), 502),
        (Finish(FinishReason.ERROR, error_code="numerical_error"), 500),
        (Finish(FinishReason.DEADLINE), 504),
    ],
    ids=str,
)
@pytest.mark.parametrize("streamed", [True, False])
def test_a_failure_before_the_first_token_has_its_own_status(
    client: OpenAI,
    server: RunningServer,
    finish: Finish,
    status: int,
    streamed: bool,
) -> None:
    server.call(server.backend.hold)
    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(
            client.chat.completions.create, model=MODEL, messages=MESSAGES, stream=streamed
        )
        server.until(lambda: server.backend.load.num_waiting > 0)
        server.call(lambda: server.backend.fail(finish))
        error = asking.exception(10)
    server.call(server.backend.release)
    server.until(lambda: server.backend.engine.idle)
    assert isinstance(error, openai.APIStatusError)
    assert error.status_code == status


def test_the_request_deadline_of_the_client_is_obeyed(
    client: OpenAI, server: RunningServer
) -> None:
    client.chat.completions.create(
        model=MODEL, messages=MESSAGES, max_tokens=1, extra_headers={"x-request-timeout": "2.5"}
    )
    (request,) = server.call(lambda: server.backend.submitted[-1:])
    assert 0 < request.timeout <= 2.5
