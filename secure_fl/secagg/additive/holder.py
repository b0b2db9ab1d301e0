"""A share-holder: it adds up the banks' parts that it has, and gives out nothing but their sums."""

from __future__ import annotations

from collections.abc import Mapping

from secure_fl.errors import DropoutError, MessageError, ProtocolError
from secure_fl.secagg import ring
from secure_fl.secagg.additive.wire import (
    SUM_SHARES,
    Row,
    commitment,
    pack_sums,
    parts_of,
    purpose,
    read_request,
    rows_of,
    vouched,
)
from secure_fl.secagg.budget import AdditivePlan
from secure_fl.secagg.hazmat.agreement import AgreementKey, unseal
from secure_fl.secagg.hazmat.prg import SEED_BYTES, add_mask
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.packing import packed_bytes
from secure_fl.secagg.protocol import reason
from secure_fl.secagg.signed import require_upload
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
    """One share-holder in one attempt. It adds up what banks signed, for one set of banks: the difference of two sums
    could be one bank's share. Which of the sums it sends whole can be asked again.
    """

    def __init__(self, cohort: Cohort[AdditivePlan], holder: ShareHolderKey, directory: Mapping[str, bytes]) -> None:
        """`directory`: the banks' identity keys, which it knows by a way that the aggregator does not control."""
        self._cohort, self._holder, self._directory = cohort, holder, directory
        self._parts = parts_of(cohort, holder.name)

    def respond(self, request: bytes) -> bytes:
        cohort, name = self._cohort, self._holder.name
        message = open_message(cohort, request, recipient=name, sender=AGGREGATOR, stage=SUM_SHARES)
        asked = read_request(cohort, name, message.payload)
        rows = rows_of(cohort, asked.table)
        if len(rows) < cohort.plan.threshold:
            raise DropoutError(
                f"{name} was asked for a sum over {len(rows)} banks and the threshold is {cohort.plan.threshold}; "
                "wait for more banks"
            )
        sums = self._holder.answers.answer(cohort, name, asked.table, lambda: self._sums(rows))
        width = packed_bytes(cohort.plan.parameters, cohort.plan.ring_bits)
        packed = {part: sums[place * width :][:width] for place, part in enumerate(self._parts)}
        return seal(cohort, SUM_SHARES, name, AGGREGATOR, pack_sums(packed, asked.wanted))

    def _sums(self, rows: Mapping[int, Row]) -> bytes:
        """Of each own part, in order. Raises `ProtocolError`, which names them, where banks gave no such seeds."""
        cohort, name = self._cohort, self._holder.name
        totals = [ring.zeros(cohort.plan) for _ in self._parts]
        refused: dict[str, str] = {}
        for number, row in rows.items():
            bank = cohort.banks[number]
            try:
                seeds = self._open(bank, row)
            except MessageError as error:
                refused[bank] = f"{name} cannot use its seeds: {reason(error)}"
            else:
                for total, seed in zip(totals, seeds, strict=True):
                    add_mask(total, seed)
        if refused:
            raise ProtocolError(
                f"{name} cannot use the seeds of {', '.join(refused)}; make a new attempt without", refused
            )
        return b"".join(ring.to_bytes(cohort.plan, total) for total in totals)

    def _open(self, bank: str, row: Row) -> list[bytes]:
        """A bank's seeds of all own parts, which are those that it signed. Raises `MessageError`."""
        require_upload(self._cohort, bank, self._directory, vouched(row.commitments), row.signature)
        opened = unseal(self._holder.key, row.sealed, purpose(self._cohort, bank, self._holder.name))
        seeds = [opened[start : start + SEED_BYTES] for start in range(0, len(opened), SEED_BYTES)]
        for part, seed in zip(self._parts, seeds, strict=True):
            if commitment(self._cohort, bank, part, seed) != row.commitments[part]:
                raise MessageError("a seed is not the one that it committed to; it must give all holders the same")
        return seeds
