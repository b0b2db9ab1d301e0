"""Whom a robust rule left out in which round, and whether rightly: banks from top to bottom, rounds from left to right.

Colour says who attacked, which only the sandbox knows; pale and crossed says who was left out. So what went wrong is
a full cell of an attacker, or a pale one of an honest bank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from secure_fl.federation.results import Result
from secure_fl.report.figures import WIDE, bank_names, round_axis, short_name
from secure_fl.report.svg import ACCENT, INK, PAPER, WARM, blank
from secure_fl.report.wording import plural
from secure_fl.robust import RULES

MOST_SHOWN, MOST_CROSSED = 24, 60
"""So many banks have a row of their own; with more rounds, cells are too narrow for crosses and lines."""
PALE, FULL = 0.28, 0.9
_ROW, _AROUND = 22, 56


@dataclass(frozen=True)
class Part:
    """What came of a bank's upload."""

    attacked: bool
    left_out: bool


@dataclass(frozen=True)
class Standing:
    """A bank, round by round; None: it sent nothing that could be used."""

    bank: str
    parts: tuple[Part | None, ...]

    def count(self, *, attacked: bool, left_out: bool) -> int:
        """Rounds of this kind."""
        return self.parts.count(Part(attacked, left_out))

    @property
    def uneventful(self) -> bool:
        """Whether the bank was honest and in, or absent, all the time."""
        return not any(part and (part.attacked or part.left_out) for part in self.parts)


def standings(result: Result) -> list[Standing]:
    """All banks of a run whose rule leaves whole updates out; none of any other run."""
    rule = result.experiment.get("robust", "none")
    if rule == "none" or not RULES[rule].chooses:
        return []
    return [
        Standing(
            bank,
            tuple(
                Part(bank in record.byzantine, bank in record.excluded) if bank in record.contributors else None
                for record in result.rounds
            ),
        )
        for bank in bank_names(result)
    ]


def with_rows(every: Sequence[Standing]) -> list[Standing]:
    """Those that are drawn: all of a few banks; of many, the first of those to whom something happened."""
    if len(every) <= MOST_SHOWN:
        return list(every)
    return [standing for standing in every if not standing.uneventful][:MOST_SHOWN]


def describe(result: Result) -> str:
    """The drawing in words."""
    rounds = plural(len(result.rounds), "round")
    lines = [
        f"{s.bank} left out in {sum(bool(part and part.left_out) for part in s.parts)}"
        f"{', attacked in ' + str(sum(bool(part and part.attacked) for part in s.parts)) if _attacks(s) else ''}"
        for s in with_rows(standings(result))
    ]
    return f"Chart of who was left out in {rounds}: {'; '.join(lines) or 'nobody'}"


def draw_selection(result: Result, width: int) -> Figure:
    """The drawing at one width, in pixels."""
    rows = with_rows(standings(result))
    figure = blank(width, _AROUND + _ROW * max(1, len(rows)))
    axes = figure.add_subplot()
    crossed = len(result.rounds) <= MOST_CROSSED
    for y, standing in enumerate(rows):
        _draw_row(axes, y, standing, result.rounds[0].round, crossed)
    round_axis(axes, result.rounds)
    first, last = result.rounds[0].round, result.rounds[-1].round
    axes.set_xlim(first - 0.5, max(last, first + 7) + 0.5)  # few cells stay slim
    if crossed:
        axes.vlines([number + 0.5 for number in range(first, last)], -0.5, len(rows) - 0.5, color=PAPER, linewidth=2)
    limit = 16 if width >= WIDE else 11
    axes.set_yticks(range(len(rows)), [short_name(standing.bank, limit) for standing in rows], color=INK)
    axes.set_ylim(max(1, len(rows)) - 0.5, -0.5)
    return figure


def _draw_row(axes: Axes, y: int, standing: Standing, first: int, crossed: bool) -> None:
    place = first
    for part, same in groupby(standing.parts):
        length = len(list(same))
        if part is not None:
            axes.broken_barh(
                [(place - 0.5, length)],
                (y - 0.42, 0.84),
                facecolor=WARM if part.attacked else ACCENT,
                alpha=PALE if part.left_out else FULL,
                linewidth=0,
            )
            if part.left_out and crossed:
                axes.plot(range(place, place + length), [y] * length, "x", color=INK, markersize=5, linestyle="none")
        place += length


def _attacks(standing: Standing) -> bool:
    return any(part and part.attacked for part in standing.parts)
