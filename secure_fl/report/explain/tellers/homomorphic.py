"""A homomorphic sum, step by step: numbers packed into slots, encrypted, added unread, and opened as a sum."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from secure_fl.report.explain.pools import Updates, listen
from secure_fl.report.explain.recording import Recording, Sent
from secure_fl.report.explain.story import Field, Line, Message, Step, Work, shown
from secure_fl.report.explain.tellers.teller import Teller, Told, envelope, sum_line
from secure_fl.secagg.hazmat.he_coefficients import coefficients
from secure_fl.secagg.hazmat.he_public import fingerprint
from secure_fl.secagg.hazmat.he_secret import SecretContext
from secure_fl.secagg.he.encoding import DECRYPT, KEY_AUTHORITY, UPLOAD, decode_slots, encode_slots, split_ciphertexts
from secure_fl.secagg.messages import AGGREGATOR
from secure_fl.secagg.packing import IntVector, unpack_bits

SHOWN_COEFFICIENTS = 3
MOST_DECIMALS = 12


class HomomorphicTeller(Teller):
    """Knows the key authority's key."""

    def __init__(self, recording: Recording, updates: Updates, secret: SecretContext) -> None:
        super().__init__(recording)
        self.updates, self.secret = updates, secret

    def before(self) -> Iterator[Step]:
        first, *passed_on = self.recording.before
        text = (
            "It draws a key pair and gives out the public half. With it one can encrypt and add, and nothing can be "
            "decrypted."
        )
        yield Step("The key authority makes keys", text, first.stage, (self.message(first),))
        text = (
            "Banks know the fingerprint of the key by another way. An aggregator that swapped the key for its own "
            "could read every update."
        )
        yield Step("The aggregator passes the public key on", text, first.stage, tuple(map(self.message, passed_on)))

    def message(self, sent: Sent) -> Message:
        if sent in self.recording.before:
            key = bytes(self.recording.payload(sent))
            field = Field("public key", key, f"fingerprint {fingerprint(key).hex()[:16]} …, which each bank compares")
            return Message(sent.sender, sent.recipient, len(sent.data), (envelope(self.recording, sent), field))
        return super().message(sent)

    def ask(self, stage: str, recipients: tuple[str, ...]) -> Told:
        if stage == UPLOAD:
            return Told("The aggregator asks for updates", "Nothing is in these messages but the envelope.")
        text = (
            "It has added the ciphertexts, coefficient by coefficient modulo q, and cannot read what came of it. It "
            "says of how many banks the sum is, and is believed."
        )
        return Told("The aggregator sends the sum to the key authority", text, (self._adding(),))

    def answer(self, stage: str, sender: str) -> Told:
        if stage == UPLOAD:
            text = (
                f"{self._packing_text()} Then they are encrypted, under the public key and with fresh noise: the same "
                "numbers never give the same ciphertext twice."
            )
            return Told(f"{sender} encrypts its numbers", text, (self.encrypting(sender),))
        return Told("The key authority opens the sum", self._opening_text(), (self._opening(),))

    def _packing_text(self) -> str:
        fields = self.cohort.plan.fields_per_slot
        if fields == 1:
            return "Its numbers go into slots, one each."
        return f"Its numbers are packed, {fields} to a slot, with room in each field for the sum of all banks."

    def _opening_text(self) -> str:
        if self.cohort.plan.scheme == "bfv":
            return "BFV decrypts to the exact integers, as long as the noise stays below its limit: the plan says so."
        return (
            "CKKS decrypts to nearly the right numbers, and what they are off by depends on the key. It rounds to the "
            "exact integers before anything leaves it; releasing the decimals could give the key away."
        )

    def fields(self, sent: Sent) -> Iterator[Field]:
        payload = self.recording.payload(sent)
        if sent.stage == UPLOAD and sent.sender != AGGREGATOR:
            yield from self.upload_fields(sent.sender, payload)
        elif sent.stage == DECRYPT and sent.sender == AGGREGATOR:
            yield Field("banks in the sum", bytes(payload[:4]), str(int.from_bytes(payload[:4], "little")))
            yield from self.sum_fields(payload[4:])
        elif sent.stage == DECRYPT:
            yield Field("the sum", bytes(payload), " ".join(shown(self._integers(payload))))

    def upload_fields(self, bank: str, payload: memoryview) -> Iterator[Field]:
        numbers = " ".join(shown(self.decrypted(payload, 1)))
        meaning = f"{numbers}, if the key authority ever got it: it must get sums only"
        for number, ciphertext in enumerate(split_ciphertexts(payload, self.cohort.plan.ciphertexts), 1):
            yield Field(f"ciphertext {number}", ciphertext, meaning, (bank, KEY_AUTHORITY))

    def sum_fields(self, summed: memoryview) -> Iterator[Field]:
        for number, ciphertext in enumerate(split_ciphertexts(summed, self.cohort.plan.ciphertexts), 1):
            meaning = f"slots {' '.join(shown(self._slots([ciphertext])[: self._shown_slots].tolist()))}"
            yield Field(f"ciphertext {number} of the sum", ciphertext, meaning, (KEY_AUTHORITY,))

    def end(self) -> Told:
        total = self.recording.sum
        assert total is not None
        line = sum_line(total, self.updates)
        text = (
            "It never held a key, and has the sum that the key authority opened. The banks get it with the new model."
        )
        return Told("The aggregator has the sum", text, (Work(AGGREGATOR, "reads the answer", (line,)),))

    def found(self, members: frozenset[str], bank: str) -> tuple[IntVector, str] | None:
        """With the key an upload is open; without it there is nothing but bytes."""
        payload = self.recording.answer(UPLOAD, bank)
        if payload is None or not (listen(members) and KEY_AUTHORITY in members):
            return None
        return self.decrypted(payload, 1), "Its ciphertext, decrypted: one has the bytes, the other the key."

    def decrypted(self, payload: memoryview, contributors: int) -> IntVector:
        """What the key opens in ciphertexts of so many banks."""
        return decode_slots(
            self.cohort.plan, self._slots(split_ciphertexts(payload, self.cohort.plan.ciphertexts)), contributors
        )

    def encrypting(self, bank: str) -> Work:
        """How a bank's ciphertext comes about."""
        plan, values = self.cohort.plan, self.updates[bank]
        slots = encode_slots(plan, values).reshape(-1)[: plan.slots]
        packed = (
            Line(
                "",
                f"packed {plan.fields_per_slot} to a slot of {plan.field_bits}-bit fields",
                shown(slots + plan.centre),
            ),
        )
        centred = (Line("", f"less {plan.centre}, so that sums lie around zero", shown(slots)),) if plan.centre else ()
        lines = (Line("", "its numbers", shown(values)), *packed, *centred, *self._ciphertext_line(bank, ""))
        return Work(bank, "packs and encrypts", lines)

    def _ciphertext_line(self, bank: str, sign: str) -> Iterator[Line]:
        payload = self.recording.answer(UPLOAD, bank)
        if payload is not None:
            first = split_ciphertexts(payload, self.cohort.plan.ciphertexts)[0]
            yield Line(sign, f"first coefficients of the ciphertext of {bank}", self._coefficients(first))

    def _adding(self) -> Work:
        lines = [line for bank in self.banks for line in self._ciphertext_line(bank, "+")]
        summed = split_ciphertexts(self.summed, self.cohort.plan.ciphertexts)[0]
        total = Line("=", "first coefficients of the sum, modulo q", self._coefficients(summed))
        return Work(AGGREGATOR, "adds ciphertexts", (*lines, total))

    def _opening(self) -> Work:
        plan, summed = self.cohort.plan, self.summed
        slots = self._slots(split_ciphertexts(summed, plan.ciphertexts))[: plan.slots]
        total = self.decrypted(summed, self.contributors)
        rounded = np.rint(slots).astype(np.int64)
        lines = [Line("", "slots, decrypted", _with_error(slots))]
        if plan.scheme != "bfv":
            lines.append(Line("", "rounded", shown(rounded)))
        if plan.centre:
            back = f"plus {self.contributors} x {plan.centre}"
            lines.append(Line("", back, shown(rounded + self.contributors * plan.centre)))
        return Work(KEY_AUTHORITY, "decrypts", (*lines, Line("=", "unpacked: the sum", shown(total))))

    @property
    def summed(self) -> memoryview:
        """The ciphertexts that the aggregator sent to be opened."""
        return self._asked()[4:]

    @cached_property
    def contributors(self) -> int:
        """Of how many banks it said that the sum is."""
        return int.from_bytes(self._asked()[:4], "little")

    def _asked(self) -> memoryview:
        found = self.recording.round(DECRYPT)
        assert found is not None
        return self.recording.payload(found.requests[0])

    def _slots(self, ciphertexts: Sequence[bytes]) -> NDArray[np.float64] | IntVector:
        return np.concatenate([self.secret.decrypt(each) for each in ciphertexts])

    def _coefficients(self, ciphertext: bytes) -> tuple[str, ...]:
        found = coefficients(self.cohort.plan.parameters_of_context, ciphertext)
        return (*shown(found[:SHOWN_COEFFICIENTS]), "…")

    def _integers(self, payload: memoryview) -> IntVector:
        return unpack_bits(payload, self.cohort.plan.field_bits, self.cohort.plan.parameters)

    @property
    def _shown_slots(self) -> int:
        plan = self.cohort.plan
        return min(int(plan.slots), int(plan.parameters_of_context.slots))


def _with_error(slots: NDArray[np.float64] | IntVector) -> tuple[str, ...]:
    """With as many decimals as it takes to see what CKKS is off by."""
    off = float(np.abs(slots - np.rint(slots)).max())
    decimals = min(MOST_DECIMALS, 2 - math.floor(math.log10(off))) if off else 0
    return tuple(f"{number:.{decimals}f}" for number in slots.tolist())
