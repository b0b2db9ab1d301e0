"""A homomorphic sum, step by step: numbers packed as digits, encrypted, added unread, and opened as a sum."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.report.explain.pools import Updates, listen
from secure_fl.report.explain.recording import Recording, Sent
from secure_fl.report.explain.story import Field, Line, Message, Step, Work, shown
from secure_fl.report.explain.tellers.teller import Teller, Told, envelope, sum_line
from secure_fl.report.wording import plural
from secure_fl.secagg.budget.he import Run
from secure_fl.secagg.hazmat.he_public import fingerprint
from secure_fl.secagg.he.encoding import decode_slots
from secure_fl.secagg.he.halves import Halves
from secure_fl.secagg.he.secret_keys import SecretKey
from secure_fl.secagg.he.words import DECRYPT, KEY_AUTHORITY, UPLOAD, unpack_sum, unpack_upload
from secure_fl.secagg.messages import AGGREGATOR
from secure_fl.secagg.packing import IntVector, pack_fields, unpack_bits

SHOWN_COEFFICIENTS = 3
MOST_DECIMALS = 12


class HomomorphicTeller(Teller):
    """Knows the key authority's key."""

    failing = "No sum was opened. The key stays; in a new attempt banks encrypt anew."

    def __init__(self, recording: Recording, updates: Updates, secret: SecretKey) -> None:
        super().__init__(recording)
        self.updates, self.secret = updates, secret

    def before(self) -> Iterator[Step]:
        first, *passed_on = self.recording.before
        text = (
            "It draws a key pair and gives out the public half. With it one can encrypt, and nothing can be decrypted."
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
            "It has added the ciphertexts, word by word modulo q, which takes no key, and cannot read what came of it. "
            "It says of how many banks the sum is, which a ciphertext does not show."
        )
        return Told("The aggregator sends the sum to the key authority", text, (self._adding(),))

    def answer(self, stage: str, sender: str) -> Told:
        if stage == UPLOAD:
            text = (
                f"{self._packing_text()} Then they are encrypted, under the public key and with fresh noise: the same "
                f"numbers never give the same ciphertext twice.{self._dropping_text()}"
            )
            return Told(f"{sender} encrypts its numbers", text, (self.encrypting(sender),))
        return Told("The key authority opens the sum", self._opening_text(), (self._opening(),))

    def _packing_text(self) -> str:
        fields = self.cohort.plan.fields_per_slot
        if fields == 1:
            return f"Its numbers go into {self._place}s, one each."
        return (
            f"Its numbers are packed, {fields} to a {self._place}, as digits to a base above the largest sum, so that "
            "no digit of a sum runs over into the next."
        )

    def _dropping_text(self) -> str:
        both = zip(self.cohort.plan.dropped, self._polynomials, strict=True)
        left_out = [f"{plural(bits, 'bit')} of each word of {name}" for bits, name in both if bits]
        if not left_out:
            return ""
        return f" The lowest {' and '.join(left_out)} are not sent: that adds noise, for which there is room."

    @property
    def _place(self) -> str:
        """What holds packed numbers."""
        return "slot" if self.cohort.plan.scheme == "ckks" else "coefficient"

    @property
    def _polynomials(self) -> tuple[str, str]:
        """First and second polynomials, as the paper calls them."""
        return ("d", "c") if self.cohort.plan.scheme == "rlwe" else ("c0", "c1")

    def _opening_text(self) -> str:
        if self.cohort.plan.scheme == "rlwe":
            return (
                "It adds c s to each polynomial, which leaves q / t times the message and noise, multiplies by t / q, "
                "and rounds: exact as long as the noise stays below its limit, which the plan says."
            )
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
        meaning = f"{' '.join(shown(self.decrypted(payload)))}, if the key authority ever got it: it must get sums only"
        yield from self._halves(payload, self.cohort.plan.words, "", meaning, (bank, KEY_AUTHORITY))

    def sum_fields(self, summed: memoryview) -> Iterator[Field]:
        slots = self._slots(unpack_sum(self.cohort.plan, summed, self.contributors))
        meaning = f"{self._place}s {' '.join(_with_error(slots))}"
        yield from self._halves(summed, self.cohort.plan.summed_words, " of the sum", meaning, (KEY_AUTHORITY,))

    def _halves(
        self, payload: memoryview, runs: tuple[Run, Run], of: str, meaning: str, readers: tuple[str, ...]
    ) -> Iterator[Field]:
        """Neither half means anything without the other."""
        border = runs[0].nbytes
        parts = (bytes(payload[:border]), bytes(payload[border:]))
        for name, run, part, says in zip(
            self._polynomials, runs, parts, (meaning, "the other half of it"), strict=True
        ):
            yield Field(f"{plural(run.count, 'word')} of {run.bits} bits: {name}{of}", part, says, readers)

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
        return self.decrypted(payload), "Its ciphertext, decrypted: one has the bytes, the other the key."

    def hint(self, members: frozenset[str], bank: str) -> str:
        if self.recording.answer(UPLOAD, bank) is None:
            return ""
        if listen(members):
            return "Its ciphertext, and no key to open it; beside that, what the sum tells."
        if KEY_AUTHORITY in members:
            return "The key, and no upload of it to open; beside that, what the sum tells."
        return ""

    def decrypted(self, payload: memoryview) -> IntVector:
        """What the key opens in one upload."""
        plan = self.cohort.plan
        return decode_slots(plan, self.secret.decrypt(plan, unpack_upload(plan, payload)), 1)

    def encrypting(self, bank: str) -> Work:
        """How a bank's ciphertext comes about."""
        plan, values = self.cohort.plan, self.updates[bank]
        slots = pack_fields(values, plan.fields_per_slot, plan.field_base) - plan.centre
        digits = f"packed {plan.fields_per_slot} to a {self._place}, as digits to the base {plan.field_base:,}"
        packed = (Line("", digits, shown(slots + plan.centre)),) if plan.fields_per_slot > 1 else ()
        centred = (Line("", f"less {plan.centre}, so that sums lie around zero", shown(slots)),) if plan.centre else ()
        lines = (Line("", "its numbers", shown(values)), *packed, *centred, *self._ciphertext_line(bank, ""))
        return Work(bank, "packs and encrypts", lines)

    def _ciphertext_line(self, bank: str, sign: str) -> Iterator[Line]:
        payload = self.recording.answer(UPLOAD, bank)
        if payload is not None:
            first = unpack_upload(self.cohort.plan, payload).first
            yield Line(sign, f"first numbers of the ciphertext of {bank}", _beginning(first))

    def _adding(self) -> Work:
        lines = [line for bank in self.banks for line in self._ciphertext_line(bank, "+")]
        first = unpack_bits(self.summed[: self._sum_run.nbytes], self._sum_run.bits, self._sum_run.count)
        return Work(AGGREGATOR, "adds ciphertexts", (*lines, Line("=", "their sum, modulo q", _beginning(first))))

    @property
    def _sum_run(self) -> Run:
        run: Run = self.cohort.plan.summed_words[0]
        return run

    def _opening(self) -> Work:
        plan = self.cohort.plan
        slots = self._slots(unpack_sum(plan, self.summed, self.contributors))
        total = decode_slots(plan, slots, self.contributors)
        rounded = np.rint(slots).astype(np.int64)
        lines = [Line("", f"{self._place}s, decrypted", _with_error(slots))]
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

    def _slots(self, halves: Halves) -> NDArray[np.float64] | IntVector:
        """Those in use."""
        return self.secret.decrypt(self.cohort.plan, halves)[: self.cohort.plan.slots]

    def _integers(self, payload: memoryview) -> IntVector:
        return unpack_bits(payload, self.cohort.plan.field_bits, self.cohort.plan.parameters)


def _beginning(words: NDArray[Any]) -> tuple[str, ...]:
    return (*shown(words[:SHOWN_COEFFICIENTS]), "…")


def _with_error(slots: NDArray[np.float64] | IntVector) -> tuple[str, ...]:
    """With as many decimals as it takes to see what they are off by."""
    off = float(np.abs(slots - np.rint(slots)).max())
    decimals = min(MOST_DECIMALS, 2 - math.floor(math.log10(off))) if off else 0
    return tuple(f"{number:.{decimals}f}" for number in slots.tolist())
