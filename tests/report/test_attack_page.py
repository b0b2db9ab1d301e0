"""The page of an attack: what it says of made-up findings."""

from __future__ import annotations

import re
from typing import Any

import pytest

from secure_fl.report.attack_page import render, verdict
from tests.report.made_up_attacks import ALL, ALMOST_NONE, ATTACKS, inversion, page_of


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (inversion(0.95, ALL), "The attack succeeds: it rebuilds up to 95 % of the victim's rows"),
        (
            inversion(1.0, (0.03, 1.0)),
            "rebuilds up to 100 % of the victim's rows, but in so few trials nothing is shown",
        ),
        (inversion(0.0, ALMOST_NONE, tell=True), "No more rows are rebuilt than by guessing, but uploads can be told"),
        (inversion(0.0, ALMOST_NONE), "finds nothing that guessing would not: it rebuilds 0 %"),
    ],
)
def test_the_verdict_says_what_the_intervals_show(row: dict[str, Any], says: str) -> None:
    assert says in verdict(page_of("inversion", row))


@pytest.mark.parametrize("name", list(ATTACKS))
def test_sections_are_numbered_without_gaps_and_listed(name: str) -> None:
    text = render(ATTACKS[name])
    listed = re.findall(r'<li><a href="#([a-z]+)">([^<]*)</a></li>', text)
    titles = re.findall(r'<h2 id="([a-z]+)-title"><span [^>]*>(\d+)</span> ([^<]*)</h2>', text)
    assert titles == [(section, str(place), title) for place, (section, title) in enumerate(listed, start=1)]
    assert ("rows" in dict(listed)) == bool(ATTACKS[name].shown)
    assert "the &lt;aggregator&gt;" in text


def test_every_way_of_lying_is_named_on_the_drawing_and_explained() -> None:
    text = render(ATTACKS["split-view"])
    for batch in ("1 row", "4 rows", "16 rows"):
        assert f"withheld-shares, {batch}</text>" in text
    assert "<strong>withheld-shares</strong>" in text
    assert "refused: a &lt;bank&gt; refuses" in text
