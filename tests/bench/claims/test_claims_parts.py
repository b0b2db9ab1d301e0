"""The steps of measuring the claims, each alone, on inputs small enough to say what must come of them."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from secure_fl.bench.claims import alarms, measuring, positives, retraining, stream
from secure_fl.bench.claims import run as claims_run
from secure_fl.bench.claims.alarms import Noticed
from secure_fl.bench.claims.command import print_claims
from secure_fl.bench.claims.delays import delay, detection_day
from secure_fl.bench.claims.intervals import Reduction, reduction
from secure_fl.bench.claims.library import LONGEST_DAYS, new_patterns, typical_seconds, variation
from secure_fl.bench.claims.measuring import CLAIMED_DETECTION, CLAIMED_POSITIVES, COMPARISONS, Claims, SeedRun
from secure_fl.bench.claims.page import _alarm_row, _curve, _patterns, _way_row, percent
from secure_fl.bench.claims.positives import Case, Positives, count_positives
from secure_fl.bench.claims.scene import StreamSettings, courses_of
from secure_fl.bench.claims.stream import WAYS, Detection, Scored
from secure_fl.data.drift.stream import WEEK_DAYS
from secure_fl.data.simulator import DAY, PATTERNS
from secure_fl.data.synthetic.library import library

NEW = len(PATTERNS) + 1


# Alarms.


def test_days_to_an_alarm_count_from_the_first_new_fraud_to_the_first_alarm_from_then_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fed: list[list[float]] = []

    def watch(values: list[float]) -> Any:
        fed.append(values)
        return SimpleNamespace(places=places[len(values)])

    monkeypatch.setattr(alarms, "watch", watch)
    order = [3, 0, 2, 1, 4]  # frauds in any order; the new one is that of day 12, the last-numbered old one is not new
    days = np.array([2.0, 5.0, 7.5, 12.25, 30.0])[order]
    pattern = np.array([NEW - 1, 1, 1, NEW, 1], dtype=np.int8)[order]
    bank = Scored(days * DAY, pattern, np.array([True, False, True, False, True])[order])
    for places_of_alarms, expected in (([0, 1, 3, 4], 0), ([0, 4], 18 + 7), ([3], 7), ([0], None), ([1], 0)):
        places = {5: places_of_alarms, 4: [0, 1]}
        (found,) = alarms.notice(3, "federated", [bank])
        assert found == Noticed(3, 1, "federated", expected, 2), alarms
    assert fed[:2] == [[0.0, 1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0]]
    assert [n.bank for n in alarms.notice(3, "local", [bank, bank])] == [1, 2]


# Delays.


def test_the_window_is_seven_days_and_five_frauds_half_of_them_flagged() -> None:
    def day(*frauds: tuple[int, bool]) -> int | None:
        return detection_day(np.array([d for d, _ in frauds]), np.array([f for _, f in frauds]))

    five = [(1, True), (1, True), (1, False), (1, False), (7, True)]
    assert day(*five) == 7
    assert day(*five[:4], (8, True)) is None  # the first four have left the window
    assert day(*five[:4]) is None
    assert day((1, False), (1, False), *[(2, True)] * 2, (3, False), (3, True)) == 3  # three of six
    old = [(1, False)] * 6
    assert day(*old, *[(2, True)] * 5) == 8  # when the misses leave, after the last fraud
    assert delay(np.array([4] * 5), np.ones(5, bool), 1, 4).detected is False
    assert delay(np.array([4] * 5), np.ones(5, bool), 1, 5) == delay(np.array([4] * 5), np.ones(5, bool), 1, 9)


# Intervals.


@pytest.mark.parametrize(
    ("low", "high", "bounded", "verdict", "beside"),
    [
        (0.0, 0.5, True, "no difference shown", "compatible with it"),
        (0.01, 0.38, True, "less", "compatible with it"),
        (0.38, 0.9, True, "less", "compatible with it"),
        (0.39, 0.9, True, "less", "above it"),
        (-0.5, 0.0, True, "no difference shown", "below it"),
        (-np.inf, 0.2, True, "no difference shown", "below it"),
        (0.1, np.inf, True, "less", "compatible with it"),
        (-np.inf, np.inf, False, "no difference shown", "not comparable"),
    ],
)
def test_what_an_interval_allows_at_its_ends(low: float, high: float, bounded: bool, verdict: str, beside: str) -> None:
    found = Reduction(0.1, low, high, 20)
    assert (found.bounded, found.verdict, found.beside(0.38)) == (bounded, verdict, beside)


# Patterns.


def test_a_typical_sequence_is_its_gaps_and_new_ones_are_short_and_not_the_simulators() -> None:
    pattern: Any = SimpleNamespace(payments=SimpleNamespace(low=4), gaps=SimpleNamespace(low=4.0, high=9.0))
    assert typical_seconds(pattern) == 3 * 6.0
    fitting = {
        p.pattern.name
        for p in library()
        if typical_seconds(p.pattern) <= LONGEST_DAYS * DAY
        and "Fraud Detection Handbook" not in (p.provenance.reference or "")
    }
    drawn = new_patterns(1_000, np.random.default_rng(1))
    assert len(drawn) == len({pattern.name for pattern in drawn})
    assert {pattern.name for pattern in drawn} == fitting


def test_a_variation_stretches_both_ends_alike_and_stays_within_what_a_pattern_may_say() -> None:
    factors = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        for proposal in library():
            pattern = proposal.pattern
            other = variation(pattern, rng)
            if other.amount.low != pattern.amount.low and other.amount.high / pattern.amount.high > 0.5:
                factors.append(other.amount.low / pattern.amount.low)
            assert (other.hours.first - pattern.hours.first) % 24 in (2, 22)
            assert 1.0 <= other.gaps.low <= other.gaps.high <= 90 * DAY
            assert other.name.startswith("Like it: ")
    sizes = np.maximum(factors, 1 / np.array(factors))
    assert sizes.min() >= 1.2 - 1e-6
    assert sizes.max() <= 1.5 + 1e-6
    assert 0.3 < np.mean(np.array(factors) > 1) < 0.7


# Positives.


def test_each_model_is_counted_on_its_own_and_all_on_the_common_test_set(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def baseline(alarms: int) -> Any:
        return SimpleNamespace(final=SimpleNamespace(false_positives_at_80_recall=alarms))

    def run(experiment: Any) -> Any:
        asked.append(experiment)
        banks = {
            f"b{n}": {"test_rows": 100 + n, "test_frauds": 10 + n, "train_rows": 7, "train_frauds": 1} for n in range(3)
        }
        return SimpleNamespace(
            data={"banks": banks},
            final=baseline(50).final,
            local=(baseline(60), baseline(70), baseline(95)),
            central=baseline(40),
        )

    monkeypatch.setattr(positives, "run_federation", run)
    steps: list[int] = []
    cases = [Case("simulated", "even", (("rounds", 2),)), Case("simulated", "pattern")]
    found = count_positives(cases, [4, 5], lambda: steps.append(len(asked)))
    assert steps == [1, 2, 3, 4]
    assert found == tuple(
        Positives("simulated", case.split, seed, 50, (60, 70, 95), 40, 303, 33) for case in cases for seed in (4, 5)
    )
    assert found[0].local_mean == 75
    assert [(e.split, e.seed, e.scheme, e.bits) for e in asked] == [
        (case.split, seed, "plaintext", "float32") for case in cases for seed in (4, 5)
    ]
    assert asked[0].rounds == 2


# Retraining and scoring.


def test_every_bank_and_round_trains_with_a_seed_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[float, int, int, int]] = []

    def train(model: Any, window: Any, settings: Any, epochs: int, seed: int) -> Any:
        asked.append((float(model[0]), len(window), epochs, seed))
        yield from (model + 100, model + seed)[-epochs:]

    monkeypatch.setattr(retraining, "train", train)
    windows: Any = [range(1), range(3)]
    start, settings = np.zeros(2, np.float32), object()
    alone = retraining.retrain_alone([start, start + 1], windows, settings, 2, 7)  # type: ignore[arg-type]
    assert [model[0] for model in alone] == [7, 9]
    assert asked == [(0, 1, 2, 7), (1, 3, 2, 8)]
    asked.clear()
    together = retraining.retrain_together(start, windows, settings, 2, 7)  # type: ignore[arg-type]
    assert [(epochs, seed) for _, _, epochs, seed in asked] == [(1, 7), (1, 8), (1, 9), (1, 10)]
    first = (7 + 3 * 8) / 4
    assert together[0] == pytest.approx(first + (9 + 3 * 10) / 4)


def test_a_window_ends_where_labels_are_not_known_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    class Raw:
        when = np.array([9.0, 10.0, 15.0, 15.5, 19.999, 20.0, 26.0]) * DAY
        fraud = np.array([True, True, False, True, True, True, True])

        def __len__(self) -> int:
            return 7

        def take(self, rows: Any) -> Any:
            return np.flatnonzero(rows).tolist()

    monkeypatch.setattr(retraining, "encode", lambda rows, schema: rows)
    raw: Any = Raw()
    for share, expected in ((0.0, [1, 3, 4]), (1.0, [1, 2, 3, 4])):
        window: Any = retraining.training_window(raw, None, 27, 10, share, np.random.default_rng(1))  # type: ignore[arg-type]
        assert window == expected


def test_frauds_are_flagged_above_all_but_a_share_of_the_honest_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    fraud = np.array([False] * 101 + [True] * 3)
    scores = np.concatenate([np.arange(101.0), [89.0, 90.0, 90.5]])
    monkeypatch.setattr(stream, "predict", lambda model, features: scores)
    examples: Any = SimpleNamespace(features=None, fraud=fraud, pattern=np.arange(104))
    found = stream._score(np.zeros(1, np.float32), stream._Week(np.arange(104.0), examples), 0.1)
    assert found.flagged.tolist() == [False, False, True]
    assert found.pattern.tolist() == found.when.tolist() == [101, 102, 103]


def test_a_week_ends_before_the_next_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "encode", lambda rows, schema: rows.when)

    class Raw:
        def __init__(self, when: Any) -> None:
            self.when = np.asarray(when)

        def take(self, rows: Any) -> Raw:
            return Raw(self.when[rows])

    scene: Any = SimpleNamespace(raw=[Raw(np.array([6.9, 7.0, 13.9, 14.0]) * DAY)], schema=None)
    (week,) = stream._week(scene, 7)
    assert (week.when / DAY).tolist() == [7.0, 13.9]


@pytest.mark.parametrize("learning", ["local", "federated"])
def test_the_first_model_takes_its_own_passes_and_every_week_its_seed(
    monkeypatch: pytest.MonkeyPatch, learning: Any
) -> None:
    asked: list[tuple[Any, ...]] = []

    def noting(models: Any) -> Any:
        def retrain(*given: Any) -> Any:
            asked.append(given)
            return models

        return retrain

    monkeypatch.setattr(stream, "retrain_alone", noting(["one", "two"]))
    monkeypatch.setattr(stream, "retrain_together", noting("common"))
    monkeypatch.setattr(stream, "Examples", SimpleNamespace(pooled=lambda parts: "+".join(parts)))
    settings = SimpleNamespace(start=56, first_epochs=20, epochs=4, training="training", banks=2)
    scene: Any = SimpleNamespace(settings=settings, seed=3, extra={"similar": ["extra", None]})
    for today, epochs in ((56, 20), (63, 4)):
        models = stream._retrain(scene, (learning, "similar"), ["m1", "m2"], ["r1", "r2"], today)  # type: ignore[list-item]
        before = ["m1", "m2"] if learning == "local" else "m1"
        assert asked[-1] == (before, ["r1+extra", "r2"], "training", epochs, 3_000_009 + today * 1_009)
        assert models == (["one", "two"] if learning == "local" else ["common", "common"])


def test_each_patterns_record_is_of_its_bank_and_of_its_own_frauds() -> None:
    """It arrives at the second bank first; each bank is watched until it leaves that bank."""
    course = SimpleNamespace(number=NEW, arrivals=(24, 10, None), weeks=2)
    scene: Any = SimpleNamespace(
        seed=8, stream=SimpleNamespace(courses=[course]), new=[SimpleNamespace(name="a pattern")]
    )
    other = NEW + 1

    def scored(days: list[float], flagged: list[int], pattern: list[int]) -> Scored:
        return Scored(np.array(days) * DAY, np.array(pattern, np.int8), np.array(flagged, bool))

    banks = [
        scored([25.5, 25.6, 26, 26, 26.9, 3], [1, 1, 1, 0, 0, 1], [NEW] * 5 + [other]),
        scored([11.2, 12, 13], [0, 1, 0], [NEW] * 3),
    ]
    first, second = stream._detections(scene, ("local", "unrelated"), banks)
    assert first == Detection(8, "a pattern", 1, 14, "local", "unrelated", 5, 3, 26 - 11, 26 - 25, True)
    assert second == Detection(8, "a pattern", 2, 0, "local", "unrelated", 3, 1, 24 - 11, 24 - 11, False)


# The scene.


def test_a_stream_lasts_until_the_last_pattern_has_left_in_whole_weeks() -> None:
    for changes in ({}, {"lag_days": 3}, {"apart_days": 5, "patterns": 2}, {"quiet_weeks": 3}, {"banks": 4}):
        settings = StreamSettings(**changes)  # type: ignore[arg-type]
        assert settings.start == settings.window_days + 7
        patterns: Any = [SimpleNamespace(name=str(n)) for n in range(settings.patterns)]
        courses: Any = courses_of(settings, patterns)
        last = max(max(course.arrivals) for course in courses) + settings.weeks * WEEK_DAYS
        assert settings.days - WEEK_DAYS < last <= settings.days
        assert (settings.days - settings.start) % WEEK_DAYS == 0
        assert settings.weeks_scored == (settings.days - settings.start) // WEEK_DAYS
        assert min(courses[0].arrivals) == settings.start + settings.quiet_weeks * WEEK_DAYS
        assert [course.number for course in courses] == [NEW + n for n in range(settings.patterns)]
        frauds = 0.0005 * settings.transactions / (settings.patterns * settings.banks)
        assert {course.frauds for course in courses} == {round(frauds)}


# All seeds together.


def record(seed: int, way: Any, bank: int, lag: int, days: int, here: int, detected: bool = True) -> Detection:
    learning, synthetic = way
    flagged = 3 + seed % 2
    return Detection(seed, f"pattern {bank}", bank, lag, learning, synthetic, 10 * bank, flagged, days, here, detected)


@pytest.fixture
def measured() -> Claims:
    """Twelve seeds whose figures differ by way, bank and seed."""
    cases = (Case("simulated", "even"), Case("simulated", "pattern"))
    runs = tuple(
        SeedRun(
            seed,
            0.01 + seed / 1000,
            tuple(
                Positives("simulated", case.split, seed, 10 + seed, (20 + seed, 40 + seed * place), 15, 900, 30)
                for place, case in enumerate(cases, start=1)
            ),
            tuple(
                record(seed, way, bank, lag, 20 + 3 * place + seed, 8 + place * bank + seed, bank > 1)
                for place, way in enumerate(WAYS)
                for bank, lag in ((1, 0), (2, 7), (3, 14))
            ),
            (Noticed(seed, 1, "local", seed if seed < 4 else None, seed % 3),),
        )
        for seed in range(1, 13)
    )
    return Claims("a command", cases, StreamSettings(), runs, {}, "")


def test_reductions_compare_a_way_with_the_other_bank_by_bank(measured: Claims) -> None:
    assert measured.comparisons == 2 * 2 + 3 * len(COMPARISONS)
    for way, other in COMPARISONS:
        found = measured.faster(way, other)
        days = {}
        for each in (way, other):
            of = [r for r in measured.detections if (r.learning, r.synthetic) == each]
            days[each] = [
                [sum(r.days for r in of if r.seed == s) for s in measured.seeds],
                [sum(r.days for r in of if r.seed == s and r.bank == 1) for s in measured.seeds],
                [sum(r.days_here for r in of if r.seed == s and r.bank > 1) for s in measured.seeds],
            ]
        expected = [reduction(*pair, measured.comparisons) for pair in zip(days[way], days[other], strict=True)]
        assert [found.all_banks, found.first_bank, found.other_banks] == expected
    for case in measured.cases:
        rows = [row for row in measured.positives if row.split == case.split]
        federated = [row.federated for row in rows]
        assert measured.fewer_positives(case) == (
            reduction(federated, [row.local_mean for row in rows], measured.comparisons),
            reduction(federated, [row.pooled for row in rows], measured.comparisons),
        )
    summary = measured.summary()
    assert summary["false_positives"][0]["against_local"]["beside_the_article"] == measured.fewer_positives(
        measured.cases[0]
    )[0].beside(CLAIMED_POSITIVES)
    assert summary["detection"][0]["first_bank"]["reduction"] == measured.faster(*COMPARISONS[0]).first_bank.share


def test_rows_of_the_page_are_means_and_counts_of_their_own_records(measured: Claims) -> None:
    way = WAYS[3]
    records = measured.of(way)
    row = _way_row(measured, way)
    assert row["all_banks"] == f"{np.mean([r.days for r in records]):.1f}"
    assert row["other_banks"] == f"{np.mean([r.days_here for r in records if r.bank > 1]):.1f}"
    assert (row["first_detected"], row["later_detected"]) == ("0 of 12", "24 of 24")
    assert row["recall"] == f"{100 * sum(r.flagged for r in records) / sum(r.frauds for r in records):.0f} %"
    assert _alarm_row(measured, "local") == {"learning": "local", "noticed": "3 of 12", "days": "2", "false": "8 of 12"}
    assert _alarm_row(measured, "federated")["days"] == "-"
    assert [row["seeds"] for row in _patterns(measured)] == ["12"] * 3
    caught = [record(1, way, 1, 0, 9, 2), record(1, way, 1, 0, 9, 1, detected=False)]
    assert _curve(caught, 3) == ([0, 1, 2, 3], [0, 0, 0.5, 0.5])
    assert percent(Reduction(0.2, 0.1, np.inf, 9)) == "20 % [10, -]"


def test_the_terminal_shows_each_comparison_beside_its_own_claim(measured: Claims) -> None:
    screen = Console(width=200, file=io.StringIO(), record=True)
    print_claims(measured, screen)
    lines = [[c.strip() for c in line.split("│")[1:-1]] for line in screen.export_text().splitlines() if "│" in line]
    expected = []
    for case in measured.cases:
        local, pooled = measured.fewer_positives(case)
        where = f"simulated, split {case.split}: federated against"
        beside = f"38 %: the interval is {local.beside(CLAIMED_POSITIVES)}"
        expected.append(["false positives at recall 0.8", f"{where} local", percent(local), beside])
        expected.append(["false positives at recall 0.8", f"{where} pooled", percent(pooled), ""])
    assert lines[: len(expected)] == expected
    for line, pair in zip(lines[len(expected) :], COMPARISONS, strict=True):
        found = measured.faster(*pair).all_banks
        assert line[2:] == [percent(found), f"45 %: the interval is {found.beside(CLAIMED_DETECTION)}"]


def test_progress_counts_the_steps_of_the_seeds_that_are_missing(
    measured: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, int, int]] = []

    def measure(seed: int, cases: object, stream: object, advance: Any) -> SeedRun:
        for _ in range(measuring.steps_of(measured.cases, measured.stream)):
            advance()
        return SeedRun(seed, 0.1, (), (), ())

    monkeypatch.setattr(claims_run, "measure_seed", measure)
    stored = Claims("", measured.cases, measured.stream, measured.runs[1:3], {}, "")
    found = claims_run._measure(stored, range(1, 5), True, None, lambda *step: told.append(step))
    steps = 2 * measuring.steps_of(measured.cases, measured.stream)
    assert told == [("seeds x steps", n, steps) for n in range(1, steps + 1)]
    assert found.seeds == (1, 2, 3, 4)
    assert found.command == "secure-fl bench claims --seeds 4 --quick"
    assert claims_run._named(Claims("", (), measured.stream, measured.runs[:1] * 20, {}, ""), False).command == (
        "secure-fl bench claims"
    )
