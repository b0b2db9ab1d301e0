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


DAY = 86_400.0
MARKS = ("<", ">", "`", "://")
EIGHT = ["BE", "NL", "DE", "FR", "ES", "IT", "PT", "AT"]
MEAN = {"basis": "customer mean", "low": 1.0}
TEXTS = ("name", "description")
# One value that is just allowed and the next one that is not, for every bound of every field.
BOUNDS: list[tuple[str, Any, Any]] = [
    ("amount.low", 0.01, 0.009),
    ("amount.high", 10_000.0, 10_000.01),
    ("amount", {"basis": "currency", "low": 5.0, "high": 5.0}, {"basis": "currency", "low": 5.01, "high": 5.0}),
    ("amount", {"basis": "currency", "low": 1.001, "high": 1.01}, {"basis": "currency", "low": 1.001, "high": 1.009}),
    ("amount", {"basis": "customer mean", "low": 1.001, "high": 1.009}, {"basis": "mean", "low": 1.0, "high": 2.0}),
    ("amount", MEAN | {"high": 50.0}, MEAN | {"high": 50.01}),
    ("categories", [{"category": "fuel", "weight": 0.001}], [{"category": "fuel", "weight": 0.0009}]),
    ("categories", [{"category": "fuel", "weight": 1000.0}], [{"category": "fuel", "weight": 1000.1}]),
    ("categories", [{"category": kind, "weight": 1.0} for kind in _CATEGORIES], []),
    ("gaps", {"low": 1.0, "high": 1.0}, {"low": 0.9, "high": 1.0}),
    ("gaps", {"low": 90 * DAY, "high": 90 * DAY}, {"low": 90 * DAY, "high": 90 * DAY + 1}),
    ("gaps", {"low": 1.2, "high": 2.0}, {"low": 1.2, "high": 1.9}),
    ("hours", {"first": 0, "length": 1}, {"first": 0, "length": 0}),
    ("hours", {"first": 0, "length": 24}, {"first": 0, "length": 25}),
    ("hours", {"first": 23, "length": 24}, {"first": 24, "length": 24}),
    ("hours", {"first": 0, "length": 2}, {"first": -1, "length": 2}),
    ("payments", {"low": 1, "high": 100}, {"low": 1, "high": 101}),
    ("payments", {"low": 1, "high": 1}, {"low": 0, "high": 1}),
    ("accounts", {"low": 1, "high": 500}, {"low": 1, "high": 501}),
    ("accounts", {"low": 500, "high": 500}, {"low": 0, "high": 500}),
    ("terminals", {"low": 1, "high": 100}, {"low": 1, "high": 101}),
    ("terminals", {"low": 100, "high": 100}, {"low": 100, "high": 99}),
    ("velocity", 1, 0),
    ("velocity", 100, 101),
    ("duration_days", 0.01, 0.009),
    ("duration_days", 180.0, 180.1),
    ("countries", ["BE"], []),
    ("countries", EIGHT, [*EIGHT, "CH"]),
    ("name", "abc", "ab"),
    ("name", "x" * 60, "x" * 61),
    ("description", "x" * 10, "x" * 9),
    ("description", "x" * 400, "x" * 401),
    *((field, "plain words, 10", f"plain words{mark}10") for mark in MARKS for field in TEXTS),
    *((field, "plain words, 10", text) for text in (" plain words", "plain words ") for field in TEXTS),
]  # fmt: skip


@pytest.mark.parametrize(("path", "allowed", "refused"), BOUNDS)
def test_every_field_goes_as_far_as_its_bound_and_no_further(path: str, allowed: Any, refused: Any) -> None:
    """In a pattern of single payments, which fit into any duration."""
    single = json.loads(changed("payments", {"low": 1, "high": 1}))

    def with_value(value: Any) -> str:
        document = json.loads(json.dumps(single))
        target, names = document, path.split(".")
        for name in names[:-1]:
            target = target[name]
        target[names[-1]] = value
        return json.dumps(document)

    parse_pattern(with_value(allowed))
    with pytest.raises(DataError, match="malformed"):
        parse_pattern(with_value(refused))


@pytest.mark.parametrize(
    ("payments", "velocity", "gap", "seconds"),
    [
        ((3, 3), 100, 1000.0, 2_000.0),
        ((3, 100), 100, 1000.0, 2_000.0),  # the shortest sequence counts
        ((5, 5), 2, 1000.0, 2 * DAY),  # two a day: the third waits for the next one
        ((4, 4), 2, 1000.0, DAY),
        ((2, 2), 1, 2 * DAY, 2 * DAY),  # the gap is longer than the wait
    ],
)
def test_a_sequence_may_fill_its_duration(payments: tuple[int, int], velocity: int, gap: float, seconds: float) -> None:
    document = json.loads(json.dumps(GOOD))
    document |= {"payments": dict(zip(("low", "high"), payments, strict=True)), "velocity": velocity}
    document |= {"gaps": {"low": gap, "high": gap}, "duration_days": seconds / DAY}
    assert parse_pattern(json.dumps(document)).shortest_seconds == seconds
    with pytest.raises(DataError, match="do not fit into its duration"):
        parse_pattern(json.dumps(document | {"duration_days": 0.999 * seconds / DAY}))


def test_what_is_not_said_is_uniform_and_independent() -> None:
    bare = changed("amount", {"basis": "currency", "low": 1.0, "high": 2.0})
    pattern = parse_pattern(json.dumps({**json.loads(bare), "gaps": {"low": 60.0, "high": 90.0}}))
    assert (pattern.amount.shape, pattern.amount.course, pattern.gaps.shape) == ("uniform", "independent", "uniform")


@pytest.mark.parametrize(("wrong", "more"), [(3, ""), (4, "; and 1 more"), (5, "; and 2 more")])
def test_at_most_three_faults_are_named_and_the_others_counted(wrong: int, more: str) -> None:
    document = GOOD | dict.fromkeys(["name", "velocity", "channel", "duration_days", "account_origin"][:wrong], "?")
    with pytest.raises(DataError) as caught:
        parse_pattern(json.dumps(document))
    assert str(caught.value).endswith(f"{more}); correct these fields")
    assert str(caught.value).count(": ") == 3
    assert (" more" in str(caught.value)) is (wrong > 3)


def test_a_provenance_is_whole_and_short() -> None:
    whole = {"source": "language model", "model": "m" * 200, "prompt_digest": "0" * 64}
    assert Provenance.model_validate(whole).label == "language model " + "m" * 200
    library_of = {"source": "built-in library", "reference": "r" * 300}
    assert Provenance.model_validate(library_of).label == "built-in library"
    for wrong in (
        whole | {"model": "m" * 201},
        whole | {"model": None},
        whole | {"prompt_digest": None},
        whole | {"prompt_digest": "0" * 63},
        whole | {"model": "<m>"},
        library_of | {"reference": "r" * 301},
        library_of | {"model": "m"},
        library_of | {"prompt_digest": "0" * 64},
    ):
        with pytest.raises(ValidationError):
            Provenance.model_validate(wrong)


words = st.fixed_dictionaries(
    {
        "channel": st.sampled_from(["card present", "contactless", "cash machine", "online", "telephone"]),
        "amount_shape": st.sampled_from(["uniform", "mostly low", "mostly high", "log-uniform"]),
        "amount_course": st.sampled_from(["independent", "rising", "falling"]),
        "gap_shape": st.sampled_from(["uniform", "mostly low", "mostly high", "log-uniform"]),
        "account_origin": st.sampled_from(["existing", "fresh"]),
        "terminal_origin": st.sampled_from(["existing", "fresh"]),
        "countries": st.lists(st.sampled_from(["BE", "NL", "US"]), min_size=1, max_size=3).map(tuple),
    }
)


@given(numbers, words)
def test_every_field_of_a_draft_is_where_it_belongs(fields: dict[str, Any], said: dict[str, Any]) -> None:
    pattern = PatternDraft(name="A name", description="A description.", **fields, **said).to_pattern()

    def ends(what: str, low: str = "low") -> dict[str, int]:
        return {"low": fields[f"{what}_{low}"], "high": fields[f"{what}_{low}"] + fields[f"{what}_spread"]}

    last = ends("payments")["high"] - 1
    slowest = (fields["gap_low_seconds"] + fields["gap_spread_seconds"]) / DAY
    days = max(last * slowest * 24 / fields["hours"], 1 + last // fields["payments_per_day"])
    assert pattern.model_dump(mode="json") == {
        "name": "A name",
        "description": "A description.",
        "amount": {
            "basis": {"cents": "currency", "percent of mean": "customer mean"}[fields["amount_basis"]],
            "low": fields["amount_low"] / 100,
            "high": (fields["amount_low"] + fields["amount_spread"]) / 100,
            "shape": said["amount_shape"],
            "course": said["amount_course"],
        },
        "categories": [
            {"category": kind, "weight": float(fields["categories"].count(kind))}
            for kind in dict.fromkeys(fields["categories"])
        ],
        "payments": ends("payments"),
        "gaps": {
            "low": float(fields["gap_low_seconds"]),
            "high": float(fields["gap_low_seconds"] + fields["gap_spread_seconds"]),
            "shape": said["gap_shape"],
        },
        "hours": {"first": fields["first_hour"], "length": fields["hours"]},
        "velocity": fields["payments_per_day"],
        "accounts": ends("accounts"),
        "account_origin": said["account_origin"],
        "terminals": ends("terminals"),
        "terminal_origin": said["terminal_origin"],
        "duration_days": pytest.approx(min(180.0, days + fields["start_spread_hours"] / 24), abs=0.00501),
        "channel": said["channel"],
        "countries": list(dict.fromkeys(said["countries"])),
    }
    assert pattern.duration_days == round(pattern.duration_days, 2)


def test_what_is_obtained_again_stays_as_and_where_it_was(tmp_path: Path) -> None:
    first, second = library(2)
    other = Proposal(
        pattern=first.pattern, provenance=Provenance(source="language model", model="m", prompt_digest="0" * 64)
    )
    add_proposals(tmp_path / "p.json", [first, second])
    content = add_proposals(tmp_path / "p.json", [library(3)[2], other])
    assert content.proposals == (first, second, library(3)[2])
    known, new = (Rejection(reason="empty", detail=detail, prompt_digest="0" * 64) for detail in ("a", "b"))
    add_proposals(tmp_path / "p.json", [], [known])
    assert add_proposals(tmp_path / "p.json", [], [new, known]).rejected == (known, new)
