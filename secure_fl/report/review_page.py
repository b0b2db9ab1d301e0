"""The patterns that wait for review as one self-contained HTML page, with pictures and rows drawn from them.

The page loads nothing and has no script. What a language model wrote is escaped wherever it stands. Rows are drawn for
the customers and terminals of the table that is given: on pages that leave the bank, give a simulated one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import NDArray

from secure_fl.chain.signing import fingerprint
from secure_fl.data.synthetic.describing import COLUMNS, Illustration, duration, illustrate, parameters
from secure_fl.data.synthetic.fidelity import Fidelity
from secure_fl.data.synthetic.store import Holdings, Kept
from secure_fl.data.transactions import Transactions
from secure_fl.errors import ConfigurationError
from secure_fl.report import frame, wording
from secure_fl.report.figures import NARROW, WIDE
from secure_fl.report.pictures import Picture
from secure_fl.report.svg import ACCENT, GREEN, SKY, SOFT, blank, page_style, to_svg

_BINS = 24


@dataclass(frozen=True, repr=False, eq=False)
class Card:
    """One pattern on the page."""

    kept: Kept
    parameters: dict[str, str]
    drawn: Illustration | None
    """None if the pattern finds no room in the table."""
    picture: Picture | None
    fault: str
    approvals: str
    """By whom, if the reader trusts none of them."""


def render_review(holdings: Holdings, host: Transactions, fidelity: Fidelity | None = None, source: str = "") -> str:
    """The page of all patterns that wait for a decision, of those that validation rejected, and of the log, as text.

    host: the table that rows are drawn for; source: what that table is, for the reader. The same store gives the same
    text. Needs matplotlib, which takes a second to import.
    """
    waiting = holdings.waiting()
    values = {
        "cards": _cards(waiting, holdings, host),
        "rejected": holdings.in_state("rejected by validation"),
        "approved": len(holdings.in_state("approved")),
        "sources": sorted({kept.label for kept in waiting}),
        "columns": COLUMNS,
        "fidelity": fidelity,
        "effect": None if fidelity is None else effect(fidelity),
        "hurts": fidelity is not None and fidelity.gain < -wording.CLOSE,
        "head": holdings.head,
        "lines": [(entry, holdings.signer_of(entry)) for entry in holdings.entries],
        "reviewers": [(name, fingerprint(key)) for name, key in holdings.trusted.keys.items()],
        "source": source,
    }
    contents = {
        **({} if fidelity is None else {"fidelity": "How like real fraud"}),
        **{f"pattern-{place}": kept.proposal.pattern.name for place, kept in enumerate(waiting, start=1)},
        **({"rejected": "Rejected by validation"} if values["rejected"] else {}),
        **({"log": "Who decided what"} if values["lines"] else {}),
    }
    return frame.fill("review.html.j2", contents, values)


def effect(fidelity: Fidelity) -> str:
    """What training on these rows as well does to a detector of real fraud, as a clause."""
    change = f"AUPRC {wording.score_text(fidelity.both_on_real.auprc)} with them, "
    change += f"{wording.score_text(fidelity.real_on_real.auprc)} without"
    if abs(fidelity.gain) <= wording.CLOSE:
        return f"they change little for real fraud ({change})"
    return f"they {'hurt' if fidelity.gain < 0 else 'help'} on real fraud ({change})"


def _cards(waiting: Sequence[Kept], holdings: Holdings, host: Transactions) -> list[Card]:
    cards = []
    with page_style():
        for place, kept in enumerate(waiting):
            drawn, picture, fault = None, None, ""
            try:
                drawn = illustrate(kept.proposal.pattern, host)
                picture = _picture(drawn, f"pattern-{place + 1}")
            except ConfigurationError as error:
                fault = str(error)
            approvals = "; ".join(map(holdings.signer_of, kept.approvals))
            cards.append(Card(kept, parameters(kept.proposal.pattern), drawn, picture, fault, approvals))
    return cards


def _picture(drawn: Illustration, name: str) -> Picture:
    label = (
        f"Histograms of {drawn.amount.size} drawn rows: median amount {np.median(drawn.amount):.2f}, "
        f"median hour {np.median(drawn.hour):.0f}"
    )
    wide, narrow = (to_svg(_figure(drawn, width), f"{name}-{width}", label) for width in (WIDE, NARROW))
    return Picture(wide, narrow)


def _figure(drawn: Illustration, width: int) -> Figure:
    """Amounts, hours of the day, and gaps where there are any: side by side, or below each other on a phone."""
    panels = 3 if drawn.gap.size else 2
    wide = width >= WIDE
    figure = blank(width, 180 if wide else 170 * panels)
    axes = figure.subplots(1, panels) if wide else figure.subplots(panels, 1)
    _panel(axes[0], drawn.amount, _edges(drawn.amount), ACCENT, "Amount")
    _panel(axes[1], drawn.hour, np.arange(25.0), SKY, "Hour of the day")
    axes[1].set_xticks([0, 6, 12, 18, 24])
    if panels == 3:
        low, high = float(drawn.gap.min()), float(drawn.gap.max())
        _panel(
            axes[2], drawn.gap, np.geomspace(low, max(high, 1.01 * low), _BINS + 1), GREEN, "Gap to the next payment"
        )
        axes[2].set_xscale("log")
        ends = [low, high] if high > 1.5 * low else [low]
        axes[2].set_xticks(ends, [duration(end) for end in ends])
        for text, side in zip(axes[2].get_xticklabels(), ("left", "right"), strict=False):
            text.set_horizontalalignment(side)
        axes[2].xaxis.set_minor_locator(NullLocator())
    return figure


def _panel(axes: Axes, values: NDArray[np.float64], edges: NDArray[np.float64], color: str, title: str) -> None:
    axes.stairs(np.histogram(values, bins=edges)[0], edges, fill=True, color=color)
    axes.margins(x=0)
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.yaxis.grid(True)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_title(title, loc="left", fontsize=11.5, color=SOFT)


def _edges(amounts: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = float(amounts.min()), float(amounts.max())
    return np.linspace(low, high if high > low else low + 1.0, _BINS + 1)
