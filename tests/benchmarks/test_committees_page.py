"""The page of committees is what was measured and planned, and what was measured keeps its limits."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import pytest

from benchmarks.committee_picture import WIDTH, Line, draw
from benchmarks.committee_trust import NOBODY, Trust, breaks_alone, trust_in, trust_in_openfhe
from benchmarks.committees import PAGE, PICTURE, WAYS, Cost, blocks, costs, lines, peers, picture, stored
from benchmarks.written_blocks import read_blocks
from secure_fl.secagg.custody import REPEATED
from secure_fl.secagg.schemes import SCHEMES, scheme_of

SVG = "{http://www.w3.org/2000/svg}"
REGULAR, BOLD = 0.54, 0.62
"""Width of a letter over the size, in DejaVu Sans, which is wider than what most readers have."""


def test_the_page_is_what_was_measured_and_planned() -> None:
    assert read_blocks(PAGE) == blocks(stored())
    assert PICTURE.read_text(encoding="utf-8") == picture(stored())


def test_a_million_parameters_cost_what_the_design_promised() -> None:
    rows = {(row.scheme, row.holders): row for row in stored() if (row.banks, row.parameters) == (10, 1_000_000)}
    shares, key = rows["additive", 3], rows["bfv", 3]
    assert (shares.quorum, key.quorum) == (2, 2)
    assert shares.upload_bytes <= 2.05e6
    assert shares.client <= 15
    assert key.upload_bytes <= 5.3e6
    assert key.client <= 200
    assert key.holder <= 150
    assert key.opening <= 200


def test_the_picture_has_each_way_once_and_openfhe_with_the_noise_that_it_is_safe_with() -> None:
    ours = [
        Cost(scheme, n, of.get("quorum", n), 10, 1_000_000, 1, 1, 1, 1, 1, 1, of.get("witnesses", 0))
        for scheme, of in WAYS
        for n in [of.get("holders", len(SCHEMES[scheme].trustees))]
    ]
    peer = [
        Cost(scheme, 3, 3, 10, 1_000_000, 1, 1, 1, 1, 5_000_000, 1, note="its parameters")
        for scheme in ("OpenFHE", "OpenFHE, default noise")
    ]
    small = Cost("masked", 0, 0, 3, 10_369, 1, 1, 1, 1, 1, 1)
    drawn = lines([*ours, *peer, small])
    assert [line.name for line in drawn] == [*(row.name for row in ours), "OpenFHE, 3 of 3"]
    assert [line.ours for line in drawn] == [True] * len(ours) + [False]
    assert (drawn[-1].bytes_each, drawn[-1].trust) == (5.0, trust_in_openfhe(3))
    assert peers([*ours, *peer]).count("its parameters") == 2
    assert peers(ours) == "OpenFHE was not measured in this run."


def test_who_has_no_holders_has_no_figures_of_them() -> None:
    table = costs([Cost("masked", 0, 0, 3, 10_369, 1.0, 2.0, 0.0, 4.0, 20_738, 0)])
    assert "| masked | 1.0 | 2.00 | 2.0 | – | – | 4.0 |" in table


@pytest.mark.parametrize(
    ("scheme", "holders", "quorum", "trust"),
    [
        ("masked", 0, 0, Trust("4", "5", "2", of_holders=False)),
        ("additive", 2, 2, Trust("0", "2", "2")),
        ("additive", 3, 2, Trust("1", "2", "1")),
        ("additive", 5, 3, Trust("2", "3", "1")),
        ("bfv", 1, 1, Trust("0", "1", NOBODY)),
        ("bfv", 3, 2, Trust("1", "2", "1")),
        ("bfv", 5, 3, Trust("2", "3", "1")),
    ],
)
def test_whom_one_must_trust(scheme: str, holders: int, quorum: int, trust: Trust) -> None:
    """Of 10 banks. What breaks a scheme comes from its custody statement: look at both where one of them changes."""
    assert trust_in(scheme, holders, quorum, banks=10) == trust


def test_only_ways_that_take_nobody_else_count_as_alone() -> None:
    statement = SCHEMES["masked"].custody
    assert REPEATED in statement.broken_by
    assert not breaks_alone(statement)
    assert breaks_alone(SCHEMES["bfv"].custody)
    assert not breaks_alone(scheme_of("bfv", witnesses=1).custody)
    assert trust_in("bfv", 1, 1, banks=10, witnesses=1) == Trust("0", "1", "1")


def test_nothing_in_the_picture_leaves_it_or_touches_its_neighbour() -> None:
    slow = Line("bfv, a key authority", 4_321.0, 97.3, Trust("10", "10", NOBODY, of_holders=False))
    root = ElementTree.fromstring(draw([slow, slow], "Cost & trust"))
    assert root.findtext(f"{SVG}title") == "Cost & trust"
    by_line: dict[str, list[tuple[float, float]]] = {}
    for text in root.iter(f"{SVG}text"):
        size = 13 if text.get("class") == "small" else 14
        width = len(text.text or "") * size * (BOLD if text.get("class") in ("name", "alarm") else REGULAR)
        left = float(text.get("x", "")) - {"start": 0, "middle": width / 2, "end": width}[text.get("text-anchor", "")]
        assert left >= 0
        assert left + width <= WIDTH
        by_line.setdefault(text.get("y", ""), []).append((left, left + width))
    for places in by_line.values():
        ordered = sorted(places)
        assert all(end <= start for (_, end), (start, _) in pairwise(ordered))
    dots = [float(dot.get("cx", "")) for dot in root.iter(f"{SVG}circle")]
    assert len(dots) == 4
    assert max(dots) < WIDTH / 2
