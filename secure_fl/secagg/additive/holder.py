"""A share-holder: it adds the banks' shares that it got, and gives out nothing but their sum."""

from __future__ import annotations

from collections.abc import Mapping

from secure_fl.errors import DropoutError, MessageError, ProtocolError
from secure_fl.secagg import ring
from secure_fl.secagg.additive.wire import SEALED_SEED_BYTES, SUM_SHARES, purpose
from secure_fl.secagg.budget import AdditivePlan
from secure_fl.secagg.hazmat.agreement import AgreementKey, unseal
from secure_fl.secagg.hazmat.prg import add_mask
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.numbering import decode_table
from secure_fl.secagg.protocol import reason
from secure_fl.secagg.turns import OneAnswer


class ShareHolderKey:
    """A share-holder's long-lived key, and its memory of its answers."""

    def __init__(self, name: str, key: AgreementKey | None = None, answers: OneAnswer | None = None) -> None:
        """`key`, `answers`: of a share-holder that was there before; by default it is a new one."""
        self.name = name
        self.key = key or AgreementKey()
        self.answers = answers or OneAnswer()

    def __repr__(self) -> str:
        return f"ShareHolderKey({self.name!r})"


class ShareHolder:
    """One share-holder in one attempt. It answers one request: the difference of two sums could be one bank's share."""

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
        total = self._holder.answers.answer(cohort, name, asked.payload, lambda: self._sum(sealed))
        return seal(cohort, SUM_SHARES, name, AGGREGATOR, total)

    def _sum(self, sealed: Mapping[int, bytes]) -> bytes:
        """Raises `ProtocolError`, which names them, where banks sealed no seed that it can open."""
        cohort, total = self._cohort, ring.zeros(self._cohort.plan)
        refused: dict[str, str] = {}
        for number, row in sealed.items():
            try:
                add_mask(total, self._open(cohort.banks[number], row))
            except MessageError as error:
                refused[cohort.banks[number]] = f"{self._holder.name} cannot open its seed: {reason(error)}"
        if refused:
            raise ProtocolError(
                f"{self._holder.name} cannot open the seed of {', '.join(refused)}; make a new attempt without", refused
            )
        return ring.to_bytes(cohort.plan, total)

    def _open(self, bank: str, row: bytes) -> bytes:
        return unseal(self._holder.key, row, purpose(self._cohort, bank, self._holder.name))
