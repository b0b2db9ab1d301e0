"""Settings of synthetic fraud."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from secure_fl.settings.section import FilledIn, Repeatable


class Synthetic(Repeatable):
    """Synthetic fraud."""

    synthetic: Literal["none", "approved", "unreviewed"] = "none"
    """Patterns to train on beside the real rows: those that somebody approved, or also those that wait for a review."""
    synthetic_share: Annotated[float, Field(gt=0, le=1000)] = 0.5
    """Synthetic frauds for every real fraud of a bank's training rows."""
    synthetic_patterns: Annotated[tuple[str, ...], FilledIn()] = ()
    """Exactly these, by digest."""
