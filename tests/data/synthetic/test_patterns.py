"""What a pattern may say, that it survives JSON, and that errors never quote it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from secure_fl.data.simulator import _CATEGORIES
from secure_fl.data.synthetic.answers import Rejection
from secure_fl.data.synthetic.draft import PatternDraft
from secure_fl.data.synthetic.library import library
from secure_fl.data.synthetic.patterns import FraudPattern, Proposal, Provenance, parse_pattern
from secure_fl.data.synthetic.proposals import add_proposals, read_proposals
from secure_fl.errors import DataError

GOOD: dict[str, Any] = json.loads(library()[1].pattern.canonical_json)


def changed(path: str, value: Any) -> str:
    """The good pattern as JSON, with another value at "field.field"."""
    document = json.loads(json.dumps(GOOD))
    target, names = document, path.split(".")
    for name in names[:-1]:
        target = target[name]
    target[names[-1]] = value
    return json.dumps(document)


def test_json_brings_back_the_same_pattern_and_the_same_digest() -> None:
    for proposal in library():
        pattern = proposal.pattern
        assert parse_pattern(pattern.canonical_json) == pattern
        assert parse_pattern(json.dumps(json.loads(pattern.canonical_json), indent=3)).digest == pattern.digest
        assert Proposal.model_validate_json(proposal.model_dump_json()) == proposal
    assert len({proposal.digest for proposal in library()}) == len(library())


def test_any_change_changes_the_digest() -> None:
    assert parse_pattern(changed("amount.high", 900.01)).digest != parse_pattern(json.dumps(GOOD)).digest
    assert parse_pattern(changed("name", "Another name")).digest != parse_pattern(json.dumps(GOOD)).digest


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("amount.low", 901.0, "amount: has low above high"),
        ("amount.high", float("nan"), "finite number"),
        ("amount.high", float("inf"), "finite number"),
        ("amount.high", 1e9, "less than or equal to 10000"),
        ("amount.low", -5.0, "greater than or equal to 0.01"),
        ("amount", {"basis": "customer mean", "low": 1.0, "high": 51.0}, "more than 50 times the customer's mean"),
        ("amount", {"basis": "currency", "low": 1.001, "high": 1.009}, "no whole hundredth"),
        ("gaps", {"low": 1.2, "high": 1.8}, "no whole second"),
        ("gaps.low", 1e9, "gaps.low"),
        ("payments", {"low": 5, "high": 4}, "payments: has low above high"),
        ("payments", {"low": 1, "high": 101}, "payments above 100"),
        ("payments", {"low": 1.0, "high": 4}, "payments.low: Input should be a valid integer"),
        ("accounts", {"low": 1, "high": 501}, "accounts above 500"),
        ("terminals", {"low": 0, "high": 1}, "terminals.low"),
        ("categories", [], "categories"),
        ("categories", [{"category": "casino", "weight": 1.0}], "categories.0.category"),
        ("categories", [{"category": "fuel", "weight": 0.0}], "categories.0.weight"),
        ("categories", [{"category": "fuel", "weight": 1.0}] * 2, "names a category twice"),
        ("countries", ["BE", "BE"], "names a country twice"),
        ("countries", ["QQ"], "ISO 3166-1"),
        ("hours", {"first": 24, "length": 1}, "hours.first"),
        ("hours", {"first": 0, "length": 25}, "hours.length"),
        ("gaps", {"low": 5e4, "high": 6e4}, "do not fit into its duration"),
        ("velocity", 1, "do not fit into its duration"),
        ("channel", "carrier pigeon", "channel"),
        ("name", "x", "name"),
        ("name", "Two\nlines", "control characters"),
        ("name", "Right to \u202eleft", "control characters"),
        ("description", "Click <a href=x>here</a> now", "markup or a link"),
        ("description", "More at https://evil.example", "markup or a link"),
        ("description", "x" * 401, "description"),
        ("SecretField", 1, "the whole: Extra inputs"),
    ],
)
def test_what_makes_no_sense_is_refused_by_field_and_never_quoted(path: str, value: Any, words: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_pattern(changed(path, value))
    message = str(caught.value)
    assert words in message
    assert message.startswith("the pattern is malformed (")
    assert message.endswith("; correct these fields")
    for foreign in ("casino", "pigeon", "evil", "href", "QQ", "SecretField", "xxx"):
        assert foreign not in message


@given(st.text(max_size=80))
def test_no_text_at_all_raises_anything_but_the_named_error(text: str) -> None:
    with pytest.raises(DataError):
        parse_pattern(text)


def test_a_pattern_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        library()[0].pattern.velocity = 3


def test_the_categories_are_the_simulators() -> None:
    schema = FraudPattern.model_json_schema()
    assert schema["$defs"]["CategoryWeight"]["properties"]["category"]["enum"] == list(_CATEGORIES)


def test_provenance_names_a_model_if_and_only_if_there_was_one() -> None:
    Provenance(source="language model", model="m", prompt_digest="0" * 64)
    for wrong in (
        {"source": "language model"},
        {"source": "language model", "model": "m"},
        {"source": "built-in library", "model": "m", "prompt_digest": "0" * 64},
    ):
        with pytest.raises(ValidationError):
            Provenance.model_validate(wrong)


numbers = st.fixed_dictionaries(
    {
        "amount_low": st.integers(1, 2_500),
        "amount_spread": st.integers(0, 2_500),
        "payments_low": st.integers(1, 20),
        "payments_spread": st.integers(0, 20),
        "gap_low_seconds": st.integers(2, 172_800),
        "gap_spread_seconds": st.integers(0, 172_800),
        "first_hour": st.integers(0, 23),
        "hours": st.integers(1, 24),
        "payments_per_day": st.integers(1, 40),
        "accounts_low": st.integers(1, 60),
        "accounts_spread": st.integers(0, 60),
        "terminals_low": st.integers(1, 20),
        "terminals_spread": st.integers(0, 20),
        "start_spread_hours": st.integers(0, 480),
        "amount_basis": st.sampled_from(["cents", "percent of mean"]),
        "categories": st.lists(st.sampled_from(_CATEGORIES), min_size=1, max_size=4).map(tuple),
    }
)


@given(numbers)
def test_a_draft_that_keeps_to_its_form_is_a_valid_pattern(fields: dict[str, Any]) -> None:
    draft = PatternDraft(
        name="A name",
        description="A description.",
        channel="online",
        amount_shape="uniform",
        amount_course="rising",
        gap_shape="log-uniform",
        account_origin="existing",
        terminal_origin="fresh",
        countries=("BE", "BE"),
        **fields,
    )
    pattern = draft.to_pattern()
    assert pattern.countries == ("BE",)
    assert pattern.amount.high == pytest.approx((draft.amount_low + draft.amount_spread) / 100)
    assert {share.category: share.weight for share in pattern.categories} == {
        kind: draft.categories.count(kind) for kind in draft.categories
    }
    assert parse_pattern(pattern.canonical_json) == pattern


def test_the_file_of_proposals_grows_and_never_shrinks(tmp_path: Path) -> None:
    path = tmp_path / "new" / "p.json"
    rejection = Rejection(reason="refusal", detail="the model declined to answer", prompt_digest="0" * 64)
    add_proposals(path, library()[:3], [rejection])
    content = add_proposals(path, library()[2:5], [rejection])
    assert content == read_proposals(path)
    assert content.proposals == library()[:5]
    assert content.rejected == (rejection,)
    assert [entry.name for entry in path.parent.iterdir()] == ["p.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2}', '{"proposals": [{"pattern": "SECRET"}]}'])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(DataError, match="is no file of proposals") as caught:
        read_proposals(path)
    assert "SECRET" not in str(caught.value)
