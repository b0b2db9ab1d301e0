"""Reading answers: whatever a model writes, the outcome is a valid pattern or a named reason, never an exception."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from secure_fl.data.synthetic import answers
from secure_fl.data.synthetic.answers import Answer, read_answer
from secure_fl.data.synthetic.draft import PatternDraft, response_schema
from secure_fl.data.synthetic.library import library
from secure_fl.data.synthetic.patterns import FraudPattern
from secure_fl.data.synthetic.prompts import FORMATS, prompt
from secure_fl.data.synthetic.similarity import resembles_any
from tests.data.synthetic.drafts import draft

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


@pytest.mark.parametrize(
    ("text", "finish", "reasons"),
    [
        ("", "stop", ["empty"]),
        (" \n", "stop", ["empty"]),
        (" \n", "length", ["truncated"]),
        ("", "content_filter", ["content filter"]),
        ("{}", "content_filter", ["content filter"]),
        ("", "tool_calls", ["empty"]),
        ("{", "stop", ["not JSON"]),
        ("{", "length", ["truncated"]),
        ("no", "length", ["truncated"]),
        ('{"patterns": {}}', "stop", ["outside the schema"]),
        ('{"patterns": 7}', "stop", ["outside the schema"]),
        ('{"patterns": "x"}', "stop", ["outside the schema"]),
        ('{"patterns": null}', "stop", ["outside the schema"]),
        ("[]", "length", ["truncated"]),
        ('{"patterns": [Infinity]}', "stop", ["not JSON"]),
        ("``````", "stop", ["not JSON"]),
        ('```json {"patterns": []}```', "stop", ["empty"]),
        ('```\n{"patterns": []}', "stop", ["empty"]),
        ('<think>{"patterns": []}</think>', "stop", ["not JSON"]),
        ('<think>{"patterns": [7]}', "length", ["truncated"]),
        ('<think>{"patterns": [7]}', "stop", ["outside the schema"]),
        ('{"patterns": [7]}\nThat was', "length", ["truncated", "outside the schema"]),
        ('{"patterns": [7, 8', "length", ["truncated", "outside the schema"]),
        ('A set {of} "{names}": {"patterns": [{"a": NaN}]} is no JSON; {"patterns": []}', "stop", ["empty"]),
        ('{"patterns": [{"a": NaN}, {}]}', "stop", ["not JSON"]),
        ('{"patterns": [{}, {}', "stop", ["not JSON"]),
        ('Here: {"note": "{", "more": "\\"}", "patterns": [7]}!', "stop", ["outside the schema"]),
        ('{} {"patterns": []}', "stop", ["several answers"]),
        ('{"patterns": []} {"patterns": [', "length", ["truncated", "several answers"]),
        ('{"patterns": []} {"patterns": [7, 8', "length", ["truncated", "several answers"]),
        ('```\n{"patterns": [7]}\n```', "stop", ["outside the schema"]),
        ('{"patterns": []}', "stop", ["empty"]),
        ('{"patterns": []}', "length", ["truncated"]),
    ],
)
def test_every_answer_without_a_pattern_has_its_reason(text: str, finish: str, reasons: list[str]) -> None:
    assert [reason for reason, _ in read_answer(answer(text, finish)).rejections] == reasons


PROPOSED = draft(1)
FOUND = [PatternDraft.model_validate_json(json.dumps(PROPOSED)).to_pattern()]
# Prose of any letters, quotes and brackets; a brace in it begins no object, and it ends no thought.
PROSE = st.text(max_size=60).filter(lambda text: not re.search(r'\{\s*["}]|/think', text, re.IGNORECASE)).map(
    lambda text: re.sub(r"\{(?=\s*\Z)", "(", text)
)  # fmt: skip
THOUGHT = st.sampled_from(["", "<think>{}</think>", "<think>\n{}\n</think>\n", "<thinking>{}</THINKING>", "{}</think>"])
THOUGHT |= st.sampled_from(["[THINK]{}[/THINK]", "<think>a {} b</think><think>again</think>"])
FENCE = st.sampled_from(
    ["{}", "```json\n{}\n```", "```\n{}```", "```JSON {}```", "~~~\n{}\n~~~", "```json\n{}", "`{}`"]
)


@given(before=PROSE, after=PROSE, thought=THOUGHT, draft_of=PROSE | st.just('{"patterns": [7]}'), fence=FENCE,
       indent=st.sampled_from([None, 1]), unclosed=st.booleans(), repeated=st.booleans())  # fmt: skip
def test_whatever_surrounds_one_object_the_same_patterns_come_out(
    before: str, after: str, thought: str, draft_of: str, fence: str, indent: int | None, unclosed: bool, repeated: bool
) -> None:
    document = json.dumps({"patterns": [PROPOSED]}, indent=indent)
    text = thought.replace("{}", draft_of) + "<think>" * unclosed + before + fence.replace("{}", document) + after
    reading = read_answer(answer(text + f"\nOnce more: {document}" * repeated))
    assert (reading.patterns, reading.rejections) == (FOUND, [])


@given(before=PROSE, between=PROSE, after=PROSE, fence=FENCE, others=JSON.filter(lambda value: isinstance(value, dict)),
       turned=st.booleans())  # fmt: skip
@example("", "", "", "{}", {"patterns": []}, False)
@example("", "", "", "{}", {"patterns": [PROPOSED, PROPOSED]}, True)
def test_a_text_with_two_different_objects_is_refused(
    before: str, between: str, after: str, fence: str, others: dict[str, Any], turned: bool
) -> None:
    other = json.dumps(others)
    assume("NaN" not in other and "Infinity" not in other)
    objects = [fence.replace("{}", json.dumps({"patterns": [PROPOSED]})), other][:: -1 if turned else 1]
    reading = read_answer(answer(before + objects[0] + between + objects[1] + after))
    assert (reading.patterns, [reason for reason, _ in reading.rejections]) == ([], ["several answers"])


@pytest.mark.parametrize(
    "unit", ['{"', '{"\\"', '{"a":', "{ ", '{"a"}', "<think>", '{"a":1}', '{"a": [{}, ', "[", '"{']
)
def test_no_long_text_takes_long(unit: str) -> None:
    """In time proportional to its length; hours otherwise."""
    assert read_answer(answer(unit * (400_000 // len(unit)))).patterns == []


def test_a_refusal_is_one_whatever_else_is_said() -> None:
    refused = answer('{"patterns": []}', "content_filter").model_copy(update={"refused": True})
    assert [reason for reason, _ in read_answer(refused).rejections] == ["refusal"]


def test_no_more_than_the_longest_text_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    text = '{"patterns": []}'
    for longest, reasons in ((len(text), ["empty"]), (len(text) - 1, ["not JSON"])):
        monkeypatch.setattr(answers, "MAX_TEXT", longest)
        assert [reason for reason, _ in read_answer(answer(text)).rejections] == reasons


BASE = library()[5].pattern
RANGES = ("amount", "payments", "gaps", "accounts", "terminals")


def moved(factor: float) -> list[tuple[str, FraudPattern]]:
    """The pattern with one number of it multiplied, for every number that it has."""
    patterns = []
    for name in RANGES:
        for end in ("low", "high"):
            part = getattr(BASE, name)
            patterns.append((f"{name}.{end}", part.model_copy(update={end: getattr(part, end) * factor})))
    found = [(name, BASE.model_copy(update={name.partition(".")[0]: part})) for name, part in patterns]
    for name in ("velocity", "duration_days"):
        found.append((name, BASE.model_copy(update={name: getattr(BASE, name) * factor})))
    hours = BASE.hours
    found.append(("hours.first", BASE.model_copy(
        update={"hours": hours.model_copy(update={"first": (hours.first + 1) * factor - 1})})))  # fmt: skip
    found.append(("hours.length", BASE.model_copy(
        update={"hours": hours.model_copy(update={"length": hours.length * factor})})))  # fmt: skip
    return found


@pytest.mark.parametrize("factor", [1.2, 1.11, 1.1, 1 / 1.1, 1 / 1.11, 0.8])
def test_each_number_alone_can_make_a_difference(factor: float) -> None:
    alike = 1 / 1.105 < factor < 1.105  # the logarithm counts
    for name, pattern in moved(factor):
        assert resembles_any(pattern, [BASE]) is alike, name
        assert resembles_any(BASE, [pattern]) is alike, name


def test_each_word_of_the_form_alone_makes_a_difference() -> None:
    amount, gaps = BASE.amount, BASE.gaps
    words: list[dict[str, object]] = [
        {"amount": amount.model_copy(update={"basis": "customer mean"})},
        {"amount": amount.model_copy(update={"shape": "uniform"})},
        {"amount": amount.model_copy(update={"course": "rising"})},
        {"gaps": gaps.model_copy(update={"shape": "uniform"})},
        {"categories": BASE.categories[1:]},
        {"account_origin": "fresh"},
        {"terminal_origin": "fresh"},
        {"channel": "contactless"},
        {"countries": ("NL",)},
        {"countries": ("BE", "NL")},
    ]
    for change in words:
        other = BASE.model_copy(update=change)
        assert other != BASE
        assert not resembles_any(other, [BASE]), change
    same = BASE.model_copy(
        update={"name": "Else", "description": "In other words.", "categories": BASE.categories[::-1]}
    )
    assert resembles_any(same, [BASE])
    assert not resembles_any(BASE, [])
