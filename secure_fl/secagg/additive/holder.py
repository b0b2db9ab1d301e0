"""A share-holder: it adds the banks' shares that it got, and gives out nothing but their sum."""

from __future__ import annotations

import hashlib

from secure_fl.errors import DropoutError, ProtocolError
from secure_fl.secagg import ring
from secure_fl.secagg.additive.wire import SEALED_SEED_BYTES, SUM_SHARES, purpose
from secure_fl.secagg.budget import AdditivePlan
from secure_fl.secagg.hazmat.agreement import PUBLIC_KEY_BYTES, AgreementKey, decrypt
from secure_fl.secagg.hazmat.prg import add_mask
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.numbering import decode_table


class ShareHolderKey:
    """A share-holder's long-lived key, and its memory of what it answered."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.key = AgreementKey()
        self.answered: dict[bytes, bytes] = {}
        """Cohort -> digest of the one request that was answered in it."""

    def __repr__(self) -> str:
        return f"ShareHolderKey({self.name!r})"


class ShareHolder:
    """One share-holder in one round. It answers one request: the difference of two sums could be one bank's share."""

    def __init__(self, cohort: Cohort[AdditivePlan], holder: ShareHolderKey) -> None:
        self._cohort, self._holder = cohort, holder

    def respond(self, request: bytes) -> bytes:
        cohort, name = self._cohort, self._holder.name
        asked = open_message(cohort, request, recipient=name, sender=AGGREGATOR, stage=SUM_SHARES)
        sealed = decode_table(asked.payload, SEALED_SEED_BYTES, len(cohort.banks))
        if len(sealed) < cohort.plan.threshold:
            raise DropoutError(
                f"{name} was asked for a sum over {len(sealed)} banks and the threshold is {cohort.plan.threshold}; "
                "wait for more banks"
            )
        digest = hashlib.sha256(asked.payload).digest()
        if self._holder.answered.setdefault(cohort.digest, digest) != digest:
            raise ProtocolError(f"{name} was asked for a second sum of one round; it gives one only")
        total = ring.zeros(cohort.plan)
        for number, row in sealed.items():
            bound_to = purpose(cohort, cohort.banks[number], name)
            key = self._holder.key.agree(row[:PUBLIC_KEY_BYTES], bound_to)
            add_mask(total, decrypt(key, row[PUBLIC_KEY_BYTES:], bound_to))
        return seal(cohort, SUM_SHARES, name, AGGREGATOR, ring.to_bytes(cohort.plan, total))
