"""Whom a rule left out in which round: the drawing and its table in the report of a run."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest

from secure_fl.federation.results import Result
from secure_fl.report import render
from secure_fl.report.figures import NARROW, WIDE
from secure_fl.report.selection import MOST_CROSSED, MOST_SHOWN, describe, draw_selection, standings, with_rows
from secure_fl.report.svg import page_style, to_svg
from tests.page_tables import Tables

MakeResult = Callable[..., Result]


def ruled(result: Result, rule: str = "multi-krum") -> Result:
    """The last bank attacks, and is left out of odd rounds; the first one, which never does, of even ones."""
    first, *_, last = sorted(result.rounds[0].upload_bytes, key=lambda name: int(name.rpartition("-")[2]))
    rounds = [
        replace(record, excluded=(last if record.round % 2 else first,), byzantine=(last,)) for record in result.rounds
    ]
    return replace(result, experiment={**result.experiment, "robust": rule}, rounds=tuple(rounds))


def drawn(result: Result, width: int = WIDE) -> ElementTree.Element:
    with page_style():
        return ElementTree.fromstring(to_svg(draw_selection(result, width), "a", "b"))


def cells(drawing: ElementTree.Element) -> dict[str, int]:
    """How many runs of cells have each colour and opacity."""
    styles = [path.get("style", "") for path in drawing.iter("path")]
    found = [re.search(r"fill: var\(--(accent|warm)\); (?:fill-)?opacity: ([\d.]+)", style) for style in styles]
    kinds = [f"{match[1]} {match[2]}" for match in found if match]
    return {kind: kinds.count(kind) for kind in kinds}


def test_each_bank_and_round_is_told(make_result: MakeResult) -> None:
    result = ruled(make_result(rounds=5, plaintext=True))
    first, middle, last = standings(result)
    assert [first.bank, middle.bank, last.bank] == ["bank-1", "bank-2", "bank-3"]
    assert first.count(attacked=False, left_out=True) == 2
    assert first.count(attacked=False, left_out=False) == 3
    assert last.count(attacked=True, left_out=True) == 3
    assert last.count(attacked=True, left_out=False) == 2
    assert middle.uneventful
    assert not first.uneventful
    assert not last.uneventful
    lines = Tables(render(result)).rows
    assert ["bank-1", "3", "2", "0", "0"] in lines
    assert ["bank-2", "5", "0", "0", "0"] in lines
    assert ["bank-3", "0", "0", "3", "2"] in lines
    assert describe(result) == (
        "Chart of who was left out in 5 rounds: bank-1 left out in 2; bank-2 left out in 0; bank-3 left out in 3, "
        "attacked in 5"
    )


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_colour_says_who_attacked_and_pale_and_crossed_who_was_left_out(make_result: MakeResult, width: int) -> None:
    drawing = drawn(ruled(make_result(rounds=5, plaintext=True)), width)
    assert cells(drawing) == {"accent 0.9": 3 + 1, "accent 0.28": 2, "warm 0.28": 3, "warm 0.9": 2}
    texts = [text.text for text in drawing.iter("text")]
    assert [name for name in texts if name and name.startswith("bank")] == ["bank-1", "bank-2", "bank-3"]
    crosses = [use for use in drawing.iter("use") if "stroke: var(--ink)" in use.get("style", "")]
    assert len(crosses) == 2 + 3


def test_a_bank_that_sent_nothing_has_no_cell(make_result: MakeResult) -> None:
    result = ruled(make_result(rounds=4, plaintext=True, drop=("bank-2",)))
    absent = standings(result)[1]
    assert absent.parts[1] is None
    assert absent.count(attacked=False, left_out=False) == 3
    assert cells(drawn(result))["accent 0.9"] == 2 + 2, "the row of bank-2 has a gap"


@pytest.mark.slow
def test_of_many_banks_those_are_drawn_to_whom_something_happened(make_result: MakeResult) -> None:
    result = ruled(make_result(banks=MOST_SHOWN + 6, rounds=4, plaintext=True))
    every = standings(result)
    assert len(every) == MOST_SHOWN + 6
    assert [standing.bank for standing in with_rows(every)] == ["bank-1", f"bank-{MOST_SHOWN + 6}"]
    assert len(with_rows(every[:MOST_SHOWN])) == MOST_SHOWN
    assert "The drawing has the first 24 banks" in render(result)


def test_crosses_are_left_out_where_cells_are_too_narrow_for_them(make_result: MakeResult) -> None:
    drawing = drawn(ruled(make_result(rounds=MOST_CROSSED + 1, plaintext=True)))
    assert not [use for use in drawing.iter("use") if "stroke: var(--ink)" in use.get("style", "")]
    assert cells(drawing)["warm 0.28"] > 20


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["none", "median"])
def test_where_no_rule_leaves_anybody_out_nothing_is_drawn(make_result: MakeResult, rule: str) -> None:
    result = make_result(rounds=2)
    result = replace(result, experiment={**result.experiment, "robust": rule})
    assert standings(result) == []
    page: Any = render(result)
    assert "Chart of who was left out" not in page
    assert "Honest, left out" not in page
