"""A witness: it adds up signed uploads and vouches for their sum. It holds no key that opens any."""

from __future__ import annotations

from collections.abc import Mapping

from secure_fl.secagg.budget import HePlan
from secure_fl.secagg.committed.checking import checked
from secure_fl.secagg.hazmat.agreement import SigningKey
from secure_fl.secagg.he.words import COUNT_BYTES, Adder, pack_sum
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.turns import OneAnswer
from secure_fl.secagg.witnessed.wire import VOUCH, cut_of, statement


class WitnessKey:
    """A witness's long-lived signing key, and its memory of its answers."""

    def __init__(self, name: str, key: SigningKey | None = None, answers: OneAnswer | None = None) -> None:
        """`key`, `answers`: of a witness that was there before; by default it is a new one."""
        self.name = name
        self.key = key or SigningKey()
        self.answers = answers or OneAnswer()

    def __repr__(self) -> str:
        return f"WitnessKey({self.name!r})"


class Witness:
    """One witness in one attempt. It vouches for one sum: the difference of two could be one bank's update."""

    def __init__(self, cohort: Cohort[HePlan], witness: WitnessKey, directory: Mapping[str, bytes]) -> None:
        """`directory`: the banks' identity keys, which it knows by a way that the aggregator does not control."""
        self._cohort, self._witness, self._directory = cohort, witness, directory

    def respond(self, request: bytes) -> bytes:
        cohort, name = self._cohort, self._witness.name
        message = open_message(cohort, request, recipient=name, sender=AGGREGATOR, stage=VOUCH)
        found = checked(cohort, cut_of(cohort.plan), self._directory, message.payload, name)
        signature = self._witness.answers.answer(cohort, name, found.digest, lambda: self._vouch(found.shown))
        return seal(cohort, VOUCH, name, AGGREGATOR, signature)

    def _vouch(self, uploads: tuple[bytes | memoryview, ...]) -> bytes:
        adder = Adder(self._cohort.plan)
        for upload in uploads:
            adder.add(memoryview(upload))
        counted = len(uploads).to_bytes(COUNT_BYTES, "little")
        return self._witness.key.sign(statement(self._cohort, counted, pack_sum(self._cohort.plan, adder.total())))
