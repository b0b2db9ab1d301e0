"""How many times as long others take for a row.

Against the tutorial's way: its single rows against ours, batched and single, since a tutorial knows no batches.
Against the best peer: the fastest whose scores are right, with the same layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from secure_fl.bench.peers.scoring import SCORING_PEERS
from secure_fl.bench.scoring.ours import HIDDEN
from secure_fl.bench.scoring.rows import Row


@dataclass(frozen=True)
class Ratio:
    """One of ours beside one peer."""

    model: str
    design: str
    """Ours."""
    against: Literal["tutorial", "best peer"]
    peer: str
    peer_correct: bool
    ratio: float
    """The peer's seconds for a row over ours."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def all_ratios(rows: Sequence[Row]) -> list[Ratio]:
    """Ours, but for what hides the model, beside the tutorial and the best peer, where both were measured."""
    found = []
    for ours in rows:
        if ours.peer or not ours.measured or ours.design == HIDDEN:
            continue
        peers = [row for row in rows if row.peer and row.measured and row.model == ours.model]
        found += [_ratio(ours, "tutorial", row) for row in peers if SCORING_PEERS[row.design].tutorial]
        right = [row for row in peers if row.correct and row.layout == ours.layout]
        if right:
            found.append(_ratio(ours, "best peer", min(right, key=_seconds)))
    return found


def _ratio(ours: Row, against: Literal["tutorial", "best peer"], peer: Row) -> Ratio:
    return Ratio(ours.model, ours.design, against, peer.design, peer.correct, _seconds(peer) / _seconds(ours))


def _seconds(row: Row) -> float:
    assert row.seconds_per_row is not None
    return row.seconds_per_row
