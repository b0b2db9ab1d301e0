"""The key authority: the one party that holds the homomorphic secret key, and that must never see a single upload."""

from __future__ import annotations

from secure_fl.errors import DropoutError
from secure_fl.secagg.budget import HePlan, KeyParameters
from secure_fl.secagg.he.encoding import decode_slots
from secure_fl.secagg.he.secret_keys import SecretKey, new_secret_key
from secure_fl.secagg.he.words import COUNT_BYTES, DECRYPT, KEY_AUTHORITY, unpack_sum
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.packing import pack_bits
from secure_fl.secagg.turns import OneAnswer


class KeyAuthority:
    """Makes the key pair, gives out the public key, and opens sums of at least `threshold` banks.

    It opens one sum in an attempt, and attempts in rising order only: the difference of two sums of the same uploads
    could be one bank's update. It takes the aggregator's word for how many banks a ciphertext sums: a ciphertext does
    not show it.
    """

    def __init__(self, parameters: KeyParameters) -> None:
        self._secret = new_secret_key(parameters)
        self._answers = OneAnswer()

    def public_key(self) -> bytes:
        return self._secret.public_key()

    def decryptor(self, cohort: Cohort[HePlan]) -> HeDecryptor:
        return HeDecryptor(cohort, self._secret, self._answers)


class HeDecryptor:
    """The key authority's part in one attempt: ciphertexts of a sum in, exact integers out."""

    def __init__(self, cohort: Cohort[HePlan], secret: SecretKey, answers: OneAnswer) -> None:
        """`answers`: the authority's memory, which lasts as long as its key."""
        self._cohort, self._plan, self._secret, self._answers = cohort, cohort.plan, secret, answers

    def respond(self, request: bytes) -> bytes:
        asked = open_message(self._cohort, request, recipient=KEY_AUTHORITY, sender=AGGREGATOR, stage=DECRYPT)
        contributors, summed = self._read(asked.payload)
        if not self._plan.threshold <= contributors <= self._plan.banks:
            raise DropoutError(
                f"the key authority was asked to open a sum of {contributors} banks and opens sums of "
                f"{self._plan.threshold} to {self._plan.banks}; wait for more banks or plan again"
            )
        total = self._answers.answer(
            self._cohort, "the key authority", asked.payload, lambda: self._open(summed, contributors)
        )
        return seal(self._cohort, DECRYPT, KEY_AUTHORITY, AGGREGATOR, total)

    def _read(self, payload: memoryview) -> tuple[int, memoryview]:
        """Of how many banks a sum is said to be, and its ciphertexts."""
        return int.from_bytes(payload[:COUNT_BYTES], "little"), payload[COUNT_BYTES:]

    def _open(self, summed: memoryview, contributors: int) -> bytes:
        found = self._secret.decrypt(self._plan, unpack_sum(self._plan, summed, contributors))
        return pack_bits(decode_slots(self._plan, found, contributors), self._plan.field_bits)
