"""A bank's half of an additive sum: split the vector into shares, once, when the aggregator asks."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from secure_fl.secagg import ring
from secure_fl.secagg.additive.wire import UPLOAD, commitment, parts_of, purpose, vouched
from secure_fl.secagg.budget import AdditivePlan
from secure_fl.secagg.hazmat.agreement import seal_to
from secure_fl.secagg.hazmat.prg import SEED_BYTES, subtract_mask
from secure_fl.secagg.identity import Identity
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.protocol import require_values


class AdditiveClient:
    """Shares of the share-holders are PRG(seed); the aggregator's share is what is left of the vector."""

    def __init__(
        self,
        cohort: Cohort[AdditivePlan],
        bank: str,
        values: IntVector,
        identity: Identity,
        holders: Mapping[str, bytes],
    ) -> None:
        """`holders`: the share-holders' public keys, which banks know by a way the aggregator does not control."""
        require_values(cohort.plan, values)
        self._cohort, self._bank, self._values = cohort, bank, values
        self._identity, self._holders = identity, holders

    def respond(self, request: bytes) -> bytes:
        cohort = self._cohort
        open_message(cohort, request, recipient=self._bank, sender=AGGREGATOR, stage=UPLOAD)
        share = ring.to_ring(cohort.plan, self._values)
        seeds = [secrets.token_bytes(SEED_BYTES) for _ in cohort.plan.committee.subsets]
        for seed in seeds:
            subtract_mask(share, seed)
        commitments = [commitment(cohort, self._bank, part, seed) for part, seed in enumerate(seeds)]
        sealed = [
            seal_to(
                self._holders[holder],
                b"".join(seeds[part] for part in parts_of(cohort, holder)),
                purpose(cohort, self._bank, holder),
            )
            for holder in cohort.trustees
        ]
        signature = self._identity.sign_upload(cohort, self._bank, vouched(commitments))
        packed = ring.to_bytes(cohort.plan, share)
        return seal(cohort, UPLOAD, self._bank, AGGREGATOR, [*commitments, signature, *sealed, packed])
