"""Groups: sums of counts are those of the pooled rows, rates are fairlearn's, small groups stay unnamed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from secure_fl.audit.counts import LENGTH, Counts, count_rows
from secure_fl.audit.fairness import Fairness, compare_groups, log_odds
from secure_fl.audit.floors import LEAST_FRAUDS, LEAST_ROWS
from secure_fl.audit.gaps import Gap, find_gaps
from secure_fl.audit.groups import group_rows
from secure_fl.audit.opening import AuditedBank, Subject
from secure_fl.audit.sums import SecureSums
from secure_fl.audit.threshold import FALSE_POSITIVES, Threshold
from secure_fl.errors import ConfigurationError, DataError, RequestError


def _counts(tp: int, fp: int, fn: int, tn: int) -> Counts:
    nothing = np.zeros(10, dtype=np.int64)
    return Counts(tp, fp, fn, tn, nothing, nothing, nothing.astype(np.float64))


def test_rates_are_fairlearns_on_pooled_rows(subject: Subject) -> None:
    fairlearn = pytest.importorskip("fairlearn.metrics")
    from sklearn.metrics import precision_score, recall_score

    groupings = group_rows(["amount:20,60", "bank"], subject.banks)
    found = compare_groups(subject, groupings, SecureSums("masked"))
    fraud = np.concatenate([bank.examples.fraud for bank in subject.banks])
    flagged = np.concatenate(log_odds(subject)) >= found.threshold.log_odds
    for grouping in groupings:
        group = np.concatenate(grouping.members)
        frame = fairlearn.MetricFrame(
            metrics={
                "selection_rate": fairlearn.selection_rate,
                "false_positive_rate": fairlearn.false_positive_rate,
                "recall": partial(recall_score, zero_division=0.0),
                "precision": partial(precision_score, zero_division=0.0),
            },
            y_true=fraud,
            y_pred=flagged,
            sensitive_features=group,
        )
        for number, name in enumerate(grouping.names):
            document = found.columns[grouping.column][name].document()
            assert document["rows"] == (group == number).sum()
            said = {rate: document[rate] for rate in frame.by_group.columns if document[rate] is not None}
            assert {"selection_rate", "false_positive_rate"} <= set(said)
            for rate, value in said.items():
                assert value == pytest.approx(frame.by_group.loc[number, rate], abs=1e-12)


def test_calibration_is_that_of_the_rows() -> None:
    rng = np.random.default_rng(0)
    scores, fraud = rng.normal(size=400), rng.random(400) < 0.3
    counts = Counts.of_vector(count_rows(fraud, scores, 0.0))
    probability = 1 / (1 + np.exp(-scores))
    said = counts.document()["calibration"]
    assert said["mean_score"] == pytest.approx(probability.mean(), abs=1e-6)
    assert said["fraud_share"] == fraud.mean()
    assert 0 < said["expected_calibration_error"] < 1
    sure = Counts.of_vector(count_rows(fraud, np.where(fraud, 30.0, -30.0), 0.0))
    assert sure.document()["calibration"]["expected_calibration_error"] < 1e-6


def test_counts_of_parts_add_up_to_those_of_all() -> None:
    rng = np.random.default_rng(1)
    scores, fraud = rng.normal(size=100), rng.random(100) < 0.5
    parts = count_rows(fraud[:30], scores[:30], 0.2) + count_rows(fraud[30:], scores[30:], 0.2)
    assert parts.shape == (LENGTH,)
    assert np.array_equal(parts, count_rows(fraud, scores, 0.2))


def test_the_threshold_is_the_lowest_edge_that_flags_few_enough(subject: Subject) -> None:
    scores, fraud = log_odds(subject), [bank.examples.fraud for bank in subject.banks]
    chosen = Threshold.at_false_positives(scores, fraud, SecureSums("masked"))
    honest = np.concatenate(scores)[~np.concatenate(fraud)]
    assert (honest >= chosen.log_odds).mean() <= FALSE_POSITIVES < (honest >= chosen.log_odds - 0.025).mean()


@pytest.mark.parametrize("probability", [0.0, 1.0, -1.0, float("nan")])
def test_a_threshold_that_parts_nothing_is_refused(probability: float) -> None:
    with pytest.raises(ConfigurationError, match="flags all rows or none"):
        Threshold.given(probability)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("probability", [1e-320, 1e-9, 0.3, 1 - 1e-16])
def test_any_threshold_comes_back_as_it_was_given(probability: float) -> None:
    assert Threshold.given(probability).probability == pytest.approx(probability, rel=1e-3)


def _histogram_error(scores: NDArray[np.float64], fraud: NDArray[np.bool_]) -> str:
    with pytest.raises(DataError) as error:
        Threshold.at_false_positives([scores] * 3, [fraud] * 3, SecureSums("plaintext"))
    return str(error.value)


def test_a_threshold_that_cannot_be_found_is_said() -> None:
    assert "no bank has an honest test row" in _histogram_error(np.zeros(4), np.ones(4, dtype=np.bool_))
    assert "score above every edge" in _histogram_error(np.full(4, 25.0), np.zeros(4, dtype=np.bool_))


@pytest.mark.parametrize(
    ("counts", "unsaid"),
    [
        (_counts(0, 1, 0, 0), {"rows"}),
        (_counts(0, 9, 0, LEAST_ROWS - 10), {"rows"}),
        (_counts(0, 10, 0, LEAST_ROWS), {"frauds", "recall", "precision", "calibration"}),
        (_counts(LEAST_FRAUDS - 1, 30, 0, 30), {"frauds", "recall", "calibration"}),
        (_counts(LEAST_FRAUDS, 30, 0, 30), set()),
    ],
)
def test_small_groups_are_suppressed(counts: Counts, unsaid: set[str]) -> None:
    said = counts.document()
    if unsaid == {"rows"}:
        assert set(said) == {"suppressed"}
    else:
        assert {name for name, value in said.items() if value is None} == unsaid


def test_a_group_without_frauds_has_no_recall_and_no_gap_of_it() -> None:
    own, rest = _counts(0, 5, 0, 95), _counts(40, 50, 10, 900)
    everything = _counts(40, 55, 10, 995)
    gaps = find_gaps(everything, {"c": {"a": own, "b": rest}}, np.random.default_rng(0))
    assert {(gap.group, gap.rate) for gap in gaps} == {("a", "selection_rate"), ("b", "selection_rate")} | {
        ("a", "false_positive_rate"),
        ("b", "false_positive_rate"),
    }


def _judge(own: Counts, rest: Counts) -> list[Gap]:
    everything = rest - _counts(-own.true_positives, -own.false_positives, -own.false_negatives, -own.true_negatives)
    return list(find_gaps(everything, {"c": {"own": own, "rest": rest}}, np.random.default_rng(0)))


def test_who_is_flagged_more_often_is_worse_off() -> None:
    gaps = _judge(_counts(40, 150, 10, 850), _counts(40, 50, 10, 950))
    assert [(gap.group, gap.rate) for gap in gaps if gap.worse] == [("own", "false_positive_rate")]
    (gap,) = [gap for gap in gaps if gap.worse]
    assert gap.gap == pytest.approx(0.1)
    assert 0.05 < gap.interval[0] < 0.1 < gap.interval[1] < 0.15


def test_whose_frauds_are_missed_is_worse_off() -> None:
    gaps = _judge(_counts(20, 50, 80, 950), _counts(80, 50, 20, 950))
    assert [(gap.group, gap.rate) for gap in gaps if gap.worse] == [("own", "recall")]


def test_no_one_is_worse_off_by_chance_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secure_fl.audit.gaps.DRAWS", 4_000)
    rng = np.random.default_rng(3)
    wrong = 0
    for _ in range(50):
        flagged, found = rng.binomial(400, 0.05, size=4), rng.binomial(40, 0.6, size=4)
        groups = {
            str(place): _counts(int(f), int(p), int(40 - f), int(400 - p))
            for place, (p, f) in enumerate(zip(flagged, found, strict=True))
        }
        everything = _counts(int(found.sum()), int(flagged.sum()), int(160 - found.sum()), int(1600 - flagged.sum()))
        wrong += any(gap.certain for gap in find_gaps(everything, {"c": groups}, rng))
    assert wrong <= 6


def test_only_a_gap_beyond_the_allowed_one_fails() -> None:
    small = Gap("c", "a", "false_positive_rate", 0.03, (0.011, 0.05))
    large = Gap("c", "b", "recall", -0.2, (-0.3, -0.1))
    chance = Gap("c", "d", "recall", -0.5, (-0.9, 0.1))
    legitimate = Gap("c", "e", "selection_rate", 0.5, (0.4, 0.6))
    found = (small, large, chance, legitimate)
    fairness = Fairness(Threshold(0.0, ""), _counts(1, 1, 1, 1), {}, found, max_gap=0.05)
    assert fairness.worse == (large, small)
    assert fairness.failed == (large,)
    assert Fairness(Threshold(0.0, ""), _counts(1, 1, 1, 1), {}, found).failed == ()


def test_an_accident_of_training_is_no_disadvantage_until_somebody_allows_less() -> None:
    accident = Gap("c", "a", "false_positive_rate", 0.02, (0.004, 0.036))
    missed = Gap("c", "b", "recall", -0.03, (-0.05, -0.009))
    fairness = Fairness(Threshold(0.0, ""), _counts(1, 1, 1, 1), {}, (accident, missed), max_gap=0.02)
    assert (accident.certain, missed.certain) == (0.004, 0.009)
    assert fairness.worse == ()
    assert fairness.failed == (missed,)
    assert accident.excludes_zero
    assert missed.excludes_zero


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["customer"], "is an identifier"),
        (["region"], 'no column "region"'),
        (["amount"], "give edges"),
        (["amount:"], "give edges"),
        (["amount:100,10"], "no rising edges"),
        (["amount:x"], "no rising edges"),
        (["category:1"], "leave out the edges"),
        (["bank", "bank"], "named twice"),
        (["amount:10", "amount:100"], "named twice; .* all of their edges"),
        (["bank:3"], "banks are no numbers"),
    ],
)
def test_what_makes_no_groups_is_refused(subject: Subject, asked: list[str], told: str) -> None:
    with pytest.raises(RequestError, match=told):
        group_rows(asked, subject.banks)


def test_ranges_hold_their_lower_edge(subject: Subject) -> None:
    amounts = subject.banks[1].table.numeric["amount"]
    low, high = np.unique(amounts)[[10, 30]]
    (grouping,) = group_rows([f"amount:{low},{high}"], subject.banks)
    assert grouping.names == (f"below {low:g}", f"{low:g} to {high:g}", f"from {high:g}")
    assert np.array_equal(grouping.members[1], (amounts >= low).astype(int) + (amounts >= high))


def test_categories_are_the_same_groups_at_every_bank(subject: Subject) -> None:
    (grouping,) = group_rows(["category"], subject.banks)
    for bank, members in zip(subject.banks, grouping.members, strict=True):
        assert [grouping.names[place] for place in members] == list(bank.table.text["category"])


def _named(bank: AuditedBank, categories: list[str]) -> AuditedBank:
    values = np.array(categories, dtype=np.object_)[np.arange(len(bank.raw)) % len(categories)]
    return replace(bank, table=replace(bank.table, text={**bank.table.text, "category": values}))


@pytest.mark.parametrize("column", ["category", "amount"])
def test_no_two_groups_have_one_name(subject: Subject, column: str) -> None:
    """Of two, one would replace the other, and its rows would be in no group."""
    banks = [_named(bank, ["", "(empty)", "food"]) for bank in subject.banks]
    cut = float(np.median(banks[0].table.numeric["amount"]))
    near = [cut, cut * (1 + 1e-9), cut * (1 + 2e-9), cut * (1 + 3e-9)]
    asked = {"category": "category", "amount": f"amount:{','.join(map(repr, near))}"}[column]
    groupings = group_rows([asked], banks)
    found = compare_groups(replace(subject, banks=tuple(banks)), groupings, SecureSums("plaintext"), threshold=0.5)
    groups = found.columns[column]
    assert len(groups) == len({*groupings[0].names}) == len(groupings[0].names)
    assert sum(counts.rows for counts in groups.values()) == subject.rows


def test_two_audits_with_near_edges_tell_the_row_between(subject: Subject) -> None:
    """As docs/audit.md says: large groups protect no row from whoever opens the sums of both."""
    amounts = np.sort(np.concatenate([bank.table.numeric["amount"] for bank in subject.banks]))
    place = next(n for n in range(len(amounts) // 2, len(amounts)) if amounts[n - 1] < amounts[n] < amounts[n + 1])
    scores = np.concatenate(log_odds(subject))[
        np.concatenate([bank.table.numeric["amount"] for bank in subject.banks]) == amounts[place]
    ]
    sums = []
    for edge in amounts[place : place + 2]:
        groupings = group_rows([f"amount:{edge}"], subject.banks)
        found = compare_groups(subject, groupings, SecureSums("masked"), threshold=0.5)
        sums.append(next(iter(found.columns["amount"].values())))
    between = sums[1] - sums[0]
    assert (sums[0].rows > 100, between.rows) == (True, 1)
    assert between.bin_scores.sum() == pytest.approx(1 / (1 + np.exp(-scores[0])), abs=1e-6)
