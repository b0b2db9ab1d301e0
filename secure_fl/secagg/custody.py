"""Who can read what: the statement that every scheme makes about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Custody:
    """Who can decrypt what in a scheme, and which collusion would break it."""

    scheme: str
    summary: str
    can_decrypt: Mapping[str, tuple[str, ...]]
    """Party -> what it can read in the clear. An empty tuple: nothing."""
    broken_by: tuple[str, ...]
    """Each a collusion, or a deviation from the protocol, that exposes a single bank's update."""
    assumptions: tuple[str, ...]
    papers: tuple[str, ...]
