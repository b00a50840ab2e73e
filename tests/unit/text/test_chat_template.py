"""Chat templates: what they may use, how they refuse, and that they are safe to share."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from stoker.errors import ConfigError, InvalidRequest
from stoker.text.chat_template import ChatTemplate
from tests.support.text import tiny_text

CHAT = [{"role": "user", "content": "Hello"}]


def compiled(source: str, **limits: Any) -> ChatTemplate:
    return ChatTemplate(source, tiny_text().tokenizer, "<s>", "</s>", **limits)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ bos_token }}{{ messages[0].content }}{{ eos_token }}", "<s>Hello</s>"),
        ("{% for i in range(9) %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}", "012"),
        ("{% generation %}a{% endgeneration %}b", "ab"),
        ("{{ {'a': '<b>&é'} | tojson }}", '{"a": "<b>&é"}'),
        ("{{ {'b': 1, 'a': [1]} | tojson(indent=2) }}", '{\n  "b": 1,\n  "a": [\n    1\n  ]\n}'),
        ("{{ messages | map(attribute='role') | tojson }}", '["user"]'),
        ("{{ messages | selectattr('role', 'eq', 'user') | list | length }}", "1"),
        ("{{ 'a' ~ 1 ~ none }}{{ [1, 2] + [3] }}{{ 'ab' * 2 }}", "a1None[1, 2, 3]abab"),
        ("{% set ns = namespace(n=0) %}{% for m in [1, 2] %}{% set ns.n = ns.n + m %}{% endfor %}"
         "{{ ns.n }}", "3"),
        ("{% macro m(x, y='!') %}{{ x }}{{ y }}{% endmacro %}{{ m(1) }}{{ m(2, y='?') }}", "1!2?"),
        ("{{ 'a-b'.split('-')[-1] }}{{ ' x '.strip() }}{{ 'x{}z{}'.format('y', 1) }}", "bxxyz1"),
        ("{{ 'abc'[1:] }}{{ messages[-1]['content'][0] }}{{ 1.26 | round(1) }}", "bcH1.3"),
        ("{{ 'a\nb' | indent(2) }}|{{ 'title case' | title }}|{{ 'a,b' | replace(',', ';') }}",
         "a\n  b|Title Case|a;b"),
        ("{{ tools is none }}{{ nothing is defined }}{{ nothing | default('x') }}", "TrueFalsex"),
        ("{% for k, v in {'b': 1, 'a': 2} | dictsort %}{{ k }}{{ v }}{% endfor %}", "a2b1"),
        ("{% for m in messages recursive %}{{ m.role }}{{ loop([]) }}{% endfor %}", "user"),
        ("{% if add_generation_prompt %}go{% endif %}", "go"),
        ("{{ '{\"a\": [1]}' | from_json }}", "{'a': [1]}"),
    ],
)  # fmt: skip
def test_what_templates_of_real_models_use(source: str, expected: str) -> None:
    assert compiled(source).render(CHAT) == expected


def test_the_date_is_there_for_templates_that_show_it() -> None:
    assert len(compiled("{{ strftime_now('%d %b %Y') }}").render(CHAT)) == len("01 Jan 2030")


def test_a_template_refuses_messages_in_its_own_words() -> None:
    template = compiled("{{ raise_exception('Roles must\nalternate') }}")
    with pytest.raises(InvalidRequest) as refusal:
        template.render(CHAT)
    assert refusal.value.message.endswith("Roles must")
    assert refusal.value.param == "messages"


def test_limits_are_the_operators_to_choose() -> None:
    with pytest.raises(ConfigError, match="longer than 10 bytes"):
        compiled("x" * 11, max_bytes=10)
    assert compiled("x" * 10, max_bytes=10).render(CHAT) == "x" * 10
    slow = "{% for i in range(1000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}"
    with pytest.raises(InvalidRequest, match="too long"):
        compiled(slow, max_seconds=0.01).render(CHAT)


def test_a_long_conversation_is_within_the_limits() -> None:
    template = compiled(
        "{% for m in messages %}<|im_start|>{{ m.role + '\n' + m.content | trim }}<|im_end|>"
        "{% endfor %}"
    )
    messages = [{"role": "user", "content": "word " * 2000}] * 200
    assert len(template.render(messages)) > 1_900_000


def test_a_refused_rendering_leaves_the_next_one_its_whole_budget() -> None:
    template = compiled("{{ 'x' * (messages | length * 3000000) }}")
    for _ in range(30):
        assert len(template.render(CHAT)) == 3_000_000
        with pytest.raises(InvalidRequest):
            template.render(CHAT * 3)


def test_threads_render_at_once_without_sharing_anything() -> None:
    template = compiled("{{ messages[0].content }}{{ 'x' * 1000000 }}")
    with ThreadPoolExecutor(4) as pool:
        texts = [str(i) for i in range(40)]
        prompts = pool.map(lambda t: template.render([{"role": "user", "content": t}]), texts)
        assert [prompt.rstrip("x") for prompt in prompts] == texts


def test_messages_nested_without_end_are_refused() -> None:
    nested: Any = "x"
    for _ in range(5000):
        nested = [nested]
    with pytest.raises(InvalidRequest, match="nested too deeply"):
        compiled("{{ messages }}").encode([{"role": "user", "content": nested}])


def test_a_template_cannot_change_what_it_was_given() -> None:
    messages = [{"role": "user", "content": ["a"]}]
    for attempt in ("messages.append(1)", "messages[0].update(a=1)", "messages[0].content.clear()"):
        with pytest.raises(InvalidRequest):
            compiled("{{ " + attempt + " }}").render(messages)
    assert messages == [{"role": "user", "content": ["a"]}]
