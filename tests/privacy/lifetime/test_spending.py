"""What releases cost a row over its life: recomputed by another accountant, and never less than for any single row."""

from __future__ import annotations

import math

import dp_accounting
import numpy as np
import pytest

from secure_fl.privacy.accounting import SampledGaussian, epsilon
from secure_fl.privacy.distributed import epsilon_spent
from secure_fl.privacy.distributed.composition import epsilon_together
from secure_fl.privacy.distributed.guarantee import effective_noise_multiplier
from secure_fl.privacy.lifetime import spending
from secure_fl.privacy.lifetime.spending import Release, Unit, cost, events_of_life
from secure_fl.secagg.planning import plan_with_noise

DELTA = 1e-5
SMALL, LARGE = SampledGaussian(2.0, 0.1, 10), SampledGaussian(1.5, 0.2, 12)


def release(
    run: str, bank: str, rows: str, name: str = "round 1", event: SampledGaussian = SMALL, unit: Unit = "row"
) -> Release:
    return Release(run, bank, rows, unit, name, "", event, DELTA, None)


def test_runs_on_the_same_rows_add_up() -> None:
    releases = [release("one", "bank-1", "S"), release("two", "bank-1", "S", event=LARGE)]
    assert events_of_life(releases, "row", "bank-1", "S", frozenset("S")) == (SMALL, LARGE)


def test_other_rows_do_not_count() -> None:
    releases = [release("one", "bank-1", "S"), release("two", "bank-1", "T", event=LARGE)]
    assert events_of_life(releases, "row", "bank-1", "S", frozenset("S")) == (SMALL,)


def test_the_name_of_the_bank_does_not_matter_for_rows() -> None:
    releases = [release("one", "bank-2", "S"), release("two", "north", "S")]
    assert events_of_life(releases, "row", "bank-1", "S", frozenset("S")) == (SMALL, SMALL)


def test_a_bank_by_its_name_and_by_its_rows() -> None:
    """It may have new rows, or a new name; whoever asks about the bank asks about all its updates."""
    releases = [
        release("one", "bank-1", "T", unit="bank"),
        release("two", "bank-2", "S", unit="bank"),
        release("three", "bank-2", "U", unit="bank"),
    ]
    assert len(events_of_life(releases, "bank", "bank-1", "S", frozenset("S"))) == 2


def test_units_are_never_mixed() -> None:
    releases = [release("one", "bank-1", "S"), release("two", "bank-1", "S", unit="bank", event=LARGE)]
    assert events_of_life(releases, "row", "bank-1", "S", frozenset("S")) == (SMALL,)
    assert events_of_life(releases, "bank", "bank-1", "S", frozenset("S")) == (LARGE,)


def test_what_is_released_again_with_fresh_noise_counts_again() -> None:
    releases = [release("one", "bank-1", "S"), release("one", "bank-1", "S")]
    assert len(events_of_life(releases, "row", "bank-1", "S", frozenset("S"))) == 2


def test_a_row_lay_in_one_bank_of_an_earlier_run() -> None:
    """Its tags are in two, so the costlier of both counts, once; not their sum, and not the cheaper one."""
    releases = [
        release("old", "bank-1", "A", event=SampledGaussian(2.0, 0.1, 10)),
        release("old", "bank-2", "B", event=SampledGaussian(3.0, 0.2, 8)),
    ]
    found = events_of_life(releases, "row", "bank-1", "S", frozenset("ABS"))
    assert found == (SampledGaussian(2.0, 0.2, 10),)
    assert all(epsilon(found, DELTA) >= epsilon([r.event], DELTA) for r in releases)


def test_a_run_counts_with_the_very_set_where_it_used_it() -> None:
    releases = [release("old", "bank-1", "S"), release("old", "bank-2", "T", event=LARGE)]
    assert events_of_life(releases, "row", "bank-1", "S", frozenset("ST")) == (SMALL,)


@pytest.mark.slow
def test_no_row_has_spent_more_than_what_is_said_of_its_bank() -> None:
    """Five runs that deal 12 rows to banks of their own; every row's own releases cost at most its bank's figure."""
    rng = np.random.default_rng(7)
    releases, owners = [], []
    for run in range(5):
        owner = rng.integers(0, 3, size=12)
        owners.append(owner)
        for bank in range(3):
            event = SampledGaussian(float(rng.uniform(1, 3)), float(rng.uniform(0.05, 0.5)), int(rng.integers(1, 20)))
            releases += [release(f"run {run}", f"bank-{bank}", f"{run}{bank}", f"round {n}", event) for n in (1, 2)]
    rows_of = {f"{run}{bank}": set(np.flatnonzero(owners[run] == bank)) for run in range(5) for bank in range(3)}
    for bank in range(3):
        name = f"4{bank}"
        sharing = frozenset(other for other, rows in rows_of.items() if rows & rows_of[name])
        said = epsilon(events_of_life(releases, "row", f"bank-{bank}", name, sharing), DELTA, "rdp")
        for row in rows_of[name]:
            own = [r.event for r in releases if row in rows_of[r.rows]]
            assert len(own) == 10
            assert epsilon(own, DELTA, "rdp") <= said + 1e-9


@pytest.mark.slow
def test_rows_cost_what_googles_accountant_says() -> None:
    accountant = dp_accounting.pld.PLDAccountant()
    for event in (SMALL, LARGE):
        gaussian = dp_accounting.GaussianDpEvent(event.noise_multiplier)
        accountant.compose(dp_accounting.PoissonSampledDpEvent(event.sample_rate, gaussian), event.steps)
    truth = accountant.get_epsilon(DELTA)
    assert truth <= cost("row", [SMALL, LARGE], DELTA) <= truth + 0.02
    assert cost("row", [], DELTA) == cost("bank", [], DELTA) == 0


@pytest.mark.slow
def test_a_long_life_is_bounded_by_renyi() -> None:
    """Quick to compute and a little larger: still a bound."""
    many = [SampledGaussian(2.0 + number / 100, 0.1, 10) for number in range(13)]
    assert cost("row", many[:12], DELTA) < cost("row", many[:12], DELTA) + 0.1 < cost("row", many, DELTA)
    assert cost("row", many, DELTA) == epsilon(many, DELTA, "rdp")


@pytest.mark.parametrize("rounds", [1, 7])
def test_sums_with_one_noise_cost_what_the_guarantee_says(rounds: int) -> None:
    noise = plan_with_noise("masked", 3, 10_369, 2.0, 12)[1]
    multiplier = effective_noise_multiplier(noise)
    event = SampledGaussian(multiplier, 1.0, 1)
    assert cost("bank", [event] * rounds, DELTA) == pytest.approx(epsilon_spent(noise, rounds, DELTA), rel=1e-12)


def test_sums_with_several_noises_cost_more_than_each_and_less_than_their_sum() -> None:
    weak, strong = epsilon_together([2.0], DELTA), epsilon_together([4.0], DELTA)
    both = epsilon_together([2.0, 4.0], DELTA)
    assert max(weak, strong) < both < weak + strong
    exact = dp_accounting.pld.PLDAccountant().compose(dp_accounting.GaussianDpEvent(2.0))
    truth = exact.compose(dp_accounting.GaussianDpEvent(4.0)).get_epsilon(DELTA)
    assert truth < both < 1.25 * truth, "Renyi's bound is a bound, and no wild one"
    assert epsilon_together([2.0, 0.0], DELTA) == math.inf
    assert epsilon_together([2.0] * 3, 1e-40) == math.inf, "clamping alone costs more than that delta"


@pytest.mark.parametrize("unit", ["row", "bank"])
def test_the_order_of_runs_does_not_matter(unit: Unit) -> None:
    assert cost(unit, [SMALL, LARGE], DELTA) == pytest.approx(cost(unit, [LARGE, SMALL], DELTA))


def test_events_of_one_noise_and_other_rates_are_other_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [SMALL, SampledGaussian(SMALL.noise_multiplier, 0.2, 10)]
    assert cost("row", events, DELTA) == epsilon(events, DELTA) < epsilon(events, DELTA, "rdp")
    monkeypatch.setattr(spending, "MANY_KINDS", 1)
    assert cost("row", [SMALL, SMALL], DELTA) == epsilon([SMALL, SMALL], DELTA)
    assert cost("row", events, DELTA) == epsilon(events, DELTA, "rdp")


def test_a_bank_that_is_known_by_name_spent_what_it_released_and_not_what_its_like_did() -> None:
    releases = [release("one", "bank-1", "S"), release("one", "bank-2", "S", event=LARGE)]
    assert events_of_life(releases, "row", "bank-1", "S", frozenset("S")) == (SMALL,)
    assert events_of_life(releases, "row", "bank-2", "S", frozenset("S")) == (LARGE,)
