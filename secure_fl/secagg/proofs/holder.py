"""A share-holder of proven inputs: it verifies its shares, and gives out nothing of them but one sum.

In each attempt it answers one request to verify and, after that, one for a sum, over banks that it verified and no
fewer than the threshold. Queried at a second point, the same share would show more than that a proof holds; of two sums
the difference could be one bank's share. What it answers with is masked by what it shares with the other holders for
the very set of banks that it was asked for: if they were asked for different sets, no sum can be opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from secure_fl.errors import DropoutError, MessageError, ProtocolError
from secure_fl.secagg.additive.wire import SUM_SHARES, purpose
from secure_fl.secagg.budget.proofs import ProofsPlan
from secure_fl.secagg.hazmat.agreement import AgreementKey, unseal
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.numbering import decode_numbers
from secure_fl.secagg.proofs.fiat_shamir import joint_part, joint_seed, queries
from secure_fl.secagg.proofs.field import FieldArray, add, expand, subtract, to_bytes
from secure_fl.secagg.proofs.shares import expanded_inputs, expanded_share, verifier_share
from secure_fl.secagg.proofs.wire import (
    VERIFY,
    decode_mail,
    decode_questions,
    encode_verifiers,
    mask_purpose,
)
from secure_fl.secagg.signed import require_upload
from secure_fl.secagg.turns import OneAnswer


class ProofHolderKey:
    """A share-holder's long-lived key, and its memory of its answers."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.key = AgreementKey()
        self.verifications = OneAnswer()
        self.openings = OneAnswer()
        self.verified: Verified | None = None

    def __repr__(self) -> str:
        return f"ProofHolderKey({self.name!r})"


@dataclass(frozen=True)
class Verified:
    """What was verified in one attempt."""

    cohort: bytes
    """The cohort's digest."""
    seeds: Mapping[int, bytes] = field(repr=False)
    """Of shares, by the number of the bank."""


class ProofHolder:
    """One share-holder in one attempt."""

    def __init__(
        self,
        cohort: Cohort[ProofsPlan],
        holder: ProofHolderKey,
        peers: Mapping[str, bytes],
        directory: Mapping[str, bytes],
    ) -> None:
        """`peers`: all share-holders' public keys, `directory`: the banks' identity keys; they know both by a way that
        the aggregator does not control.
        """
        self._cohort, self._plan, self._holder = cohort, cohort.plan, holder
        self._peers, self._directory = peers, directory
        self._party = 1 + cohort.trustees.index(holder.name)

    def __repr__(self) -> str:
        return f"ProofHolder({self._holder.name!r})"

    def respond(self, request: bytes) -> bytes:
        name = self._holder.name
        asked = open_message(self._cohort, request, recipient=name, sender=AGGREGATOR)
        if asked.stage == VERIFY:
            memory, compute = self._holder.verifications, self._verify
        elif asked.stage == SUM_SHARES:
            memory, compute = self._holder.openings, self._sum
        else:
            raise ProtocolError(f"{name} has no stage {asked.stage!r}; make a new attempt")
        answer = memory.answer(self._cohort, name, asked.payload, lambda: compute(asked.payload))
        return seal(self._cohort, asked.stage, name, AGGREGATOR, answer)

    def _verify(self, payload: memoryview) -> bytes:
        """Its share of the verifier's messages of each bank whose mail it can open, and who signed what is in it."""
        key, mail = decode_questions(self._cohort, payload)
        self._require_threshold(len(mail))
        asked = queries(self._plan, key)
        seeds: dict[int, bytes] = {}
        shares: dict[int, tuple[bytes, FieldArray]] = {}
        for number, row in mail.items():
            bank = self._cohort.banks[number]
            try:
                seed, joint = self._read(bank, row)
            except MessageError:
                continue  # that it has no share is the answer about this bank
            seeds[number] = seed
            shares[number] = joint, verifier_share(self._plan, expanded_share(self._plan, seed), joint, asked)
        self._holder.verified = Verified(self._cohort.digest, seeds)
        return encode_verifiers(shares)

    def _read(self, bank: str, row: bytes) -> tuple[bytes, bytes]:
        """Its seed of a bank, and the joint seed that the bank signed. Raises `MessageError`."""
        seed, parts, signature = decode_mail(self._plan, self._open(bank, row))
        parts.insert(self._party, joint_part(self._cohort, bank, self._party, [seed]))
        joint = joint_seed(self._cohort, bank, parts)
        require_upload(self._cohort, bank, self._directory, joint, signature)
        return seed, joint

    def _open(self, bank: str, row: bytes) -> bytes:
        return unseal(self._holder.key, row, purpose(self._cohort, bank, self._holder.name))

    def _sum(self, payload: memoryview) -> bytes:
        verified, accepted = self._holder.verified, decode_numbers(payload, len(self._cohort.banks))
        if verified is None or verified.cohort != self._cohort.digest or not set(accepted) <= verified.seeds.keys():
            raise ProtocolError(
                f"{self._holder.name} was asked for a sum over banks that it did not verify; make a new attempt"
            )
        self._require_threshold(len(accepted))
        total = np.zeros(self._plan.parameters, dtype=np.uint64)
        for number in accepted:
            inputs = expanded_inputs(self._plan, verified.seeds[number])
            total = add(total, self._plan.circuit.truncate(inputs))
        return to_bytes(self._masked(total, mask_purpose(self._cohort, accepted)))

    def _masked(self, total: FieldArray, bound_to: bytes) -> FieldArray:
        """With each other holder's mask, which one of the two adds and the other subtracts."""
        for name, public in self._peers.items():
            if name != self._holder.name:
                mask = expand(self._holder.key.agree(public, bound_to), self._plan.parameters)
                total = add(total, mask) if self._holder.name < name else subtract(total, mask)
        return total

    def _require_threshold(self, banks: int) -> None:
        if banks < self._plan.threshold:
            raise DropoutError(
                f"{self._holder.name} was asked about {banks} banks and the threshold is {self._plan.threshold}; "
                "wait for more banks"
            )
