"""The run that was asked for, in which nobody lies."""

from __future__ import annotations

from secure_fl.report.explain.scene import Request
from secure_fl.report.explain.story import Story
from secure_fl.report.explain.tellers.teller import Teller, listed


def asked_for(teller: Teller, request: Request) -> Story:
    """With whoever vanishes."""
    steps = tuple(teller.steps())
    if not request.drop:
        return Story("nobody lies", "Everybody follows the protocol, and is at most curious.", steps)
    gone = [f"{bank} from {stage} on" for bank, stage in sorted(request.drop.items())]
    if teller.recording.sum is None:
        return Story("banks vanish", f"Silent: {listed(gone)}. Too few are left for a sum.", steps)
    inside = sorted(teller.recording.sum.contributors)
    text = f"Silent: {listed(gone)}. The sum is that of {listed(inside)}, and exact."
    return Story("banks vanish" if len(gone) > 1 else "a bank vanishes", text, steps)
