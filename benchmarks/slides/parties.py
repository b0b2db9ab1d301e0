"""Slides of what parties see: who can read what, and the distances by which Krum chooses."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from textwrap import wrap
from typing import Any

import numpy as np

from benchmarks.slides.sheet import ACCENT, GREEN, INK, MARGIN, RULE, SOFT, WARM, WIDTH, Sheet
from secure_fl.robust.distances import squared_distances
from secure_fl.robust.krum import krum_from_distances
from secure_fl.secagg.krum.deployment import CUSTODY as KRUM
from secure_fl.secagg.messages import AGGREGATOR
from secure_fl.secagg.proofs.deployment import CUSTODY as PROOFS
from secure_fl.secagg.schemes import SCHEMES, called

CUSTODIES = (*(scheme.custody for scheme in SCHEMES.values()), PROOFS, KRUM)
NAMES = {PROOFS.scheme: "additive, proofs", KRUM.scheme: "ckks, multi-krum"}
CONDITION = re.compile(r", (once|unless) .*")
EDGES = (MARGIN, 400, 970)
UPDATES = np.array([[5, 7], [8, 4], [4, 4], [9, 7], [6, 2], [-11, -7], [-8, -9]])
BYZANTINE = 2


def custody(recorded: dict[str, Any]) -> str:
    """What the aggregator and whoever helps it can read, as each scheme says of itself."""
    sheet = Sheet(
        "Who can read what of the updates",
        "What each scheme says of itself, in the code. * on a condition that it names there. "
        "Not shown: banks, which read their own update and the sum, and observers of the wire.",
    )
    for x, words in zip(EDGES, ("", AGGREGATOR, "who helps it"), strict=True):
        sheet.text(x, 160, words, size=28, color=SOFT)
    y = 174
    for can_decrypt, group in groupby(CUSTODIES, key=lambda custody: custody.can_decrypt):
        names = [NAMES.get(custody.scheme, called(custody.scheme)) for custody in group]
        columns = (wrap(", ".join(names), 20), _reads(can_decrypt[AGGREGATOR]), _helper(can_decrypt))
        sheet.line(MARGIN, y, WIDTH - MARGIN, y, color=RULE, width=2)
        for edge, lines in zip(EDGES, columns, strict=True):
            for place, words in enumerate(lines):
                alarm = edge > MARGIN and lines[0].startswith("every bank")
                sheet.text(edge, y + 36 + 31 * place, words, size=26, color=WARM if alarm else INK,
                           weight=600 if edge == MARGIN else 400)  # fmt: skip
        y += 31 * max(map(len, columns)) + 22
    return sheet.svg()


def _reads(things: Sequence[str], who: str = "") -> list[str]:
    """As lines; a condition is a star."""
    return wrap(who + "; ".join(CONDITION.sub(" *", thing) for thing in things), 37)


def _helper(can_decrypt: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Of several helpers, all read the same."""
    helpers = [party for party in can_decrypt if party not in ("banks", AGGREGATOR, "observer")]
    if not helpers:
        return ["nobody does"]
    assert len({can_decrypt[party] for party in helpers}) == 1
    return _reads(can_decrypt[helpers[0]] or ("nothing",), f"{' and '.join(helpers)}: ")


def krum(recorded: dict[str, Any]) -> str:
    """Seven updates of two numbers, two of them flipped."""
    banks = len(UPDATES)
    squared = squared_distances(UPDATES.astype(np.float64))
    choice = krum_from_distances(squared, BYZANTINE, banks - BYZANTINE)
    closest = banks - BYZANTINE - 2
    left_out = [row + 1 for row in range(banks) if row not in choice.chosen]
    sheet = Sheet(
        "Krum: who stands close to others is chosen",
        f"n = {banks}, f = {BYZANTINE}: the score is the sum of the {closest} smallest squared distances. "
        f"Left out: {' and '.join(f'bank-{bank}' for bank in left_out)}.",
    )
    sheet.box(MARGIN, 150, 760, 600)
    places = [(MARGIN + 400 + 32 * int(x), 430 - 30 * int(y)) for x, y in UPDATES]
    for other in np.argsort(squared[-1], kind="stable")[1 : closest + 1]:
        sheet.line(*places[-1], *places[other], color=WARM, dashed=True)
    for other in np.argsort(squared[0], kind="stable")[1 : closest + 1]:
        sheet.line(*places[0], *places[other], color=GREEN)
    for row, (x, y) in enumerate(places):
        sheet.dot(x, y, 22, fill=GREEN if row in choice.chosen else WARM)
        sheet.text(x, y + 10, f"{row + 1}", size=28, color="#ffffff", anchor="middle", weight=600)
    sheet.text(910, 190, "bank", size=28, color=SOFT)
    sheet.text(1200, 190, "score", size=28, color=SOFT, anchor="end")
    for row, score in enumerate(choice.scores.tolist()):
        y, chosen = 256 + 78 * row, row in choice.chosen
        sheet.text(910, y, f"bank-{row + 1}", size=36)
        sheet.text(1200, y, f"{score:,.0f}", size=36, anchor="end", mono=True, color=INK if chosen else WARM)
        sheet.text(1260, y, "chosen" if chosen else "left out", size=32, color=ACCENT if chosen else WARM)
    return sheet.svg()
