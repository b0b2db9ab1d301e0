"""Validation: what is possible passes, and each thing that is not is named by its check."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from secure_fl.data import Simulation, Transactions, concatenate, simulate
from secure_fl.data.simulator import DAY, SCHEMA
from secure_fl.data.synthetic import leakage
from secure_fl.data.synthetic.countries import COUNTRIES
from secure_fl.data.synthetic.leakage import Nearness, RealRows, leak, nearness
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
from secure_fl.data.synthetic.sampler import Sample, sample
from secure_fl.data.synthetic.travel import MIDDLES, least_hours, least_km
from secure_fl.data.synthetic.validation import Verdict, _busiest, objection, validate
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


SECONDS = {"contactless": 5.0, "card present": 15.0, "cash machine": 30.0, "telephone": 45.0, "online": 0.5}


@pytest.mark.parametrize("channel", SECONDS)
def test_each_channel_has_its_shortest_time(channel: str) -> None:
    needed = max(1.0, SECONDS[channel])
    common: dict[str, Any] = {"channel": channel, "countries": ("BE",), "duration_days": 2.0}
    slow = changed(**common, gaps=Gaps(low=1.0, high=needed)).pattern
    assert objection(slow) is None
    if SECONDS[channel] > 1.0:
        text = objection(changed(**common, gaps=Gaps(low=1.0, high=needed - 1.0)).pattern)
        assert text is not None
        assert text.startswith("velocity: gaps of at most ")
        assert text.endswith(f"but a {channel} payment takes {needed:g} s")
        single = changed(**common, gaps=Gaps(low=1.0, high=1.0), payments=Number(low=1, high=1)).pattern
        assert objection(single) is None, "one payment has no gap"


@pytest.mark.parametrize("channel", SECONDS)
@pytest.mark.parametrize("names", [("online",), ("fuel",), ("online", "fuel"), ("grocery",)])
def test_what_is_paid_where(channel: str, names: tuple[str, ...]) -> None:
    text = objection(changed(channel=channel, categories=kind(*names), countries=("BE",)).pattern)
    present = channel in ("card present", "contactless", "cash machine")
    assert (text is not None and "combination" in text) is (names == (("online",) if present else ("fuel",)))


def test_as_many_terminals_as_payments_may_be_used_and_something_must_be_known() -> None:
    few: dict[str, Any] = {"payments": Number(low=1, high=3), "accounts": Number(low=1, high=4)}
    assert objection(changed(**few, terminals=Number(low=12, high=20)).pattern) is None
    text = objection(changed(**few, terminals=Number(low=13, high=20)).pattern)
    assert text is not None
    assert text == "combination: at least 13 terminals, but at most 12 payments in a campaign"
    fresh: dict[str, Any] = {"account_origin": "fresh", "terminal_origin": "fresh", "terminals": Number(low=1, high=1)}
    one = Number(low=1, high=1)
    for payments, accounts, origin, refused in (
        (one, one, "fresh", True),
        (one, one, "existing", False),
        (Number(low=1, high=2), one, "fresh", False),
        (one, Number(low=1, high=2), "fresh", False),
    ):
        pattern = changed(**(fresh | {"account_origin": origin}), payments=payments, accounts=accounts).pattern
        assert (objection(pattern) is not None) is refused


def test_the_busiest_hour_of_any_terminal_counts() -> None:
    """Payments at 12, as many as the terminal can take, and one more an hour and a second later, or earlier."""
    able = 80  # contactless would be 720; 45 s each by telephone
    pattern = changed(channel="telephone", countries=("BE",)).pattern

    def found(offsets: list[float], *others: float) -> list[str]:
        when = 12 * 3600.0 + np.array([*offsets, *others])
        order = np.argsort(when, kind="stable")
        made = rows([10.0] * len(when), [0.0] * len(when))
        places = np.array(["T1"] * len(offsets) + ["T2"] * len(others), dtype=object)[order]
        timed = replace(made, when=when[order], numeric={**made.numeric, "time": when[order]})
        drawn = Sample(
            replace(timed, text={**made.text, "terminal": places}),
            np.zeros(len(when), dtype=np.int64),
            np.zeros(len(when), dtype=np.int64),
        )
        return [each.reason for each in _busiest(pattern, drawn)]

    together = [0.0] * (able - 1)
    assert found([*together, 3599.0]) == []
    assert found([*together, 3599.0, 3600.0]) == []  # the first ones are an hour old
    assert found([0.0, *together, 3599.0]) == ["81 payments in an hour at one terminal, which can take 80"]
    assert found([*together, 3599.0], *[0.0] * 40) == []  # another terminal
    assert found([0.0], *[5.0] * 90) == ["90 payments in an hour at one terminal, which can take 80"]


def test_a_verdict_names_every_objection_and_a_reason_without_advice() -> None:
    far = verdict(changed(countries=("BE", "TH"), categories=kind("online"), gaps=Gaps(low=1.0, high=3.0)))
    assert [each.check for each in far.objections][:3] == ["combination", "travel", "velocity"]
    assert far.reason == "; ".join(f"{each.check}: {each.reason}" for each in far.objections)
    assert far.digest == changed(countries=("BE", "TH"), categories=kind("online"), gaps=Gaps(low=1.0, high=3.0)).digest
    malformed = verdict(changed(name="<b>bold</b>", countries=("BE", "TH")))
    assert [each.check for each in malformed.objections] == ["schema"]
    assert "correct these fields" not in malformed.reason
    assert objection(changed(name="<b>bold</b>", countries=("BE", "TH")).pattern) == malformed.reason


@pytest.mark.parametrize("more", ["training", "holdout"])
def test_nearness_is_what_a_slow_search_finds(more: str) -> None:
    """Every distance by hand: logarithm of the amount, hour on a circle, and one unit between categories."""
    table = simulate(Simulation(transactions=1_200, seed=9))
    few, many = table.take(slice(0, 130)), table.take(slice(400, 600))
    real = RealRows(many, few) if more == "training" else RealRows(few, many)
    sampled = table.take(slice(700, 800))

    def apart(first: Transactions, second: Transactions) -> np.ndarray[Any, Any]:
        amounts = [np.log(np.maximum(part.numeric["amount"], 0.01)) for part in (first, second)]
        angles = [2 * np.pi * (part.when % DAY) / DAY for part in (first, second)]
        chord = 2 * np.sin(np.abs(angles[0][:, None] - angles[1][None, :]) / 2)
        other = first.text["category"][:, None] != second.text["category"][None, :]
        square = np.subtract.outer(*amounts) ** 2 + chord**2 + other
        distance: np.ndarray[Any, Any] = np.sqrt(square.astype(np.float64))
        return distance

    thinned = many.take(np.linspace(0, 199, 130).astype(int))  # as many on both sides, evenly over time
    training, holdout = (thinned, few) if more == "training" else (few, thinned)
    to_training, to_holdout = apart(sampled, training), apart(sampled, holdout)
    near, far = to_training.min(axis=1), to_holdout.min(axis=1)
    closest = np.where(near <= far, to_training.argmin(axis=1), 130 + to_holdout.argmin(axis=1))
    weights = np.bincount(closest)
    alone = apart(training, holdout.take(slice(1, None, 2))).min(axis=1)

    def pinned(part: Transactions) -> float:
        distance = apart(part, training)
        return float(np.mean(distance.min(axis=1) < 0.2 * alone[distance.argmin(axis=1)]))

    found = nearness(sampled, real)
    assert found.nearer == pytest.approx(np.mean(near < far) + 0.5 * np.mean(near == far))
    assert found.independent == pytest.approx(weights.sum() ** 2 / np.square(weights).sum())
    assert found.pinned == pytest.approx(pinned(sampled))
    assert found.pinned_by_chance == pytest.approx(pinned(holdout.take(slice(0, None, 2))))
    assert real.host.customers.tolist() == list(dict.fromkeys(real.training.text["customer"]))


@pytest.mark.parametrize(
    ("nearer", "independent", "pinned", "by_chance", "words"),
    [
        (0.65, 100.0, 0.0, 0.0, None),  # three standard errors of 100 trials are 0.15
        (0.651, 100.0, 0.0, 0.0, "65% of its rows are nearer to training rows"),
        (0.651, 50.0, 0.0, 0.0, None),
        (0.5, 9.0, 0.5, 0.0, None),
        (0.5, 9.0, 0.51, 0.1, r"51% of its rows lie right beside single training rows \(10% of held-out rows do\)"),
        (0.5, 9.0, 0.6, 0.3, None),
        (0.5, 9.0, 0.61, 0.3, "61% of its rows lie right beside"),
    ],
)
def test_what_counts_as_a_leak(
    monkeypatch: pytest.MonkeyPatch,
    nearer: float,
    independent: float,
    pinned: float,
    by_chance: float,
    words: str | None,
) -> None:
    monkeypatch.setattr(leakage, "nearness", lambda *_: Nearness(nearer, independent, pinned, by_chance))
    found = leak(REAL.training, REAL)
    assert found is None if words is None else re.match(words, found or "")


def test_both_sides_need_rows_of_the_right_kind() -> None:
    RealRows(REAL.training.take(slice(0, 100)), REAL.holdout.take(slice(0, 100)))
    for training, holdout in ((99, 100), (100, 99)):
        with pytest.raises(DataError, match="fewer than 100"):
            RealRows(REAL.training.take(slice(0, training)), REAL.holdout.take(slice(0, holdout)))
    schema = replace(SCHEMA, calendar=False)
    for pair in (
        (replace(REAL.training, schema=schema), REAL.holdout),
        (REAL.training, replace(REAL.holdout, schema=schema)),
    ):
        with pytest.raises(ConfigurationError, match="other columns"):
            RealRows(*pair)


def test_rows_are_held_out_at_random_and_both_sides_stay_in_order() -> None:
    table = simulate(Simulation(transactions=1_000, seed=2))
    one, other = (RealRows.split(table, np.random.default_rng(seed)) for seed in (0, 1))
    assert not np.array_equal(one.training.when, other.training.when)
    for part in (one.training, one.holdout):
        assert np.all(np.diff(part.when) >= 0)
        assert 0.3 < np.mean(part.when < np.median(table.when)) < 0.7
