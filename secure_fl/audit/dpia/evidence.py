"""Measures of a run, each with what shows it: a file and a field of it, or the words that nobody measured it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Status: TypeAlias = Literal["in effect", "in part", "not in this run", "not measured in this run"]
Kind: TypeAlias = Literal["principles", "design", "security"]
HEAD = ("Measure", "In this run", "What it does, and what not", "Evidence")


@dataclass(frozen=True)
class Measure:
    """One of them."""

    kind: Kind
    name: str
    status: Status
    says: str
    evidence: str
    """File and field; "none" where nothing shows it."""

    @property
    def cells(self) -> tuple[str, ...]:
        return (self.name, self.status, self.says, self.evidence)
