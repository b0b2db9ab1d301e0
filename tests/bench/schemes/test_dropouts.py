"""The sweep over vanished banks."""

from __future__ import annotations

import pytest

from secure_fl.bench.schemes.dropouts import sweep, sweep_cases


def test_sums_succeed_up_to_the_threshold_and_not_beyond() -> None:
    (case,) = sweep_cases(["plaintext", "masked"], [(7, 100)], 8)
    dropouts = sweep(case)
    assert [d.dropped for d in dropouts] == [0, 1, 2, 3, 4]
    assert [d.succeeded for d in dropouts] == [True, True, True, True, False]
    assert dropouts[-1].server_seconds is None
    assert "threshold" in str(dropouts[-1].note)
    assert {d.stage for d in dropouts} == {"masked_input"}


@pytest.mark.slow
def test_many_banks_are_swept_in_a_few_steps() -> None:
    (case,) = sweep_cases(["masked"], [(20, 10)], 8)
    dropped = [d.dropped for d in sweep(case)]
    assert dropped[0] == 0
    assert dropped[-2:] == [9, 10]
    assert len(dropped) <= 8


def test_what_the_planner_refuses_is_not_swept() -> None:
    assert sweep_cases(["masked"], [(2, 10)], 8) == []
