"""Shares of a bank's inputs and proofs, and what a verifier computes from its own.

All parties' shares add up to the inputs and the proofs. Share-holders' are expanded from a seed; the aggregator's is
what is left (draft-irtf-cfrg-vdaf, section 7.2: leader and helpers).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from secure_fl.secagg.budget.proofs import ProofsPlan
from secure_fl.secagg.proofs.fiat_shamir import derive, joint_randomness
from secure_fl.secagg.proofs.field import FieldArray, expand, subtract
from secure_fl.secagg.proofs.flp import Query, query


@dataclass(frozen=True)
class Share:
    """One party's share of one bank's upload."""

    inputs: FieldArray = field(repr=False)
    """[inputs of the circuit]."""
    proofs: FieldArray = field(repr=False)
    """[proofs, proof_length]."""


def expanded_inputs(plan: ProofsPlan, seed: bytes) -> FieldArray:
    """A share-holder's share of the inputs."""
    return expand(derive(seed, b"inputs"), plan.circuit.inputs)


def expanded_proofs(plan: ProofsPlan, seed: bytes) -> FieldArray:
    """Its share of the proofs."""
    elements = expand(derive(seed, b"proofs"), plan.proof_elements)
    return elements.reshape(plan.proofs, plan.circuit.proof_length)


def expanded_share(plan: ProofsPlan, seed: bytes) -> Share:
    return Share(expanded_inputs(plan, seed), expanded_proofs(plan, seed))


def left_over(whole: FieldArray, shares: Sequence[FieldArray]) -> FieldArray:
    """The aggregator's share, where the others have theirs."""
    for share in shares:
        whole = subtract(whole, share)
    return whole


def verifier_share(plan: ProofsPlan, share: Share, joint_seed: bytes, queries: Sequence[Query]) -> FieldArray:
    """Its share of the verifier's messages of all proofs: [proofs, verifier_length]."""
    joint = joint_randomness(plan, joint_seed)
    rows = [
        query(asked, share.inputs, share.proofs[number], joint[number], plan.parties)
        for number, asked in enumerate(queries)
    ]
    return np.stack(rows)
