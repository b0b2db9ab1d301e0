"""The table of encrypted training is what was measured, and what was measured keeps its limits."""

from __future__ import annotations

from benchmarks import descent
from benchmarks.descent_page import PAGE, stored, table
from benchmarks.written_blocks import read_block
from secure_fl.bench.peers.tenseal_training import TUTORIAL, WORKING


def test_the_document_is_what_was_measured() -> None:
    assert read_block(PAGE, "training") == table(stored())


def test_weights_are_those_of_plain_descent_and_the_tutorial_takes_hundreds_of_times_as_long() -> None:
    ours, tutorial, working = stored()
    assert (ours["design"], ours["rows"], ours["epochs"]) == (descent.OURS, 4096, 3)
    assert ours["max_abs_error"] <= ours["error_bound"] <= 1e-3
    assert (tutorial["design"], working["design"]) == (TUTORIAL.name, WORKING.name)
    assert tutorial["max_abs_error"] > 1 > 1e-3 > working["max_abs_error"]
    for peer in (tutorial, working):
        assert peer["trainer_seconds"] > 300 * (ours["trainer_seconds"] + ours["owner_seconds"])
