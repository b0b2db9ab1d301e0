"""The measurement of the two headline claims: delays, intervals, what is trained on, and the files."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from secure_fl.bench.claims.alarms import notice
from secure_fl.bench.claims.command import print_claims
from secure_fl.bench.claims.delays import LEAST, SHARE, WINDOW_DAYS, delay, detection_day
from secure_fl.bench.claims.intervals import seeds_needed
from secure_fl.bench.claims.library import SYNTHETIC, new_patterns, training_patterns, variation
from secure_fl.bench.claims.measuring import COMPARISONS, QUICK_STREAM, Claims
from secure_fl.bench.claims.page import percent, render
from secure_fl.bench.claims.retraining import retrain_alone, retrain_together, training_window
from secure_fl.bench.claims.run import run_claims
from secure_fl.bench.claims.scene import StreamSettings, courses_of
from secure_fl.bench.claims.store import load_claims
from secure_fl.bench.claims.stream import LEARNING, Scored
from secure_fl.data import FeatureSchema, FederationKey, Simulation, Standardization, extract, moments, simulate
from secure_fl.data.features import Examples
from secure_fl.data.synthetic.library import library
from secure_fl.data.synthetic.similarity import resembles_any
from secure_fl.errors import ConfigurationError
from secure_fl.settings import Steps
from secure_fl.training import initial_weights, train

pytestmark = pytest.mark.slow


def fraud_days(*days: int) -> np.ndarray:
    return np.array(days, dtype=np.int64)


def hits(*flags: int) -> np.ndarray:
    return np.array(flags, dtype=np.bool_)


def test_a_pattern_is_detected_on_the_day_on_which_half_of_enough_frauds_are_flagged() -> None:
    # Day 3 is the first with five frauds in seven days; two of them were flagged. Day 4 makes it three of six.
    assert detection_day(fraud_days(0, 1, 2, 3, 3, 4), hits(0, 0, 1, 1, 0, 1)) == 4


def test_a_lucky_first_hit_does_not_count() -> None:
    assert detection_day(fraud_days(0, 1, 2), hits(1, 1, 1)) is None
    assert detection_day(fraud_days(0, 1, 2, 3), hits(1, 1, 1, 1)) is None


def test_old_misses_leave_the_window() -> None:
    # Six misses on day 0 and five hits on day 3: five of eleven, until day 7 sees the five alone.
    assert detection_day(fraud_days(*[0] * 6, *[3] * 5), hits(*[0] * 6, *[1] * 5)) == 7


def test_frauds_too_far_apart_are_never_enough() -> None:
    assert detection_day(fraud_days(0, 3, 6, 9, 12, 15), hits(1, 1, 1, 1, 1, 1)) is None


def test_no_frauds_are_not_detected() -> None:
    assert detection_day(fraud_days(), hits()) is None


@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=1, max_size=40), st.randoms())
def test_the_day_is_the_first_that_fits_whatever_the_order(frauds: list[tuple[int, bool]], order: object) -> None:
    def fits(today: int) -> bool:
        recent = [flag for day, flag in frauds if today - WINDOW_DAYS < day <= today]
        return len(recent) >= LEAST and sum(recent) >= SHARE * len(recent)

    expected = next((today for today in range(60) if fits(today)), None)
    shuffled = sorted(frauds, key=lambda _: order.random())  # type: ignore[attr-defined]
    assert detection_day(fraud_days(*[d for d, _ in shuffled]), hits(*[f for _, f in shuffled])) == expected


def test_delays_count_from_the_first_appearance_anywhere_and_here() -> None:
    found = delay(fraud_days(20, 21, 22, 23, 24), hits(0, 0, 1, 1, 1), appeared=8, end=40)
    assert (found.days, found.days_here, found.detected) == (16, 4, True)


def test_what_is_never_detected_counts_until_the_course_ends_and_is_marked() -> None:
    found = delay(fraud_days(20, 21, 22, 23, 24), hits(0, 0, 0, 0, 0), appeared=8, end=40)
    assert (found.days, found.days_here, found.detected) == (32, 20, False)


def test_a_detection_after_the_course_is_none() -> None:
    late = fraud_days(*[20] * 6, *[23] * 5), hits(*[0] * 6, *[1] * 5)  # would be seen on day 27
    assert delay(*late, appeared=20, end=28).detected
    assert delay(*late, appeared=20, end=27) == delay(late[0], hits(*[0] * 11), appeared=20, end=27)


@pytest.mark.parametrize("seed", range(5))
def test_no_new_pattern_nor_a_copy_of_it_is_trained_on(seed: int) -> None:
    rng = np.random.default_rng(seed)
    new = new_patterns(3, rng)
    assert len({pattern.digest for pattern in new}) == 3
    for synthetic in SYNTHETIC:
        assert not any(resembles_any(pattern, new) for pattern in training_patterns(synthetic, new, rng))
    unrelated, similar = (training_patterns(synthetic, new, rng) for synthetic in SYNTHETIC[1:])
    assert len(unrelated) == len(library()) - 3
    assert len(similar) == len(library())


def test_what_the_simulator_commits_is_not_new() -> None:
    names = {pattern.name for pattern in new_patterns(99, np.random.default_rng(0))}
    assert "Compromised terminal" not in names
    assert "Leaked card, spent over two weeks" not in names
    assert len(names) > 5


@pytest.mark.parametrize("pattern", [p.pattern for p in library()], ids=lambda p: p.name)
def test_a_variation_is_like_its_pattern_but_no_copy(pattern: object) -> None:
    other = variation(pattern, np.random.default_rng(2))  # type: ignore[arg-type]
    assert other.categories == pattern.categories  # type: ignore[attr-defined]
    assert not resembles_any(other, [pattern])  # type: ignore[list-item]


def test_patterns_start_at_different_banks_and_move_on() -> None:
    settings = StreamSettings()
    courses = courses_of(settings, new_patterns(3, np.random.default_rng(0)))
    for place, course in enumerate(courses):
        days = [day for day in course.arrivals if day is not None]
        assert days.index(min(days)) == place
        assert sorted(days) == [min(days) + step * settings.lag_days for step in range(3)]
        assert min(days) >= settings.start + 7
        assert max(course.end(bank) or 0 for bank in range(3)) <= settings.days
    assert sum(3 * course.frauds for course in courses) == pytest.approx(300, abs=9)


def test_a_window_holds_only_what_is_known_on_that_day() -> None:
    table = simulate(Simulation(transactions=4_000, days=60, fraud_share=0.05, seed=2))
    raw = extract(table, FederationKey.for_simulation(2))
    schema = FeatureSchema.create(
        table.schema, Standardization.from_moments(moments(raw.numeric)), FederationKey.for_simulation(2)
    )
    window = training_window(raw, schema, 40, 21, 0.5, np.random.default_rng(0))
    inside = (table.when >= 12 * 86_400) & (table.when < 33 * 86_400)
    assert window.fraud.sum() == (table.fraud & inside).sum()
    honest = (~table.fraud & inside).sum()
    assert 0.4 * honest < len(window) - window.fraud.sum() < 0.6 * honest


def test_together_is_the_weighted_mean_of_what_the_banks_train() -> None:
    rng = np.random.default_rng(3)
    frauds = [np.arange(rows) % 4 == 0 for rows in (40, 120)]
    windows = [Examples(rng.normal(size=(len(f), 128)).astype(np.float32), f, f.astype(np.int8)) for f in frauds]
    settings, start = Steps(batch_size=16), initial_weights(1)
    trained = [next(train(start, w, settings, epochs=1, seed=9 + bank)) for bank, w in enumerate(windows)]
    expected = 0.25 * trained[0].astype(np.float64) + 0.75 * trained[1]
    np.testing.assert_allclose(retrain_together(start, windows, settings, 1, 9), expected, rtol=1e-5, atol=1e-7)
    alone = retrain_alone([start, start], windows, settings, 1, 9)
    assert all(np.array_equal(one, other) for one, other in zip(alone, trained, strict=True))


def test_an_alarm_comes_when_the_label_is_known_and_the_control_has_none() -> None:
    n = 200
    when = np.arange(2 * n) / 10 * 86_400.0  # ten frauds a day
    new = np.arange(2 * n) >= n
    bank = Scored(when, np.where(new, 4, 1).astype(np.int8), ~new)  # every new fraud is missed
    (noticed,) = notice(1, "local", [bank])
    assert noticed.false_alarms == 0
    assert noticed.days_to_alarm is not None
    assert 7 <= noticed.days_to_alarm <= 14


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[Claims, Path]:
    folder = tmp_path_factory.mktemp("claims")
    claims = run_claims(
        2,
        quick=True,
        json_file=folder / "claims.json",
        markdown_file=folder / "claims.md",
        svg_file=folder / "claims.svg",
    )
    return claims, folder


@pytest.mark.slow
def test_the_json_holds_every_run_and_every_summary(quick: tuple[Claims, Path]) -> None:
    claims, folder = quick
    document = json.loads((folder / "claims.json").read_text(encoding="utf-8"))
    assert document["command"] == "secure-fl bench claims --seeds 2 --quick"
    assert [run["seed"] for run in document["runs"]] == [1, 2]
    summary = document["summary"]
    assert summary["article"] == {"fewer_false_positives": 0.38, "faster_detection": 0.45}
    assert summary["comparisons"] == 2 * 2 + 3 * len(COMPARISONS) == claims.comparisons
    runs = [row for run in document["runs"] for row in records_of(run["false_positives"])]
    assert [(row["seed"], row["split"]) for row in runs] == [(1, "even"), (1, "pattern"), (2, "even"), (2, "pattern")]
    even = [row for row in runs if row["split"] == "even"]
    federated, local = sum(r["federated"] for r in even), sum(sum(r["local"]) / 3 for r in even)
    assert summary["false_positives"][0]["against_local"]["reduction"] == pytest.approx(1 - federated / local)
    records = [row for run in document["runs"] for row in records_of(run["detections"])]
    ways = len(LEARNING) * len(SYNTHETIC)
    assert len(records) == 2 * ways * QUICK_STREAM.patterns * QUICK_STREAM.banks
    assert all(0 <= r["days_here"] <= r["days"] and r["flagged"] <= r["frauds"] for r in records)
    days = {
        learning: sum(r["days"] for r in records if r["learning"] == learning and r["synthetic"] == "none")
        for learning in LEARNING
    }
    first = summary["detection"][0]
    assert first["way"] == ["federated", "none"]
    assert first["all_banks"]["reduction"] == pytest.approx(1 - days["federated"] / days["local"])
    assert [run["fraud_share"] for run in document["runs"]] == pytest.approx([0.02, 0.02], rel=0.1)
    assert sum(len(run["drift_alarms"]["rows"]) for run in document["runs"]) == 2 * 2 * 3
    assert load_claims(folder / "claims.json") == claims


def records_of(table: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]


@pytest.mark.slow
def test_the_same_delays_end_alike_for_every_way(quick: tuple[Claims, Path]) -> None:
    """Censoring is a matter of the stream: undetected patterns have the same days, however was learned."""
    ends: dict[tuple[int, str, int], set[int]] = {}
    for record in quick[0].detections:
        if not record.detected:
            ends.setdefault((record.seed, record.pattern, record.bank), set()).add(record.days)
    assert ends
    assert all(len(days) == 1 for days in ends.values())


@pytest.mark.slow
def test_the_page_shows_the_figures_and_the_verdict(quick: tuple[Claims, Path]) -> None:
    claims, folder = quick
    page = (folder / "claims.md").read_text(encoding="utf-8")
    found = claims.faster(("federated", "none"), ("local", "none"))
    assert percent(found.all_banks) in page
    assert "38 %" in page
    assert "45 %" in page
    assert "claims.svg" in page
    svg = (folder / "claims.svg").read_text(encoding="utf-8")
    assert "federated + unrelated synthetic" in svg
    assert svg.count("<path") > 12


@pytest.mark.slow
def test_a_verdict_on_the_page_follows_the_records(quick: tuple[Claims, Path]) -> None:
    claims, _ = quick
    for word, way in {"sooner": ("federated", "none"), "later": ("local", "none")}.items():
        detections = tuple(  # this way detects every pattern a day after it arrives
            replace(r, days=r.lag_days + 1, days_here=1) if (r.learning, r.synthetic) == way else r
            for r in claims.runs[0].detections
        )
        runs = tuple(  # of so many seeds
            replace(claims.runs[0], seed=seed, detections=tuple(replace(r, seed=seed) for r in detections))
            for seed in range(1, seeds_needed(claims.comparisons) + 1)
        )
        assert f"first: **{word} than that bank alone" in render(replace(claims, runs=runs), None)
        assert "**neither sooner nor later" in render(replace(claims, runs=runs[1:]), None)


def test_one_seed_and_unwritable_files_are_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="at least 2"):
        run_claims(1, quick=True)
    with pytest.raises(ConfigurationError, match="cannot be written"):
        run_claims(2, quick=True, json_file=tmp_path / "missing" / "claims.json")


@pytest.mark.slow
def test_the_terminal_shows_every_comparison(quick: tuple[Claims, Path]) -> None:
    claims, _ = quick
    console = Console(record=True, width=200, file=io.StringIO(), markup=False)
    print_claims(claims, console)
    text = console.export_text()
    assert percent(claims.fewer_positives(claims.cases[1])[0]) in text
    assert percent(claims.faster(*COMPARISONS[-1]).all_banks) in text
    assert text.count("against") == 2 * len(claims.cases) + len(COMPARISONS) + 1
