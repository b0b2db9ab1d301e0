"""What comes out of the doors: a mean or a total, and beside it everything that it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.secagg import Plan, Simulation
from secure_fl.secagg.custody import Custody
from secure_fl.secagg.notebooks import html_table
from secure_fl.secagg.schemes import scheme_for
from secure_fl.secagg.transcript import Deliveries


@dataclass(frozen=True, repr=False)
class Summed:
    """How a secure sum was made: who is in it, under which plan, who sent what, who can read what."""

    simulation: Simulation = field(kw_only=True)
    notes: tuple[str, ...] = field(kw_only=True, default=())
    """What one should know of this result, in sentences."""

    @property
    def contributors(self) -> frozenset[int]:
        """Row numbers of the banks in it."""
        return self.simulation.contributors

    @property
    def plan(self) -> Plan:
        """The numbers that all parties agreed on."""
        return self.simulation.plan

    @property
    def transcript(self) -> Deliveries:
        """Who sent how many bytes to whom, in order; never a payload."""
        return self.simulation.transcript

    @property
    def custody(self) -> Custody:
        """Who can decrypt what, and which collusion would break it."""
        return scheme_for(self.plan).custody

    @property
    def upload_bytes(self) -> Mapping[int, int]:
        """Bytes that each bank sent, by row number; a bank that vanished early sent few or none."""
        return self.simulation.upload_bytes

    def __repr__(self) -> str:
        figures = ", ".join(f"{name}: {text}" for name, text in self._figures().items())
        return f"{type(self).__name__}({figures})"

    def _repr_html_(self) -> str:
        """A small table for notebooks."""
        readers = {party: "; ".join(what) or "nothing" for party, what in self.custody.can_decrypt.items()}
        rows = self._figures() | {f"{party} can read": what for party, what in readers.items()}
        rows |= {f"note {number}": note for number, note in enumerate(self.notes, start=1)}
        return html_table(rows)

    def _figures(self) -> dict[str, str]:
        """What a reader wants first, in words, by name."""
        return {
            "scheme": self.plan.scheme,
            "banks": f"{len(self.contributors)} of {self.plan.banks}",
            "parameters": f"{self.plan.parameters:,} x {self.plan.bits} bits",
            "upload": f"{max(self.upload_bytes.values()):,} bytes a bank",
        }


@dataclass(frozen=True, repr=False)
class SecureMean(Summed):
    """An encrypted mean of updates."""

    value: Any
    """The mean: structure, array types, shapes and dtypes of the updates."""
    error_bounds: Any
    """The structure of `value`, with one number in place of each array: how far any of its numbers can be off."""
    error_bound: float
    """The largest of them: |value - exact mean over the contributors| is at most this for every number."""

    def _figures(self) -> dict[str, str]:
        return super()._figures() | {"error": f"at most {self.error_bound:.2g}"}


@dataclass(frozen=True, repr=False)
class SecureTotal(Summed):
    """An exact sum of integers."""

    total: NDArray[np.int64]
    """Over the contributors, shape of one bank's integers."""

    def _figures(self) -> dict[str, str]:
        return super()._figures() | {"error": "none"}
