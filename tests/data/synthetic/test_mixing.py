"""Mixing: synthetic rows train and never test, real rows keep their features, and every row knows where it is from."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.data import FederationKey, Simulation, Transactions, concatenate, describe, extract, simulate, time_cut
from secure_fl.data.synthetic import fidelity as fidelity_module
from secure_fl.data.synthetic import mixing, sampler
from secure_fl.data.synthetic.fidelity import Fidelity, Score, fidelity, public_table
from secure_fl.data.synthetic.library import library
from secure_fl.data.synthetic.mixing import REAL, FraudDataset, Mix, mixed_features, with_synthetic
from secure_fl.data.synthetic.population import population
from secure_fl.data.transactions import Schema
from secure_fl.errors import ConfigurationError, DataError

TABLE = simulate(Simulation(transactions=6_000, fraud_share=0.02, seed=3))
CUT = time_cut(TABLE, 0.3)
TRAINING = TABLE.before(CUT)
FRAUDS = int(TRAINING.fraud.sum())
KEY = FederationKey.for_simulation(3)
PATTERNS = library(6)


def mixed(share: float = 0.5, seed: int = 0) -> FraudDataset:
    return with_synthetic(TRAINING, PATTERNS, Mix(share=share), np.random.default_rng(seed))


@settings(max_examples=20)
@given(st.floats(0.2, 3.0), st.integers(1, 6), st.integers(0, 2**32))
def test_real_rows_stay_and_synthetic_ones_are_as_many_as_asked_for(share: float, patterns: int, seed: int) -> None:
    dataset = with_synthetic(TRAINING, PATTERNS[:patterns], Mix(share=share), np.random.default_rng(seed))
    real = dataset.provenance == REAL
    assert share * FRAUDS - 1e-6 <= dataset.synthetic < share * FRAUDS + 1
    assert dataset.real == len(TRAINING)
    for name, column in TRAINING.numeric.items():
        np.testing.assert_array_equal(dataset.rows.numeric[name][real], column)
    for name, text in TRAINING.text.items():
        np.testing.assert_array_equal(dataset.rows.text[name][real], text)
    np.testing.assert_array_equal(dataset.rows.pattern[real], TRAINING.pattern)
    made = dataset.rows.take(~real)
    assert made.fraud.all()
    assert made.when.max() < CUT
    counts = [int(np.sum(dataset.provenance == place)) for place in range(patterns)]
    assert max(counts) - min(counts) <= 1
    assert dataset.rows_by_digest == {p.digest: n for p, n in zip(PATTERNS, counts, strict=False)}
    for place in np.unique(dataset.provenance[~real]):  # a pattern number of its own, apart from the simulator's
        assert set(dataset.rows.pattern[dataset.provenance == place]) == {4 + place}


def test_provenance_names_the_pattern_that_a_row_comes_from() -> None:
    dataset = mixed(share=2.0)
    for place, proposal in enumerate(PATTERNS):
        rows = dataset.rows.take(dataset.provenance == place)
        allowed = {share.category for share in proposal.pattern.categories}
        assert set(rows.text["category"]) <= allowed
        if proposal.pattern.amount.basis == "currency":
            assert rows.numeric["amount"].min() >= proposal.pattern.amount.low - 1e-9
            assert rows.numeric["amount"].max() <= proposal.pattern.amount.high + 1e-9


def test_the_test_set_and_the_real_training_rows_are_what_they_are_without_synthetic_fraud() -> None:
    dataset = mixed(share=3.0)
    train, test = mixed_features(TABLE, CUT, dataset, KEY)
    alone = extract(TABLE, KEY)
    for name in ("numeric", "hashed", "fraud", "pattern", "when"):
        np.testing.assert_array_equal(getattr(test, name), getattr(alone.since(CUT), name))
        np.testing.assert_array_equal(
            getattr(train.take(dataset.provenance == REAL), name), getattr(alone.before(CUT), name)
        )
    assert len(train) == len(dataset.rows)
    np.testing.assert_array_equal(train.when, dataset.rows.when)
    assert not np.isin(test.pattern, np.arange(4, 128)).any()


def test_without_the_second_extraction_synthetic_fraud_would_reach_the_test_set() -> None:
    """The reason for `mixed_features`: put into the table, synthetic rows change the past of honest test rows."""
    dataset = mixed(share=3.0)
    naive = extract(concatenate([dataset.rows, TABLE.since(CUT)]), KEY).since(CUT)
    honest = ~naive.fraud
    clean = mixed_features(TABLE, CUT, dataset, KEY)[1]
    assert np.any(naive.numeric[honest] != clean.numeric[honest])


def test_synthetic_rows_see_the_real_past_and_their_own_campaign() -> None:
    dataset = mixed(share=2.0)
    train, _ = mixed_features(TABLE, CUT, dataset, KEY)
    column = list(describe(TABLE.schema)).index("customer: count 30 d")
    for row in np.flatnonzero(dataset.provenance != REAL)[::25]:
        same = dataset.rows.text["customer"] == dataset.rows.text["customer"][row]
        when = dataset.rows.when
        window = same & (when > when[row] - 30 * 86_400) & (when <= when[row])
        ties = same & (when == when[row])
        seen = np.expm1(train.numeric[row, column])
        assert window.sum() - ties.sum() < round(seen) <= window.sum()


def test_the_same_seed_gives_the_same_rows() -> None:
    first, again, other = mixed(), mixed(), mixed(seed=1)
    np.testing.assert_array_equal(first.rows.when, again.rows.when)
    np.testing.assert_array_equal(first.provenance, again.provenance)
    assert not np.array_equal(first.rows.when, other.rows.when)


def test_pattern_numbers_come_round_after_the_largest() -> None:
    """Numbers 4 to 127, and then from 4 again."""
    proposals = tuple(
        proposal.model_copy(update={"pattern": proposal.pattern.model_copy(update={"name": f"{letter}{place}"})})
        for letter in "abcdefghijklmnopqrstu"
        for place, proposal in enumerate(PATTERNS)
    )[:125]
    dataset = with_synthetic(TRAINING, proposals, Mix(share=None, count=125), np.random.default_rng(0))
    numbers = dataset.rows.pattern[len(TRAINING) :].tolist()
    assert numbers == [*range(4, 128), 4]


def test_a_count_in_place_of_a_share() -> None:
    dataset = with_synthetic(TRAINING, PATTERNS, Mix(share=None, count=3), np.random.default_rng(0))
    assert dataset.synthetic == 3
    assert sum(dataset.rows_by_digest.values()) == 3
    assert len(dataset.digests) == len(PATTERNS)


def test_a_bank_with_one_fraud_gets_one_too_and_whole_shares_are_exact() -> None:
    assert Mix(share=0.001).rows(1) == 1
    assert [Mix(share=0.1 * tenths).rows(10) for tenths in range(1, 11)] == list(range(1, 11))


@pytest.mark.parametrize(
    ("share", "count"),
    [(None, None), (0.5, 5), (0.0, None), (-1.0, None), (float("nan"), None), (float("inf"), None), (None, 0)],
)
def test_mixes_that_mean_nothing_are_refused(share: float | None, count: int | None) -> None:
    with pytest.raises(ConfigurationError):
        Mix(share=share, count=count)


def test_what_cannot_be_mixed_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ConfigurationError, match="approve patterns"):
        with_synthetic(TRAINING, (), Mix(), rng)
    with pytest.raises(ConfigurationError, match="twice"):
        with_synthetic(TRAINING, (PATTERNS[0], PATTERNS[0]), Mix(), rng)
    with pytest.raises(ConfigurationError, match="no real fraud to take a share of"):
        with_synthetic(TRAINING.take(~TRAINING.fraud), PATTERNS, Mix(), rng)


def test_principal_components_are_refused_with_the_reason() -> None:
    n, schema = 10, Schema(label="Class", time="Time", amount="Amount", numeric=tuple(f"V{i}" for i in range(1, 29)))
    ulb = Transactions(
        schema=schema,
        numeric={name: np.arange(float(n)) for name in schema.numbers},
        text={},
        fraud=np.arange(n) % 2 == 0,
        pattern=(np.arange(n) % 2 == 0).astype(np.int8),
        when=np.arange(float(n)),
    )
    with pytest.raises(ConfigurationError, match="principal components, which no pattern can describe"):
        with_synthetic(ulb, PATTERNS, Mix(), np.random.default_rng(0))


def test_a_dataset_of_other_rows_or_of_the_test_period_is_refused() -> None:
    dataset = mixed()
    with pytest.raises(DataError, match="not of this table"):
        mixed_features(TABLE, CUT - 20 * 86_400, dataset, KEY)
    with pytest.raises(DataError, match="not of this table"):
        mixed_features(TABLE.take(slice(5, None)), CUT, dataset, KEY)
    late = with_synthetic(TABLE, PATTERNS, Mix(), np.random.default_rng(0))
    with pytest.raises(DataError, match="not of this table"):
        mixed_features(TABLE, CUT, late, KEY)


@pytest.mark.parametrize("late", [0.0, 1.0, 86_400.0])
def test_one_synthetic_row_at_or_after_the_cut_is_refused_though_the_real_rows_fit(late: float) -> None:
    dataset = mixed()
    row = int(np.flatnonzero(dataset.provenance != REAL)[-1])

    def moved(when: float) -> FraudDataset:
        """Where the first identifier's last synthetic row stands at another time."""
        time = dataset.rows.when.copy()
        time[row] = when
        rows = replace(dataset.rows, when=time, numeric={**dataset.rows.numeric, "time": time})
        return FraudDataset(rows, dataset.provenance, dataset.digests)

    mixed_features(TABLE, CUT, moved(np.nextafter(CUT, 0.0)), KEY)
    with pytest.raises(DataError, match="not of this table before the cut"):
        mixed_features(TABLE, CUT, moved(CUT + late), KEY)


def test_rows_that_are_drawn_too_late_are_a_defect_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = sampler.sample_campaigns(PATTERNS[0].pattern, 3, population(TRAINING), np.random.default_rng(0))
    for seconds, accepted in ((0.0, True), (1.0, False)):
        time = np.full(3, TRAINING.when.max() + seconds)
        rows = replace(drawn.rows, when=time, numeric={**drawn.rows.numeric, "time": time})
        late = replace(drawn, rows=rows)
        monkeypatch.setattr(mixing, "sample_campaigns", lambda *_, late=late: late)
        mix = Mix(share=None, count=3)
        if accepted:
            with_synthetic(TRAINING, PATTERNS[:1], mix, np.random.default_rng(0))
        else:
            with pytest.raises(DataError, match="lies after the training rows"):
                with_synthetic(TRAINING, PATTERNS[:1], mix, np.random.default_rng(0))


def test_which_patterns_get_one_row_more_is_drawn() -> None:
    more = set()
    for seed in range(20):
        dataset = with_synthetic(TRAINING, PATTERNS, Mix(share=None, count=7), np.random.default_rng(seed))
        more |= {digest for digest, rows in dataset.rows_by_digest.items() if rows == 2}
    assert len(more) > 3


def test_provenance_that_does_not_fit_is_refused() -> None:
    dataset = mixed()
    for wrong in (dataset.provenance[1:], dataset.provenance + len(PATTERNS), np.zeros_like(dataset.provenance)):
        with pytest.raises(DataError, match="provenance"):
            FraudDataset(dataset.rows, wrong, dataset.digests)


def test_nothing_of_a_row_is_printed() -> None:
    text = repr(mixed())
    assert text == f"FraudDataset({len(TRAINING)} real and {math.ceil(0.5 * FRAUDS)} synthetic rows of 6 patterns)"


@pytest.mark.slow
def test_detectors_learn_from_one_kind_of_fraud_and_are_tested_on_the_other() -> None:
    table = public_table(seed=2, transactions=8_000)
    found = fidelity(PATTERNS, table, seed=2)
    again = fidelity(PATTERNS, table, seed=2)
    assert found == again
    frauds = table.since(time_cut(table, 0.3)).fraud
    assert found.real_on_real.base_rate == pytest.approx(frauds.mean())
    assert found.synthetic_on_real.base_rate == found.both_on_real.base_rate == found.real_on_real.base_rate
    assert found.synthetic_rows == int(table.before(time_cut(table, 0.3)).fraud.sum())
    scores: list[Score] = [score for _, _, score in found.rows()]
    assert all(0.0 <= score.auprc <= 1.0 for score in scores)
    assert found.real_on_real.auprc > 5 * found.real_on_real.base_rate  # both kinds teach something about the other
    assert found.synthetic_on_real.auprc > 2 * found.synthetic_on_real.base_rate
    assert found.real_on_synthetic.auprc > 2 * found.real_on_synthetic.base_rate


def test_a_table_without_fraud_on_one_side_has_no_fidelity() -> None:
    table = public_table(transactions=2_000)
    honest_end = table.take(~table.fraud | (table.when < time_cut(table, 0.3)))
    with pytest.raises(DataError, match="one side of the cut"):
        fidelity(PATTERNS, honest_end, seed=1)


@pytest.mark.parametrize(
    ("allowed", "refused"),
    [
        ((1e-9, None), (0.0, None)),
        ((1000.0, None), (1000.1, None)),
        ((None, 1), (None, 0)),
        ((None, 10_000_000), (None, 10_000_001)),
    ],
)
def test_a_mix_goes_as_far_as_its_bounds(
    allowed: tuple[float | None, int | None], refused: tuple[float | None, int | None]
) -> None:
    Mix(share=allowed[0], count=allowed[1])
    with pytest.raises(ConfigurationError, match="of synthetic fraud"):
        Mix(share=refused[0], count=refused[1])
    assert Mix() == Mix(share=0.5)


def test_the_origin_of_every_row_is_a_pattern_that_there_is() -> None:
    dataset = mixed()
    first, last = np.flatnonzero(dataset.provenance != REAL)[[0, -1]]
    for place in (first, last):
        for origin, fits in ((0, True), (len(PATTERNS) - 1, True), (len(PATTERNS), False), (-2, False)):
            provenance = dataset.provenance.copy()
            provenance[place] = origin
            if fits:
                FraudDataset(dataset.rows, provenance, dataset.digests)
            else:
                with pytest.raises(DataError, match="provenance"):
                    FraudDataset(dataset.rows, provenance, dataset.digests)
    honest = int(np.flatnonzero(~dataset.rows.fraud)[0])
    provenance = dataset.provenance.copy()
    provenance[honest] = 0
    with pytest.raises(DataError, match="provenance"):
        FraudDataset(dataset.rows, provenance, dataset.digests)
    for wrong in (dataset.provenance[:-1], np.append(dataset.provenance, REAL), dataset.provenance[:, None]):
        with pytest.raises(DataError, match="provenance"):
            FraudDataset(dataset.rows, wrong, dataset.digests)


def test_patterns_without_rows_are_counted_too_and_synthetic_rows_keep_their_features() -> None:
    counts = set()
    for seed in range(8):
        dataset = with_synthetic(TRAINING, PATTERNS[:2], Mix(share=None, count=1), np.random.default_rng(seed))
        assert list(dataset.rows_by_digest) == [proposal.digest for proposal in PATTERNS[:2]]
        counts.add(tuple(dataset.rows_by_digest.values()))
    assert counts == {(0, 1), (1, 0)}
    whole = mixed(share=2.0)
    train, _ = mixed_features(TABLE, CUT, whole, KEY)
    expected, synthetic = extract(whole.rows, KEY), whole.provenance != REAL
    for name in ("numeric", "hashed", "fraud", "pattern", "when"):
        np.testing.assert_array_equal(getattr(train, name)[synthetic], getattr(expected, name)[synthetic])
        assert len(getattr(train, name)) == len(whole.rows)


def test_fidelity_says_which_score_is_which_and_needs_both_classes_on_both_sides() -> None:
    found = Fidelity(Score(0.0, 0.01), Score(0.1, 0.01), Score(0.2, 0.01), Score(0.3, 0.01), 5, 6)
    assert found.rows() == (
        ("real fraud", "real fraud", Score(0.0, 0.01)),
        ("synthetic fraud", "real fraud", Score(0.1, 0.01)),
        ("real fraud", "synthetic fraud", Score(0.2, 0.01)),
        ("both", "real fraud", Score(0.3, 0.01)),
    )
    table = public_table(transactions=2_000)
    cut = time_cut(table, 0.3)
    late = table.when >= cut
    for keep in (late | ~table.fraud, ~late | ~table.fraud, late | table.fraud, ~late | table.fraud):
        rest = table.take(keep)
        assert 0.0 < np.mean(rest.when >= cut) < 1.0
        with pytest.raises(DataError, match="one side of the cut"):
            fidelity(PATTERNS, rest, seed=1, test_fraction=float(np.mean(rest.when >= cut)))


def test_the_detectors_of_fidelity_see_what_their_score_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recorded in place of the scores: how many rows and frauds each trains and is tested on."""
    seen: list[tuple[int, int, int, int]] = []

    def record(train: Any, test: Any, seed: int) -> Score:
        assert seed == 5
        assert train.features.shape[1] == test.features.shape[1] == len(describe(TABLE.schema)) + 8
        seen.append((len(train.fraud), int(train.fraud.sum()), len(test.fraud), int(test.fraud.sum())))
        return Score(0.5, 0.5)

    monkeypatch.setattr(fidelity_module, "_score", record)
    shuffled = TABLE.take(np.random.default_rng(0).permutation(len(TABLE)))
    for fraction in (0.3, 0.4):
        seen.clear()
        found = fidelity(PATTERNS, shuffled, 5, Mix(share=2.0), fraction)
        cut = time_cut(TABLE, fraction)
        early, late = TABLE.before(cut), TABLE.since(cut)
        known, unknown = int(early.fraud.sum()), int(late.fraud.sum())
        real_test = (len(late), unknown)
        made_test = (len(late) + unknown, 2 * unknown)  # twice as many synthetic frauds as real ones, and no real one
        assert seen == [
            (len(early), known, *real_test),
            (len(early) + known, 2 * known, *real_test),
            (len(early), known, *made_test),
            (len(early) + 2 * known, 3 * known, *real_test),
        ]
        assert (found.patterns, found.synthetic_rows) == (6, 2 * known)
    fidelity(PATTERNS, TABLE, 5)
    assert seen[-1][1] == 2 * int(TRAINING.fraud.sum()), (
        "as many synthetic frauds as real ones, and three tenths to test"
    )


def test_whom_fraud_is_drawn_for() -> None:
    when = np.array([0.5, 10.0, 20.0, 30.0, 40.5])
    fraud = np.array([False, False, True, True, False])
    table = Transactions(
        TABLE.schema,
        {"time": when, "amount": np.array([10.0, 20.0, 500.0, 900.0, 60.0])},
        {
            "category": np.array(["fuel", "travel", "fuel", "grocery", "fuel"], dtype=object),
            "customer": np.array(["b", "a", "b", "c", "b"], dtype=object),
            "terminal": np.array(["t2", "t1", "t2", "t3", "t0"], dtype=object),
        },
        fraud,
        fraud.astype(np.int8),
        when,
    )
    found = population(table)
    assert (found.begin, found.end) == (1, 40)  # whole seconds of the table
    assert found.customers.tolist() == ["b", "a", "c"]
    assert found.mean_amount.tolist() == [35.0, 20.0, 30.0]  # honest ones; everybody's for who has none
    assert {kind: places.tolist() for kind, places in found.terminals.items()} == {
        "fuel": ["t0", "t2"],
        "grocery": ["t3"],
        "travel": ["t1"],
    }
    for nobody in (table.take(fraud), table.take(slice(0, 0))):
        with pytest.raises(DataError, match="no honest rows"):
            population(nobody)
