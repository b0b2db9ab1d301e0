"""Validation: what is possible passes, and each thing that is not is named by its check."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from secure_fl.data import Simulation, Transactions, concatenate, simulate
from secure_fl.data.simulator import DAY, SCHEMA
from secure_fl.data.synthetic.countries import COUNTRIES
from secure_fl.data.synthetic.leakage import RealRows, leak, nearness
from secure_fl.data.synthetic.library import library
from secure_fl.data.synthetic.patterns import (
    Amount,
    CategoryWeight,
    FraudPattern,
    Gaps,
    Hours,
    Number,
    Proposal,
)
from secure_fl.data.synthetic.sampler import sample
from secure_fl.data.synthetic.travel import MIDDLES, least_hours, least_km
from secure_fl.data.synthetic.validation import Verdict, objection, validate
from secure_fl.data.transactions import Schema
from secure_fl.errors import ConfigurationError, DataError

REAL = RealRows.simulated()
BASE = library()[5]
"""Gift cards: one card present at up to three shops, 3 to 8 payments, 1 to 25 minutes apart."""


def changed(**changes: Any) -> Proposal:
    return Proposal(pattern=BASE.pattern.model_copy(update=changes), provenance=BASE.provenance)


def verdict(proposal: Proposal, *others: FraudPattern) -> Verdict:
    return validate(proposal, others, REAL, np.random.default_rng(0))


def checks(proposal: Proposal, *others: FraudPattern) -> list[str]:
    return [each.check for each in verdict(proposal, *others).objections]


def kind(*names: Any) -> tuple[CategoryWeight, ...]:
    return tuple(CategoryWeight(category=name, weight=1.0) for name in names)


def test_the_whole_library_passes() -> None:
    patterns = [proposal.pattern for proposal in library()]
    for proposal in library():
        found = verdict(proposal, *patterns)
        assert found.accepted
        assert found.reason == "passed validation"
        assert objection(proposal.pattern) is None


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"amount": Amount.model_construct(basis="currency", low=5.0, high=1e9)}, "schema"),
        ({"name": "<b>bold</b>"}, "schema"),
        ({"categories": kind("online")}, "combination"),
        ({"channel": "cash machine", "categories": kind("online")}, "combination"),
        ({"channel": "telephone", "categories": kind("fuel")}, "combination"),
        ({"terminals": Number(low=9, high=20)}, "combination"),
        ({"countries": ("BE", "TH")}, "travel"),
        ({"countries": ("BE", "NL", "AU"), "channel": "contactless"}, "travel"),
        ({"gaps": Gaps(low=1.0, high=3.0)}, "velocity"),
        ({"accounts": Number(low=400, high=500)}, "room"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named(changes: dict[str, Any], check: str) -> None:
    found = verdict(changed(**changes))
    assert check in [each.check for each in found.objections]
    assert not found.accepted
    assert f"{check}: " in found.reason
    assert found.reason.isprintable()


@pytest.mark.parametrize(
    "changes",
    [
        {"countries": ("BE", "TH"), "channel": "online"},  # nobody travels
        {"countries": ("BE", "NL", "DE", "FR")},  # neighbours
        {"countries": ("BE", "TH"), "accounts": Number(low=2, high=5)},  # a card in each
        {"countries": ("BE", "TH"), "gaps": Gaps(low=3600.0, high=20 * 3600.0), "duration_days": 5.0},  # there is time
        {"categories": kind("online", "grocery")},
        {"terminals": Number(low=8, high=20)},
    ],
)
def test_what_can_be_passes(changes: dict[str, Any]) -> None:
    assert checks(changed(**changes)) == []


def test_more_payments_than_one_terminal_can_take_in_an_hour() -> None:
    """Eighty cards, each three payments within a minute or so, at one cash machine."""
    crowd = changed(
        channel="cash machine",
        accounts=Number(low=80, high=80),
        account_origin="fresh",
        payments=Number(low=3, high=3),
        terminals=Number(low=1, high=1),
        gaps=Gaps(low=30.0, high=60.0),
        duration_days=0.05,
        countries=("BE",),
    )
    found = [each for each in verdict(crowd).objections if each.check == "velocity"]
    assert len(found) == 1
    assert "at one terminal, which can take 120" in found[0].reason
    apart = crowd.pattern.model_copy(update={"terminals": Number(low=40, high=40)})
    assert checks(Proposal(pattern=apart, provenance=BASE.provenance)) == []


def test_a_pattern_that_differs_in_words_only_is_a_duplicate() -> None:
    again = changed(name="Another name", gaps=Gaps(low=61.0, high=1490.0, shape="log-uniform"))
    assert checks(again, BASE.pattern) == ["duplicate"]
    assert BASE.digest[:12] in verdict(again, BASE.pattern).reason
    assert checks(BASE, BASE.pattern) == []  # itself is no other pattern
    assert checks(changed(gaps=Gaps(low=90.0, high=1490.0, shape="log-uniform")), BASE.pattern) == []


def test_every_objection_of_the_generator_is_one_of_validation() -> None:
    impossible = changed(countries=("BE", "TH"), categories=kind("online")).pattern
    text = objection(impossible)
    assert text is not None
    assert text.startswith("combination: ")
    assert "travel: " in text


def rows(amount: list[float], hour: list[float], category: str = "travel") -> Transactions:
    """Frauds at these hours of day 100."""
    n = len(amount)
    when = 100 * DAY + 3600.0 * np.array(hour)
    text = {name: np.full(n, value, dtype=object) for name, value in
            (("category", category), ("customer", "C1"), ("terminal", "T1"))}  # fmt: skip
    numeric = {"time": when, "amount": np.array(amount)}
    return Transactions(SCHEMA, numeric, text, np.ones(n, dtype=bool), np.ones(n, dtype=np.int8), when)


def test_rows_copied_from_the_training_rows_are_a_leak_and_held_out_rows_are_none() -> None:
    rng = np.random.default_rng(3)
    fresh = simulate(Simulation(transactions=16_000, seed=77))
    some = np.sort(rng.choice(8_000, 400, replace=False))
    near = nearness(REAL.training.take(some), REAL)
    assert near.nearer == pytest.approx(1.0, abs=0.03)
    assert leak(REAL.training.take(some), REAL) is not None
    assert leak(fresh.take(some), REAL) is None  # other rows of the same kind
    assert nearness(fresh.take(some), REAL).nearer == pytest.approx(0.5, abs=0.08)


def test_rows_near_to_training_rows_are_a_leak_too() -> None:
    copied = REAL.training.take(np.arange(0, 8_000, 20))
    shaken = Transactions(
        schema=SCHEMA,
        numeric={"time": copied.when, "amount": copied.numeric["amount"] * 1.003},
        text=copied.text,
        fraud=np.ones(len(copied), dtype=np.bool_),
        pattern=np.ones(len(copied), dtype=np.int8),
        when=copied.when,
    )
    assert leak(shaken, REAL) is not None


def test_a_pattern_that_pins_one_real_row_is_rejected_and_its_neighbour_is_not() -> None:
    """One training row is far from all others; a pattern around it describes nobody else."""
    lonely = rows([7431.28], [3.5])
    real = RealRows(concatenate([REAL.training, lonely]).sorted_by_time(), REAL.holdout)

    def around(low: float, high: float) -> Proposal:
        return changed(
            amount=Amount(basis="currency", low=low, high=high),
            hours=Hours(first=3, length=1),
            categories=kind("travel"),
        )

    found = validate(around(7400.0, 7460.0), (), real, np.random.default_rng(0))
    assert [each.check for each in found.objections] == ["leakage"]
    assert "7431" not in found.reason
    assert "right beside single training rows" in found.reason
    assert validate(around(900.0, 1900.0), (), real, np.random.default_rng(0)).accepted


def test_the_library_leaks_nothing_of_any_simulation() -> None:
    for seed in (5, 6):
        real = RealRows.simulated(seed)
        for proposal in library():
            drawn = sample(proposal.pattern, 200, real.training, np.random.default_rng(seed))
            assert leak(drawn, real) is None, proposal.pattern.name


def test_too_few_rows_and_other_columns_are_refused() -> None:
    with pytest.raises(DataError, match="fewer than 100"):
        RealRows(REAL.training.take(slice(0, 50)), REAL.holdout)
    zero = np.zeros(500)
    ulb = Schema(label="Class", time="Time", amount="Amount", numeric=("V1",))
    table = Transactions(
        ulb, dict.fromkeys(ulb.numbers, zero), {}, zero.astype(bool), zero.astype(np.int8), zero
    )  # fmt: skip
    with pytest.raises(ConfigurationError, match="principal components"):
        RealRows(table, table)


def test_the_split_gives_every_row_to_one_side() -> None:
    table = simulate(Simulation(transactions=1_001, seed=2))
    halves = RealRows.split(table, np.random.default_rng(0))
    assert sorted([*halves.training.when, *halves.holdout.when]) == sorted(table.when)
    assert abs(len(halves.training) - len(halves.holdout)) <= 1


def test_every_country_has_its_place() -> None:
    assert set(MIDDLES) == COUNTRIES
    assert all(-90 <= lat <= 90 and -180 <= lon <= 180 for lat, lon in MIDDLES.values())


NEIGHBOURS = """BE-NL US-CA US-MX FR-ES RU-CN NO-SE MY-SG RU-FI CL-AR IN-PK BR-PE KZ-RU EG-LY PT-ES ID-MY DK-DE GL-CA
TR-GR CN-IN"""


@pytest.mark.parametrize("pair", [pair.split("-") for pair in NEIGHBOURS.split()])
def test_neighbours_are_no_way_apart(pair: list[str]) -> None:
    assert least_km(*pair) == 0.0


@pytest.mark.parametrize(
    ("pair", "shortest_flight_km"),
    [("BE TH", 9_200), ("GB AU", 13_800), ("US JP", 4_700), ("FR BR", 6_000), ("ZA IN", 6_000)],
)
def test_far_countries_are_far_but_never_farther_than_they_are(pair: str, shortest_flight_km: float) -> None:
    assert 0 < least_km(*pair.split()) <= shortest_flight_km
    assert least_km(*pair.split()) == pytest.approx(least_km(*pair.split()[::-1]))


def test_cards_share_the_countries_among_them() -> None:
    three = ("BE", "TH", "AU")
    assert least_hours(three, 3) == least_hours(three, 9) == 0.0
    one, two = least_hours(three, 1), least_hours(three, 2)
    assert one == pytest.approx((least_km("BE", "TH") + least_km("TH", "AU")) / 1000)
    assert two == pytest.approx(least_km("TH", "AU") / 2 / 1000)
