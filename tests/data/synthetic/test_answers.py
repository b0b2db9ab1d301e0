"""Reading answers: whatever a model writes, the outcome is a valid pattern or a named reason, never an exception."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from secure_fl.data.synthetic.answers import Answer, read_answer
from secure_fl.data.synthetic.draft import response_schema
from secure_fl.data.synthetic.library import library
from secure_fl.data.synthetic.prompts import FORMATS, prompt
from secure_fl.data.synthetic.similarity import resembles_any

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def answer(text: str, finish: str = "stop") -> Answer:
    return Answer(
        text=text, finish_reason=finish, refused=False, form="plain", prompt_tokens=None, completion_tokens=None
    )


@given(st.text(max_size=200), st.sampled_from(["stop", "length", "", "tool_calls"]))
@example('{"patterns": [{"name": "\\ud800"}]}', "stop")
@example('{"patterns": [' + "9" * 5_000 + "]}", "stop")
@example('{"patterns": [1e999]}', "stop")
@example("```\n```", "stop")
@example('```json\n{"patterns": []}\n```', "stop")
def test_no_text_raises(text: str, finish: str) -> None:
    reading = read_answer(answer(text, finish))
    assert reading.patterns == []


@given(st.lists(JSON, min_size=1, max_size=4))
def test_no_json_raises_and_every_item_gets_a_reason(items: list[Any]) -> None:
    text = json.dumps({"patterns": items})
    reading = read_answer(answer(text))
    assert reading.patterns == []
    reasons = [reason for reason, _ in reading.rejections]
    assert reasons == ["outside the schema"] * len(items) or (
        reasons == ["not JSON"] and ("NaN" in text or "Inf" in text)
    )


def test_the_schema_asks_for_nothing_that_strict_servers_refuse() -> None:
    schema = response_schema(3)
    listed = schema["properties"]["patterns"]
    assert (listed["minItems"], listed["maxItems"]) == (3, 3)
    draft = listed["items"]
    assert draft["additionalProperties"] is False
    assert set(draft["required"]) == set(draft["properties"])
    known = {"type", "properties", "required", "additionalProperties", "items", "enum", "pattern"}
    known |= {"minimum", "maximum", "minItems", "maxItems"}

    def keywords(node: dict[str, Any]) -> set[str]:
        inner = [node.get("items", {}), *node.get("properties", {}).values()]
        return set(node).union(*(keywords(child) for child in inner if child))

    assert keywords(schema) <= known


def test_every_request_is_another_one_and_says_json() -> None:
    for form in FORMATS:
        digests = {prompt(number, 2).digest(form) for number in range(100)}
        assert len(digests) == 100
        assert "JSON" in prompt(0, 1).messages(form)[0]["content"]
    assert '"payments_low"' in prompt(0, 1).messages("json_object")[0]["content"]
    assert '"payments_low"' not in prompt(0, 1).messages("json_schema")[0]["content"]


@pytest.mark.parametrize(("factor", "alike"), [(1.0, True), (1.05, True), (1.3, False)])
def test_patterns_are_alike_up_to_a_tenth_and_whatever_their_words(factor: float, alike: bool) -> None:
    pattern = library()[2].pattern
    amount = pattern.amount.model_copy(update={"high": pattern.amount.high * factor})
    other = pattern.model_copy(update={"name": "Other words", "amount": amount})
    assert resembles_any(other, [library()[5].pattern, pattern]) is alike
    assert not resembles_any(other.model_copy(update={"channel": "telephone"}), [pattern])
