"""Withheld shares: an aggregator with no bank on its side that reads a sum over 2t - n banks of a masked sum.

It calls t banks survivors and the others dropped, the same to everybody. But the banks that it wants to read got, when
they masked, letters of the later dropped ones and of each other only. The survivors then open the self-masks of all
survivors and the mask keys of all others, and that is all there is on what it wants to read. What stops it is one check
of the banks, that survivors are among those whose shares they hold (Bonawitz et al., CCS 2017, figure 4, round 3).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from secure_fl.secagg import ring
from secure_fl.secagg.budget import MaskedPlan
from secure_fl.secagg.hazmat.agreement import AgreementKey
from secure_fl.secagg.hazmat.prg import RingVector, add_mask, subtract_mask
from secure_fl.secagg.hazmat.shamir import SHARE_BYTES, combine
from secure_fl.secagg.masked import wire
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.numbering import decode_table, encode_numbers, encode_table
from secure_fl.secagg.protocol import Party


class Withholding:
    """The attack against banks on a complete graph, in the place of the aggregator's half."""

    def __init__(self, cohort: Cohort[MaskedPlan], banks: Sequence[Party]) -> None:
        self._cohort, self._banks, self._threshold = cohort, banks, cohort.plan.share_threshold
        self.isolated = range(2 * self._threshold - len(banks))
        """Whose sum it reads: one bank where t is just over half of an odd number."""
        self._named = range(self._threshold)
        self._dropped = range(self._threshold, len(banks))

    def read(self) -> RingVector:
        """The sum of the isolated banks' inputs, shape [parameters]. Raises `ProtocolError` where a bank refuses."""
        keys = {bank: bytes(self._ask(bank, wire.ADVERTISE_KEYS)) for bank in range(len(self._banks))}
        inputs = self._masked_inputs(keys)
        told = encode_numbers(self._named)
        signatures = {bank: bytes(self._ask(bank, wire.CONSISTENCY_CHECK, told)) for bank in self._named}
        shares: defaultdict[int, dict[int, bytes]] = defaultdict(dict)
        for bank in self._named:
            opened = self._ask(bank, wire.UNMASK, encode_table(signatures))
            for owner, share in decode_table(opened, SHARE_BYTES, len(self._banks)).items():
                shares[owner][bank + 1] = share
        return self._unmasked(keys, inputs, shares)

    def _ask(self, bank: int, stage: str, payload: bytes = b"") -> memoryview:
        name = self._cohort.banks[bank]
        answer = self._banks[bank].respond(seal(self._cohort, stage, AGGREGATOR, name, payload))
        return open_message(self._cohort, answer, recipient=AGGREGATOR, sender=name, stage=stage).payload

    def _masked_inputs(self, keys: Mapping[int, bytes]) -> dict[int, RingVector]:
        """Of the banks that it names, each with the letters that suit it."""
        everyone = range(len(self._banks))
        mail: dict[int, dict[int, bytes]] = {bank: {} for bank in everyone}
        for bank in everyone:
            around = encode_table({other: keys[other] for other in everyone if other != bank})
            letters = decode_table(self._ask(bank, wire.SHARE_KEYS, around), wire.SEALED_SHARES_BYTES, len(everyone))
            for recipient, letter in letters.items():
                mail[recipient][bank] = letter
        inputs = {}
        for bank in self._named:
            senders = {*self.isolated, *self._dropped} if bank in self.isolated else {*everyone}
            letters = {sender: mail[bank][sender] for sender in senders - {bank}}
            vector = ring.from_bytes(self._cohort.plan, self._ask(bank, wire.MASKED_INPUT, encode_table(letters)))
            inputs[bank] = vector
        return inputs

    def _unmasked(
        self, keys: Mapping[int, bytes], inputs: Mapping[int, RingVector], shares: Mapping[int, Mapping[int, bytes]]
    ) -> RingVector:
        total = ring.zeros(self._cohort.plan)
        for bank in self.isolated:
            total += inputs[bank]
            subtract_mask(total, combine(shares[bank], self._threshold))
        for dropped in self._dropped:
            key = AgreementKey(combine(shares[dropped], self._threshold))
            for bank in self.isolated:
                purpose = wire.mask_purpose(self._cohort, dropped, bank)
                mask = key.agree(wire.AdvertisedKeys.from_bytes(keys[bank]).mask, purpose)
                (subtract_mask if bank < dropped else add_mask)(total, mask)
        return ring.to_integers(self._cohort.plan, total)
