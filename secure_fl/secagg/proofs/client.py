"""A bank's half of a sum of proven inputs: share the bits of the vector and the proofs about them, once, when asked."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import numpy as np

from secure_fl.errors import ConfigurationError
from secure_fl.secagg.additive.wire import UPLOAD, purpose
from secure_fl.secagg.budget.proofs import ProofsPlan
from secure_fl.secagg.hazmat.agreement import seal_to
from secure_fl.secagg.hazmat.prg import SEED_BYTES
from secure_fl.secagg.identity import Identity
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.proofs.fiat_shamir import joint_part, joint_randomness, joint_seed
from secure_fl.secagg.proofs.field import FieldArray, expand, to_bytes
from secure_fl.secagg.proofs.flp import prove
from secure_fl.secagg.proofs.shares import Share, expanded_inputs, expanded_proofs, left_over
from secure_fl.secagg.proofs.wire import encode_mail, encode_upload
from secure_fl.secagg.protocol import require_values


class ProvingClient:
    """Shares of the share-holders are expanded from seeds; the aggregator's share is what is left."""

    def __init__(
        self,
        cohort: Cohort[ProofsPlan],
        bank: str,
        values: IntVector,
        identity: Identity,
        holders: Mapping[str, bytes],
    ) -> None:
        """`holders`: the share-holders' public keys, which banks know by a way the aggregator does not control.

        Raises `ConfigurationError` for values that are out of range or too long: they would be refused.
        """
        circuit = cohort.plan.circuit
        require_values(cohort.plan, values)
        if circuit.squared_bound is not None and circuit.squared_norm(values) > circuit.squared_bound:
            raise ConfigurationError(
                f"the update of {bank} is longer than the norm bound of {cohort.plan.norm_bound:g} quantization steps; "
                "clip it or raise the bound"
            )
        self._cohort, self._bank, self._identity, self._holders = cohort, bank, identity, holders
        self._inputs = circuit.encode(values)

    def __repr__(self) -> str:
        return f"ProvingClient({self._bank!r})"

    def respond(self, request: bytes) -> bytes:
        cohort, plan = self._cohort, self._cohort.plan
        open_message(cohort, request, recipient=self._bank, sender=AGGREGATOR, stage=UPLOAD)
        seeds = [secrets.token_bytes(SEED_BYTES) for _ in cohort.trustees]
        blind = secrets.token_bytes(SEED_BYTES)
        inputs = left_over(self._inputs, [expanded_inputs(plan, seed) for seed in seeds])
        committed = [[blind, to_bytes(inputs)], *([seed] for seed in seeds)]
        parts = [joint_part(cohort, self._bank, party, share) for party, share in enumerate(committed)]
        joint = joint_seed(cohort, self._bank, parts)
        proofs = left_over(self._prove(joint), [expanded_proofs(plan, seed) for seed in seeds])
        signature = self._identity.sign_upload(cohort, self._bank, joint)
        mail = [
            self._seal_mail(holder, encode_mail(seed, parts[:party] + parts[party + 1 :], signature))
            for party, (holder, seed) in enumerate(zip(cohort.trustees, seeds, strict=True), start=1)
        ]
        return seal(
            cohort, UPLOAD, self._bank, AGGREGATOR, encode_upload(mail, blind, parts[1:], Share(inputs, proofs))
        )

    def _prove(self, seed: bytes) -> FieldArray:
        """Proofs under joint randomness from that seed, each with fresh wire seeds: [proofs, proof_length]."""
        plan = self._cohort.plan
        joint = joint_randomness(plan, seed)
        rows = [
            prove(plan.circuit, self._inputs, expand(secrets.token_bytes(SEED_BYTES), plan.circuit.arity), row)
            for row in joint
        ]
        return np.stack(rows)

    def _seal_mail(self, holder: str, mail: bytes) -> bytes:
        return seal_to(self._holders[holder], mail, purpose(self._cohort, self._bank, holder))
