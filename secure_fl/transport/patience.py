"""How long a gateway waits for whom."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """How long the gateway waits, in seconds."""

    stage: float = 60.0
    """For answers to one stage of a sum."""
    train: float = 600.0
    """For banks to train."""
    absent: float = 45.0
    """Since the last sign of a party, until it is not waited for."""
    linger: float = 600.0
    """After the last round, for parties that have not heard of it."""
    again: float = 2.0
    """Before a round that failed is begun anew."""
    tries: int = 100
    """Of one round, before the federation gives up."""
