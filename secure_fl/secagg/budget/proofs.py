"""The plan of an additive sum of proven inputs: the circuit, how many proofs it takes, and what a forger's chances are.

*One proof* of an invalid input passes with a chance of at most `Circuit.soundness_error`, about 2**-54. Several proofs,
each with randomness of its own, multiply that.

*A life.* A bank derives the joint randomness itself, by hashing (Fiat and Shamir), so it may try shares at home until
their randomness suits it. Query randomness comes after the upload and cannot be tried. Davis, Patton, Rosulek,
Schoppmann ("Verifiable Distributed Aggregation Functions", PoPETs 2023, theorem 1) bound what HASHES tries and UPLOADS
uploads give by (HASHES + UPLOADS) times the error of one upload; for several proofs as in the draft's own figures. The
planner takes the fewest proofs that leave less than 2**-LIFE_BITS of it.

*No wrapping around.* Norm and slack stay below p (`Circuit.exact`), and so do sums, so what is proved and what is
summed are integers, not residues.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from secure_fl.errors import PlanError
from secure_fl.secagg.budget.plans import ENVELOPE_BYTES, MIN_BITS, Plan
from secure_fl.secagg.budget.ring import SHARE_HOLDERS, SIGNATURE_BYTES
from secure_fl.secagg.proofs.circuit import Circuit
from secure_fl.secagg.proofs.field import ELEMENT_BYTES

SCHEME_NAME = "additive-proofs"
HASHES = 2**80
"""What a forger may hash in a life of the federation."""
UPLOADS = 2**40
"""What all banks may upload in it."""
LIFE_BITS = 64
MOST_INPUTS = 1 << 24
"""Bits of all values: one share of so many takes 128 MiB, and a bank that proves them 2 GB of memory."""
HASH_BYTES = 32
SEALED_MAIL_BYTES = 32 + HASH_BYTES * (1 + SHARE_HOLDERS) + SIGNATURE_BYTES + 16
"""A public key, a seed with the other parties' parts of the joint randomness, the bank's signature, and a tag."""


@dataclass(frozen=True, kw_only=True, repr=False)
class ProofsPlan(Plan):
    """A plan with the circuit that is proved of each bank's values."""

    bits: int
    share_holders: int
    norm_bound: float | None = None
    """Banks whose update is longer than this, in quantization steps (L2) from the middle of the range, are left out;
    None: no bound. The same for sums of other lengths."""

    @cached_property
    def circuit(self) -> Circuit:
        """Without a norm check where every vector in range is under the bound."""
        anything = Circuit.smallest(self.parameters, self.bits, None)
        if self.norm_bound is None or anything.largest_squared_norm <= Fraction(self.norm_bound) ** 2:
            return anything
        return Circuit.smallest(self.parameters, self.bits, math.floor(Fraction(self.norm_bound) ** 2))

    @property
    def parties(self) -> int:
        """Who holds a share: the aggregator and the share-holders."""
        return 1 + self.share_holders

    @cached_property
    def proofs(self) -> int:
        """The fewest that are enough for a life."""
        return math.ceil((LIFE_BITS + math.log2(HASHES + UPLOADS)) / -math.log2(self.circuit.soundness_error))

    @property
    def forgery_bits(self) -> float:
        """-log2 of the chance that one invalid upload passes, whose maker tried nothing before."""
        return -self.proofs * math.log2(self.circuit.soundness_error)

    @property
    def forgery_bits_of_a_life(self) -> float:
        """-log2 of the chance that any passes, of UPLOADS uploads after HASHES tries."""
        return self.forgery_bits - math.log2(HASHES + UPLOADS)

    @property
    def proof_elements(self) -> int:
        """Of all proofs of one upload."""
        return self.proofs * self.circuit.proof_length

    @property
    def verifier_elements(self) -> int:
        """Of one bank's verifier's messages, of all proofs."""
        return self.proofs * self.circuit.verifier_length

    @property
    def may_collude_curious(self) -> int | None:
        return self.most_in_a_sum

    @property
    def upload_bytes(self) -> int:
        mail = self.share_holders * (SEALED_MAIL_BYTES + HASH_BYTES) + HASH_BYTES
        return ENVELOPE_BYTES + mail + ELEMENT_BYTES * (self.circuit.inputs + self.proof_elements)

    def derived(self) -> dict[str, Any]:
        return super().derived() | {
            "share_holders": self.share_holders,
            "norm_bound": self.norm_bound,
            "squared_bound": self.circuit.squared_bound,
            "inputs": self.circuit.inputs,
            "proofs": self.proofs,
            "proof_elements": self.proof_elements,
            "verifier_elements": self.verifier_elements,
            "forgery_bits": round(self.forgery_bits, 1),
            "forgery_bits_of_a_life": round(self.forgery_bits_of_a_life, 1),
        }


def plan_proofs(
    banks: int, parameters: int, bits: int | None, threshold: int, norm_bound: float | None = None
) -> ProofsPlan:
    """The shortest proofs that are sound and exact. Raises `PlanError`."""
    assert bits is not None  # float32 was refused before
    if norm_bound is not None and not 1 <= norm_bound < math.inf:
        raise PlanError(f"a norm bound of {norm_bound} is refused; use a finite number of at least 1, or none")
    if parameters * bits > MOST_INPUTS:
        raise PlanError(
            f"{parameters} parameters x {bits} bits are {parameters * bits} bits to prove, and at most {MOST_INPUTS} "
            f"are; {_fewer_bits(parameters)}"
        )
    planned = ProofsPlan(
        scheme=SCHEME_NAME,
        banks=banks,
        parameters=parameters,
        bits=bits,
        threshold=threshold,
        share_holders=SHARE_HOLDERS,
        norm_bound=norm_bound,
    )
    circuit = planned.circuit
    if not circuit.exact:
        raise PlanError(
            f"squared norms of {parameters} parameters x {bits} bits reach the modulus of the field, where they wrap "
            f"around; use at most {circuit.most_parameters} parameters or fewer bits"
        )
    return planned


def _fewer_bits(parameters: int) -> str:
    most = MOST_INPUTS // parameters
    return f"use at most {most} bits" if most >= MIN_BITS else f"use at most {MOST_INPUTS // MIN_BITS} parameters"
