"""Drift between two periods: known values of PSI, halves of one simulation, planted drift, exact sums of counts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from secure_fl.audit.drift import Drift, find_drift, read_holdings, stability_index
from secure_fl.audit.drift.bins import FEATURE_BINS, SCORE, apart, bins_of, counts_of
from secure_fl.audit.drift.holdings import PAST_DAYS
from secure_fl.audit.drift.resampling import REPLICATES, resampled_counts
from secure_fl.audit.drift.stability import Shift, shifts_of
from secure_fl.audit.drift.watching import Alarm
from secure_fl.audit.opening import read_run
from secure_fl.audit.sums import SecureSums
from secure_fl.data import Simulation, Transactions, simulate, write_simulated
from secure_fl.data.behaviour import DAY
from secure_fl.errors import ConfigurationError, DataError
from secure_fl.report.scores import RunModel
from secure_fl.settings import Experiment

Write = Callable[[Transactions, Transactions], tuple[Path, Path]]
CUT = 75 * DAY


@pytest.fixture(scope="module")
def opened(run_directory: Path) -> tuple[Experiment, RunModel]:
    return read_run(run_directory)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def both(old: Transactions, new: Transactions) -> tuple[Path, Path]:
        paths = tmp_path / "old.parquet", tmp_path / "new.parquet"
        for table, path in zip((old, new), paths, strict=True):
            write_simulated(table, path, force=True)
        return paths

    return both


def _rows(seed: int = 1, transactions: int = 12_000, fraud_share: float = 0.02) -> tuple[Transactions, Transactions]:
    table = simulate(Simulation(transactions=transactions, days=120, fraud_share=fraud_share, seed=seed))
    return table.before(CUT), table.since(CUT)


def _find(opened: tuple[Experiment, RunModel], files: tuple[Path, Path], max_psi: float | None = None) -> Drift:
    experiment, model = opened
    return find_drift(experiment, model.intake, read_holdings(experiment, model, *files), max_psi)


def _dearer(table: Transactions, factor: float) -> Transactions:
    return replace(table, numeric={**table.numeric, "amount": table.numeric["amount"] * factor})


def test_the_index_has_its_known_values() -> None:
    counts = np.array([[500_000, 500_000], [600_000, 400_000]])
    known = 0.1 * math.log(0.6 / 0.5) - 0.1 * math.log(0.4 / 0.5)
    assert stability_index(counts) == pytest.approx(known, rel=1e-4)
    assert stability_index(counts[::-1]) == pytest.approx(known, rel=1e-4)
    assert stability_index(np.array([[30, 70, 0], [300, 700, 0]])) == pytest.approx(0.0, abs=1e-3)
    assert stability_index(np.array([[0, 40], [0, 90]])) == 0.0
    halves = (0.5 / 101, 100.5 / 101)
    assert stability_index(np.array([[100, 0], [0, 100]])) == pytest.approx(
        2 * (halves[1] - halves[0]) * math.log(halves[1] / halves[0])
    )


def test_fraud_that_triples_from_one_row_in_200_hardly_moves_it() -> None:
    assert 0.01 < stability_index(np.array([[99_500, 500], [98_500, 1_500]])) < 0.012


@pytest.mark.parametrize("size", [100, 300, 10_000])
def test_chance_of_independent_rows_is_exceeded_as_often_as_said(size: int) -> None:
    rng, shares, alarms = np.random.default_rng(size), np.full(10, 0.1), 0
    for _ in range(200):
        counted = {name: rng.multinomial(size, shares, size=2) for name in "abcde"}
        again = {name: rng.poisson(counts, size=(1, REPLICATES, 2, 10)) for name, counts in counted.items()}
        alarms += any(shift.beyond_chance for shift in shifts_of(counted, again))
    assert 1 <= alarms <= 30  # 10 are expected


@pytest.mark.parametrize("sizes", [(100, 10_000), (10_000, 100), (1_000, 30_000)])
def test_samples_of_other_sizes_exceed_chance_no_more_often(sizes: tuple[int, int]) -> None:
    """Half a row in each of the bins that hardly a row is in is much to the small sample and nothing to the large."""
    rng, alarms = np.random.default_rng(1), 0
    shares = np.array([0.9, 0.05, 0.03, 0.01, 0.005, 0.003, 0.001, 0.0005, 0.0003, 0.0002])
    for _ in range(60):
        counted = {str(name): np.stack([rng.multinomial(size, shares) for size in sizes]) for name in range(20)}
        again = {name: rng.poisson(counts, size=(1, REPLICATES, 2, 10)) for name, counts in counted.items()}
        alarms += any(shift.beyond_chance for shift in shifts_of(counted, again))
    assert alarms <= 9  # 3 are expected


@pytest.mark.parametrize("sizes", [(100, 10_000), (10_000, 100)])
def test_a_shift_of_a_small_sample_is_beyond_chance(sizes: tuple[int, int]) -> None:
    rng, moved = np.random.default_rng(2), 0
    old, new = np.full(10, 0.1), np.array([0.02, 0.04, 0.06, 0.08, 0.1, 0.1, 0.12, 0.14, 0.16, 0.18])
    for _ in range(20):
        counts = np.stack([rng.multinomial(size, shares) for size, shares in zip(sizes, (old, new), strict=True)])
        again = rng.poisson(counts, size=(1, REPLICATES, 2, 10))
        moved += shifts_of({"a": counts}, {"a": again})[0].beyond_chance
    assert moved >= 18


def test_what_never_varies_is_no_shift() -> None:
    counted = {"constant": np.array([[0, 50], [0, 70]])}
    (shift,) = shifts_of(counted, {"constant": np.tile(counted["constant"], (1, REPLICATES, 1, 1))})
    assert (shift.psi, shift.chance, shift.exceeds(0.0)) == (0.0, 0.0, False)


@pytest.mark.slow
def test_two_halves_of_one_simulation_raise_at_most_one_alarm(
    opened: tuple[Experiment, RunModel], write: Write
) -> None:
    found = [_find(opened, write(*_rows(seed))) for seed in range(20)]
    assert sum(each.verdict != "stable" for each in found) <= 1
    assert any(shift.psi > 0.1 for each in found for shift in each.shifts), "without chance they would cry wolf"


@pytest.mark.slow
@pytest.mark.parametrize("cut", [34, 116])
def test_a_few_days_of_one_week_are_no_drift(cut: int, opened: tuple[Experiment, RunModel], write: Write) -> None:
    """Four days are of other days of the week than three months are."""
    table = simulate(Simulation(transactions=12_000, days=120, fraud_share=0.02, seed=4))
    assert "time: weekday sin" in opened[1].schema.numeric
    found = _find(opened, write(table.before(cut * DAY), table.since(cut * DAY)))
    assert min(found.rows) < 500
    assert found.verdict == "stable"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_amounts_that_grow_by_half_are_found(seed: int, opened: tuple[Experiment, RunModel], write: Write) -> None:
    old, new = _rows(seed)
    found = _find(opened, write(old, _dearer(new, 1.5)))
    assert found.verdict == "retrain"
    assert any(shift.name == "amount: log" and shift.exceeds(0.25) for shift in found.shifts)
    assert not found.failed


@pytest.mark.slow
def test_another_mix_of_fraud_is_found(opened: tuple[Experiment, RunModel], write: Write) -> None:
    old, _ = _rows(3, 40_000)
    _, new = _rows(3, 40_000, fraud_share=0.15)
    found = _find(opened, write(old, new.take(new.pattern != 2)))
    assert found.verdict != "stable"
    assert found.score.beyond_chance


@pytest.mark.parametrize("scheme", ["masked", "ckks"])
def test_sums_are_those_in_the_clear(scheme: str, opened: tuple[Experiment, RunModel], write: Write) -> None:
    experiment, model = opened
    holdings = read_holdings(experiment, model, *write(*_rows()))
    own = [counts_of(holding, model.schema) for holding in holdings]
    sums = SecureSums(scheme)
    assert np.array_equal(sums.add("counts", own), sum(own))
    assert [made.equals_plaintext for made in sums.made] == [True]
    found = find_drift(experiment.model_copy(update={"scheme": scheme}), model.intake, holdings)
    assert [(made.what, made.equals_plaintext) for made in found.sums] == [
        ("rows in bins", True),
        ("rows in bins, resampled", True),
    ]


def test_only_counts_leave_a_bank(
    opened: tuple[Experiment, RunModel], write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[NDArray[np.int64]] = []
    add = SecureSums.add

    def listen(sums: SecureSums, what: str, vectors: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
        sent.extend(vectors)
        return add(sums, what, vectors)

    monkeypatch.setattr(SecureSums, "add", listen)
    found = _find(opened, write(*_rows()))
    columns = len(bins_of(opened[1].schema))
    assert len(sent) == 6
    for vector in sent:
        assert vector.dtype == np.int64
        assert vector.min() >= 0
    for vector in sent[:3]:
        assert len(vector) == 2
        assert (vector.sum(axis=1) % columns == 0).all(), "each row is counted once in each column"
    assert sum(vector.sum() for vector in sent[:3]) == columns * sum(found.rows)


def test_resampled_rows_are_whole_customers(opened: tuple[Experiment, RunModel], write: Write) -> None:
    experiment, model = opened
    holding = read_holdings(experiment, model, *write(*_rows()))[0]
    again = resampled_counts(holding, model.schema, np.random.default_rng(1))
    assert again.shape == (2, REPLICATES, 2, sum(bins_of(model.schema).values()))
    customers = apart(again, model.schema)[SCORE][0].sum(axis=-1)
    rows = np.array([len(holding.old), len(holding.new)])
    assert np.allclose(customers.mean(axis=0), rows, rtol=0.15)
    assert np.corrcoef(customers.T)[0, 1] > 0.8, "a customer counts alike in OLD and NEW"
    assert (customers.std(axis=0) > 3 * np.sqrt(rows)).all(), "more than single rows would vary"


def test_the_past_is_not_compared(opened: tuple[Experiment, RunModel], write: Write) -> None:
    old, new = _rows()
    found = _find(opened, write(old, new))
    customers_begin = (old.when >= old.when[0] + PAST_DAYS * DAY).sum()
    assert 0.9 * customers_begin < found.rows[0] <= customers_begin
    assert found.rows[1] == len(new)
    later = new.since(CUT + 5 * DAY)  # a gap: the first 30 days have no past either
    assert _find(opened, write(old, later)).rows[1] < len(later) / 2


def test_a_gap_and_a_change_of_a_constant_have_bins(opened: tuple[Experiment, RunModel], write: Write) -> None:
    experiment, model = opened
    holding = read_holdings(experiment, model, *write(*_rows()))[0]
    numeric = holding.new.raw.numeric.copy()
    numeric[:7, 0] = np.nan
    gaps = replace(holding, new=replace(holding.new, raw=replace(holding.new.raw, numeric=numeric)))
    first = model.schema.numeric[0]
    assert apart(counts_of(gaps, model.schema), model.schema)[first][1, FEATURE_BINS - 1] == 7
    scale = model.schema.standardization
    flat = replace(model.schema, standardization=replace(scale, mean=(9.0, *scale.mean[1:]), std=(0.0, *scale.std[1:])))
    varied = apart(counts_of(holding, flat), flat)[first]
    assert varied[1, 0] == len(holding.new), "all lie below what it was in training"


def _found(*features: Shift, alarm: str | None = None, max_psi: float | None = None) -> Drift:
    sums = SecureSums("masked")
    return Drift(
        Experiment(scheme="masked"), (100, 100), Shift("score", 0.01, 0.05), features, (Alarm("bank-1", alarm),), ((),),
        (), sums.custody, looks_back=True, max_psi=max_psi,
    )  # fmt: skip


def test_the_verdict_follows_from_limits_chance_and_detectors() -> None:
    assert _found(Shift("a", 0.3, 0.4)).verdict == "stable"
    assert _found(Shift("a", 0.2, 0.1)).verdict == "watch"
    assert _found(Shift("a", 0.3, 0.1)).verdict == "retrain"
    assert _found(alarm="day 3 of NEW").reasons == ("bank-1's detector fired at day 3 of NEW",)
    assert _found(alarm="day 3 of NEW").verdict == "watch"
    assert _found(alarm="day 3 of NEW", max_psi=0.2).failed is False
    assert _found(Shift("a", 0.3, 0.1)).failed is False
    assert _found(Shift("a", 0.2, 0.1), max_psi=0.15).failed is True
    assert _found(Shift("a", 0.2, 0.1), max_psi=0.5).verdict == "watch"


def test_a_detector_tells_the_day(opened: tuple[Experiment, RunModel], write: Write) -> None:
    experiment, model = opened
    holdings = read_holdings(experiment, model, *write(*_rows()))
    new = holdings[0].new
    jump = np.where(new.raw.when < new.raw.when[0] + 20 * DAY, 0.01, 0.9)
    found = find_drift(experiment, model.intake, (replace(holdings[0], new=replace(new, scores=jump)), *holdings[1:]))
    assert found.alarms[0].first in {f"day {day} of NEW" for day in (21, 22)}
    assert [alarm.first for alarm in found.alarms[1:]] == [None, None]
    assert found.verdict != "stable"


@pytest.mark.parametrize("limit", [0.0, -1.0, math.inf, math.nan])
def test_a_limit_that_is_none_is_refused(limit: float, opened: tuple[Experiment, RunModel]) -> None:
    with pytest.raises(ConfigurationError, match="none of PSI"):
        find_drift(opened[0], opened[1].intake, (), limit)


def test_too_few_rows_are_refused(opened: tuple[Experiment, RunModel], write: Write) -> None:
    old, new = _rows()
    with pytest.raises(DataError, match="NEW has 1 row to compare after 30 days of past; give a file of at least 100"):
        _find(opened, write(old, new.take(slice(0, 1))))
    with pytest.raises(DataError, match="OLD has 0 rows to compare"):
        _find(opened, write(old.since(60 * DAY), new))


def test_a_bank_with_few_rows_has_no_figures_of_its_own(opened: tuple[Experiment, RunModel], write: Write) -> None:
    old, new = _rows()
    found = _find(opened, write(old, new.take(slice(0, 150))))
    assert found.rows[1] == 150
    assert [bool(own) for own in found.local] == [False, False, False]
    assert all(document["shifts"] == [] for document in found.local_documents().values())
