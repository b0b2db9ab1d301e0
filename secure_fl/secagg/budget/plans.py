"""The part of a plan that all schemes share, and what a sum of small integers needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from secure_fl.errors import PlanError
from secure_fl.secagg.budget.committee import Committee
from secure_fl.secagg.notebooks import html_table
from secure_fl.secagg.packing import packed_bytes

FLOAT32 = "float32"
MIN_BITS, MAX_BITS = 4, 24
ENVELOPE_BYTES = 256
"""Room for a message's header and length fields in the estimate of `upload_bytes`."""
COMMITTED_BYTES = ENVELOPE_BYTES + 32 + 32 + 64
"""What it adds that a bank commits to its upload: one more message with the commitment, a coin, and a signature."""
CHECKED_BYTES = 34 + 2 + 32 + 64 + 32
"""Of each bank beside what is shown of its upload: its place on the list, a coin, a signature, a hash."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Plan:
    """The numbers that all parties of a secure sum agree on."""

    scheme: str
    banks: int
    parameters: int
    bits: int | None
    """Bits of a quantized value; None: float32, not quantized."""
    threshold: int
    """The fewest banks whose sum may be opened: so many must stay, and all others may vanish."""

    @property
    def may_vanish(self) -> int:
        """How many banks may vanish, in any stage, before there is no sum."""
        return self.banks - self.threshold

    @property
    def may_collude_curious(self) -> int | None:
        """How many banks may pool what they see with the aggregator, if it and they follow the protocol.

        None: it needs none of them to read another bank's update. Trustees, where there are any, are not in league.
        """
        return None

    @property
    def may_collude_lying(self) -> int | None:
        """The same for an aggregator and banks that send what they like."""
        return None

    @property
    def committee(self) -> Committee | None:
        """Who holds what opens the sum, where that is shared among several."""
        return None

    @property
    def commits(self) -> bool:
        """Whether banks commit to their uploads, which others add up again."""
        return False

    @property
    def most_in_a_sum(self) -> int:
        """Whatever the scheme: with one more of the `threshold` banks in a sum, only one is not theirs."""
        return self.threshold - 2

    @property
    def field_bits(self) -> int:
        """Bits that the sum of one parameter over all banks needs."""
        if self.bits is None:
            return 32
        return sum_bits(self.bits, self.banks)

    @property
    def upload_bytes(self) -> int:
        """Estimate of what one bank sends."""
        return ENVELOPE_BYTES + packed_bytes(self.parameters, self.bits or 32)

    def derived(self) -> dict[str, Any]:
        """Every figure of the plan, for people and scripts."""
        return {
            "scheme": self.scheme,
            "banks": self.banks,
            "parameters": self.parameters,
            "bits": self.bits or FLOAT32,
            "threshold": self.threshold,
            "may_vanish": self.may_vanish,
            "may_collude_curious": self.may_collude_curious,
            "may_collude_lying": self.may_collude_lying,
            "field_bits": self.field_bits,
            "upload_bytes": self.upload_bytes,
            "bytes_per_parameter": round(self.upload_bytes / self.parameters, 3),
        }

    def __repr__(self) -> str:
        width = FLOAT32 if self.bits is None else f"{self.bits} bits"
        return (
            f"{type(self).__name__}({self.banks:,} banks, {self.parameters:,} parameters x {width}, "
            f"{self.threshold:,} for a sum, {self.upload_bytes:,} bytes up)"
        )

    def _repr_html_(self) -> str:
        """Every figure, for notebooks."""
        return html_table({name.replace("_", " "): _shown(value) for name, value in self.derived().items()})

    def resized(self, parameters: int) -> Self:
        """The same keys and layout for a vector of another length, at most as long."""
        if not 1 <= parameters <= self.parameters:
            raise PlanError(f"the plan is for {self.parameters} parameters, not {parameters}; plan again")
        return replace(self, parameters=parameters)

    def among(self, banks: int, threshold: int) -> Self:
        """The same keys and layout for a sum over some of the banks."""
        if not threshold <= banks <= self.banks:
            raise PlanError(f"the plan is for {self.banks} banks, not {banks}; plan again")
        return replace(self, banks=banks, threshold=threshold)


def _shown(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_shown, value))
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def sum_bits(bits: int, banks: int) -> int:
    """Bits of the largest possible sum of `banks` values in [0, 2**bits)."""
    return (banks * ((1 << bits) - 1)).bit_length()
