"""Ours beside others, from rows made by hand."""

from __future__ import annotations

from secure_fl.bench.scoring.ratios import Ratio, all_ratios
from secure_fl.bench.scoring.rows import Row


def row(design: str, layout: str, seconds: float, peer: bool = True, correct: bool = True, model: str = "m") -> Row:
    return Row(
        design=design,
        peer=peer,
        layout=layout,
        model=model,
        status="measured",
        correct=correct,
        seconds_per_row=seconds,
    )


OURS = [row("batched", "batched", 0.5, peer=False), row("single", "single", 2.0, peer=False)]


def test_a_wrong_peer_is_never_the_best_however_fast() -> None:
    peers = [row("tenseal-tensor", "batched", 0.1, correct=False), row("helayers-batched", "batched", 4.0)]
    assert all_ratios(OURS + peers) == [Ratio("m", "batched", "best peer", "helayers-batched", True, 8.0)]


def test_the_best_peer_is_the_fastest_of_the_same_layout_and_model() -> None:
    peers = [
        row("tenseal-tensor", "batched", 3.0),
        row("helayers-batched", "batched", 4.0),
        row("helayers", "single", 10.0),
        row("helayers", "single", 0.1, model="another"),
    ]
    assert all_ratios(OURS + peers) == [
        Ratio("m", "batched", "best peer", "tenseal-tensor", True, 6.0),
        Ratio("m", "single", "best peer", "helayers", True, 5.0),
    ]


def test_the_tutorial_is_set_beside_both_of_ours_also_where_it_is_wrong() -> None:
    found = all_ratios([*OURS, row("tenseal-mm-tutorial", "single", 100.0, correct=False)])
    assert found == [
        Ratio("m", "batched", "tutorial", "tenseal-mm-tutorial", False, 200.0),
        Ratio("m", "single", "tutorial", "tenseal-mm-tutorial", False, 50.0),
    ]


def test_what_was_not_measured_is_left_out() -> None:
    missing = Row(design="helayers", peer=True, layout="single", model="m", status="not installed")
    refused = Row(design="single", peer=False, layout="single", model="m", status="refused")
    assert all_ratios([*OURS, missing]) == []
    assert all_ratios([refused, row("helayers", "single", 1.0)]) == []


def test_what_hides_the_model_is_compared_with_nobody() -> None:
    peers = [row("helayers-batched", "batched", 4.0), row("tenseal-mm-tutorial", "single", 100.0)]
    assert all_ratios([row("hidden", "batched", 1.0, peer=False), *peers]) == []
