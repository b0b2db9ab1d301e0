"""What can be computed in a masked sum by who holds which secrets: the protocol's functions on what was recorded."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from secure_fl.report.explain.pools import listen
from secure_fl.report.explain.recording import Recording
from secure_fl.report.explain.tellers.teller import listed
from secure_fl.secagg import ring
from secure_fl.secagg.hazmat.agreement import AgreementKey, decrypt
from secure_fl.secagg.hazmat.prg import RingVector, add_mask, subtract_mask
from secure_fl.secagg.hazmat.shamir import SHARE_BYTES, open_secret
from secure_fl.secagg.masked import wire
from secure_fl.secagg.masked.client import AttemptSecrets
from secure_fl.secagg.numbering import decode_table

MASK_KEY, SEED = 0, 1
"""The two secrets of a bank, in the order of their shares in a letter."""


class MaskedHoldings:
    """Messages, and the secrets that the banks drew."""

    def __init__(self, recording: Recording, drawn: Mapping[str, AttemptSecrets]) -> None:
        self.recording, self.drawn = recording, drawn
        self.cohort, self.banks = recording.cohort, recording.cohort.banks

    def found(self, members: frozenset[str], bank: str) -> tuple[RingVector, str] | None:
        """What is left of a bank's input when all masks are taken off that these parties can compute."""
        if not listen(members) or bank not in self.inputs:
            return None
        left = self.inputs[bank].copy()
        seed = self.secret(members, bank, SEED)
        if seed is not None:
            subtract_mask(left, seed)
        unknown = [] if seed is not None else ["its self-mask"]
        own = self.secret(members, bank, MASK_KEY)
        for other in sorted(self.sharing - {bank}):
            theirs = self.drawn[other].mask.secret() if other in members else self.secret(members, other, MASK_KEY)
            if own is None and theirs is None:
                unknown.append(f"the mask with {other}")
                continue
            agreed = self.agreed(own, bank, other) if own is not None else self.agreed(theirs, other, bank)
            (subtract_mask if self.place(bank) < self.place(other) else add_mask)(left, agreed)
        ring.to_integers(self.cohort.plan, left)
        if unknown:
            return left, f"Its masked input, with {listed(unknown)} still on it."
        return left, "Its masked input, less all of its masks: they hold shares enough, or the other ends."

    def hint(self, members: frozenset[str], bank: str) -> str:
        held = len(members & self.letters(bank).keys())
        if not held or bank not in self.inputs:
            return ""
        enough = held >= self.cohort.plan.share_threshold
        return (
            "Shares that open its secrets, and no input to use them on; beside that, what the sum tells."
            if enough
            else "Too few shares of its secrets, which say nothing; beside that, what the sum tells."
        )

    @cached_property
    def inputs(self) -> dict[str, RingVector]:
        """Of the banks whose input arrived."""
        found = {bank: self.recording.answer(wire.MASKED_INPUT, bank) for bank in self.banks}
        plan = self.cohort.plan
        return {bank: ring.from_bytes(plan, data).copy() for bank, data in found.items() if data}

    @cached_property
    def sharing(self) -> set[str]:
        """Banks whose shares went out: all mask with them."""
        return {bank for bank in self.banks if self.recording.answer(wire.SHARE_KEYS, bank)}

    @property
    def survivors(self) -> set[str]:
        return set(self.inputs)

    def mask(self, seed: bytes) -> RingVector:
        """The numbers of a mask."""
        drawn = ring.zeros(self.cohort.plan)
        add_mask(drawn, seed)
        return ring.to_integers(self.cohort.plan, drawn)

    def pair(self, one: str, other: str) -> RingVector:
        """The mask that two banks agree on."""
        return self.mask(self.agreed(self.drawn[one].mask.secret(), one, other))

    def agreed(self, secret: bytes | None, one: str, other: str) -> bytes:
        assert secret is not None
        purpose = wire.mask_purpose(self.cohort, self.place(one), self.place(other))
        return AgreementKey(secret).agree(self.drawn[other].mask.public, purpose)

    def open_letter(self, sender: str, recipient: str, sealed: bytes) -> tuple[bytes, bytes]:
        purpose = wire.channel_purpose(self.cohort, self.place(sender), self.place(recipient))
        key = self.drawn[recipient].channel.agree(self.drawn[sender].channel.public, purpose)
        shares = decrypt(key, sealed, purpose)
        return shares[:SHARE_BYTES], shares[SHARE_BYTES:]

    def secret(self, members: frozenset[str], owner: str, kind: int) -> bytes | None:
        """A bank's mask key or seed, from the shares that these parties hold; None where they are too few."""
        shares = {
            self.place(holder) + 1: self.open_letter(owner, holder, letter)[kind]
            for holder, letter in self.letters(owner).items()
            if holder in members
        }
        if (kind == SEED) == (owner in self.survivors):
            for holder in self.banks:
                opened = self.recording.answer(wire.UNMASK, holder)
                rows = dict(self.table(opened, SHARE_BYTES)) if opened else {}
                if owner in rows:
                    shares[self.place(holder) + 1] = rows[owner]
        if len(shares) < self.cohort.plan.share_threshold:
            return None
        keys = wire.AdvertisedKeys.from_bytes(self.recording.answer(wire.ADVERTISE_KEYS, owner) or b"")
        is_right = keys.has_seed if kind == SEED else keys.has_mask_key
        return open_secret(shares, self.cohort.plan.share_threshold, is_right)[0]

    def letters(self, sender: str) -> dict[str, bytes]:
        sent = self.recording.answer(wire.SHARE_KEYS, sender)
        return dict(self.table(sent, wire.SEALED_SHARES_BYTES)) if sent else {}

    def table(self, payload: memoryview, row_bytes: int) -> list[tuple[str, bytes]]:
        return [(self.banks[n], row) for n, row in decode_table(payload, row_bytes, len(self.banks)).items()]

    def place(self, bank: str) -> int:
        return self.banks.index(bank)
