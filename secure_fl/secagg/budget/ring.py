"""Plans of the schemes that sum in a ring of integers modulo a power of two, up to 2**32."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from secure_fl.errors import PlanError
from secure_fl.secagg.budget.committee import Committee
from secure_fl.secagg.budget.plans import ENVELOPE_BYTES, Plan, sum_bits
from secure_fl.secagg.graph import Rules, most_curious, most_liars, rules
from secure_fl.secagg.packing import packed_bytes

MOST_RING_BITS = 32
SHARE_HOLDERS = 2
ALL_OF_TWO = Committee(SHARE_HOLDERS, SHARE_HOLDERS)
SEED_BYTES = 32
"""Of a part's seed, and of the commitment to it."""
SIGNATURE_BYTES = 64
SEAL_BYTES = 48
"""What sealing adds: an X25519 key, and a tag."""
SHARE_ROUTE_BYTES = 120
"""Per neighbour: encrypted shares, and one opened share at the end."""


@dataclass(frozen=True, kw_only=True, repr=False)
class RingPlan(Plan):
    """A plan of a sum in a ring."""

    ring_bits: int
    """Sums are computed modulo 2**ring_bits."""

    @property
    def may_collude_curious(self) -> int | None:
        return self.most_in_a_sum

    @property
    def upload_bytes(self) -> int:
        return ENVELOPE_BYTES + packed_bytes(self.parameters, self.ring_bits)

    def derived(self) -> dict[str, Any]:
        return super().derived() | {"ring_bits": self.ring_bits}


@dataclass(frozen=True, kw_only=True, repr=False)
class AdditivePlan(RingPlan):
    """A plan with the share-holders beside the aggregator, and how many of them open a sum."""

    share_holders: int
    quorum: int

    @property
    def committee(self) -> Committee:
        return Committee(self.share_holders, self.quorum)

    @property
    def sealed_bytes(self) -> int:
        """Of what a bank seals to one share-holder: a seed for each of its parts."""
        return SEAL_BYTES + SEED_BYTES * len(self.committee.parts_of(0))

    @property
    def upload_bytes(self) -> int:
        signed = SEED_BYTES * len(self.committee.subsets) + SIGNATURE_BYTES
        return super().upload_bytes + signed + self.share_holders * self.sealed_bytes

    def derived(self) -> dict[str, Any]:
        return super().derived() | {
            "share_holders": self.share_holders,
            "quorum": self.quorum,
            "parts": len(self.committee.subsets),
            "holders_may_be_silent": self.committee.may_be_silent,
            "holders_may_collude": self.committee.may_collude,
            "holders_may_collude_lying": self.committee.may_collude_lying,
        }


@dataclass(frozen=True, kw_only=True, repr=False)
class MaskedPlan(RingPlan):
    """A plan with the graph of a masked sum."""

    degree: int
    """With how many other banks each bank exchanges masks and shares."""
    share_threshold: int
    """How many of a bank's neighbours, itself included, open one of its secrets."""
    witnesses: int
    """How many banks, the same for all, sign the list of survivors before anybody gives out shares."""
    witness_threshold: int
    """How many of them must have signed the same list."""

    @property
    def rules(self) -> Rules:
        return Rules(self.degree, self.share_threshold, self.witnesses, self.witness_threshold)

    @property
    def sparse(self) -> bool:
        """Whether a bank masks with a few others only; how many may collude then holds but for 2**-40."""
        return self.degree < self.banks - 1

    @property
    def may_collude_curious(self) -> int | None:
        if not self.sparse:
            return self.most_in_a_sum
        return min(self.most_in_a_sum, most_curious(self.banks, self.may_vanish, self.rules))

    @property
    def may_collude_lying(self) -> int | None:
        liars = most_liars(self.banks, self.rules) if self.sparse else 2 * self.threshold - self.banks - 1
        return min(self.most_in_a_sum, liars)

    @property
    def upload_bytes(self) -> int:
        return super().upload_bytes + 4 * ENVELOPE_BYTES + self.degree * SHARE_ROUTE_BYTES

    def among(self, banks: int, threshold: int) -> MaskedPlan:
        return replace(super().among(banks, threshold), **rules(banks, threshold)._asdict())

    def derived(self) -> dict[str, Any]:
        return super().derived() | {
            "degree": self.degree,
            "share_threshold": self.share_threshold,
            "witnesses": self.witnesses,
            "witness_threshold": self.witness_threshold,
        }


def plan_masked(banks: int, parameters: int, bits: int | None, threshold: int) -> MaskedPlan:
    assert bits is not None  # float32 was refused before
    return MaskedPlan(
        scheme="masked",
        banks=banks,
        parameters=parameters,
        bits=bits,
        threshold=threshold,
        ring_bits=smallest_ring(banks, bits),
        **rules(banks, threshold)._asdict(),
    )


def plan_additive(
    banks: int,
    parameters: int,
    bits: int | None,
    threshold: int,
    committee: Committee = ALL_OF_TWO,
) -> AdditivePlan:
    """The smallest ring. Raises `PlanError`."""
    assert bits is not None  # float32 was refused before
    return AdditivePlan(
        scheme="additive",
        banks=banks,
        parameters=parameters,
        bits=bits,
        threshold=threshold,
        ring_bits=smallest_ring(banks, bits),
        share_holders=committee.members,
        quorum=committee.quorum,
    )


def smallest_ring(banks: int, bits: int) -> int:
    """Bits of the smallest ring in which the sum cannot wrap around. Raises `PlanError`."""
    width = sum_bits(bits, banks)
    if width <= MOST_RING_BITS:
        return width
    raise PlanError(
        f"the sum of {banks} banks x {bits} bits needs {width} bits and the largest ring has {MOST_RING_BITS}; use at "
        f"most {bits - (width - MOST_RING_BITS)} bits or fewer banks"
    )
