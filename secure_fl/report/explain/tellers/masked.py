"""A masked sum, step by step: keys, shares, masks that cancel, and what is taken off at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from secure_fl.report.explain.pools import Updates, listen
from secure_fl.report.explain.recording import Recording, Sent
from secure_fl.report.explain.story import Field, Line, Work, shortened, shown
from secure_fl.report.explain.tellers.teller import Teller, Told, listed, sum_line
from secure_fl.secagg import ring
from secure_fl.secagg.hazmat.agreement import AgreementKey, decrypt
from secure_fl.secagg.hazmat.prg import RingVector, add_mask, subtract_mask
from secure_fl.secagg.hazmat.shamir import SHARE_BYTES, combine
from secure_fl.secagg.masked import wire
from secure_fl.secagg.masked.client import AttemptSecrets
from secure_fl.secagg.messages import AGGREGATOR
from secure_fl.secagg.numbering import decode_numbers, decode_table

ASKED = {
    wire.ADVERTISE_KEYS: (
        "The aggregator opens the attempt",
        "It asks every bank for fresh public keys. Nothing is in these messages but the envelope: session, round, "
        "attempt, and a digest of all that was agreed, the model among it.",
    ),
    wire.SHARE_KEYS: (
        "The aggregator passes the keys on",
        "Each bank gets the others' keys, with signatures. It knows the others' identity keys by another way, so the "
        "aggregator cannot put its own keys there.",
    ),
    wire.MASKED_INPUT: (
        "The aggregator delivers the letters",
        "Each bank gets what the others sealed for it. From here on a bank may vanish: the others hold shares of its "
        "secrets.",
    ),
    wire.CONSISTENCY_CHECK: (
        "The aggregator says whose input arrived",
        "Everybody must be told the same list, so everybody signs it. Otherwise some could be asked for one kind of "
        "share, and the rest for the other kind.",
    ),
    wire.UNMASK: (
        "The aggregator shows the signatures and asks for shares",
        "Of a bank whose input arrived it needs the self-mask seed, of one that vanished the mask key. Whoever had "
        "both could read that bank's input.",
    ),
}


class MaskedTeller(Teller):
    """Knows what the banks drew."""

    def __init__(self, recording: Recording, updates: Updates, drawn: Mapping[str, AttemptSecrets]) -> None:
        super().__init__(recording)
        self.updates, self.drawn = updates, drawn

    def ask(self, stage: str, recipients: tuple[str, ...]) -> Told:
        return Told(*ASKED[stage])

    def answer(self, stage: str, sender: str) -> Told:
        threshold = self.cohort.plan.share_threshold
        match stage:
            case wire.ADVERTISE_KEYS:
                seed = self.drawn[sender].seed
                text = (
                    "Two key pairs, one to seal letters and one to agree on masks, and the seed of a mask of its own. "
                    "It commits to the seed by a hash, and signs."
                )
                line = Line("", "mask of the seed", shown(self.mask(seed)), f"self-{sender}")
                work = (Work(sender, f"draws a seed, {shortened(seed, 4)}, and expands it", (line,)),)
                return Told(f"{sender} makes keys", text, work)
            case wire.SHARE_KEYS:
                text = (
                    f"It cuts its mask key and its seed into {len(self.banks)} shares each, of which {threshold} open "
                    "them, keeps one, and seals one for each other bank. The aggregator carries letters that it cannot "
                    "open."
                )
                return Told(f"{sender} shares its secrets", text)
            case wire.MASKED_INPUT:
                text = (
                    "Of two banks the first adds their common mask and the second subtracts it. What leaves the bank "
                    f"is uniform modulo 2^{self.cohort.plan.ring_bits}."
                )
                return Told(f"{sender} sends its masked input", text, (self.masking(sender),))
            case wire.CONSISTENCY_CHECK:
                return Told(f"{sender} signs the list", "Its signature counts for this attempt, and for these keys.")
            case _:
                text = "One share of each bank, never both: a bank decides by the list that it signed."
                return Told(f"{sender} opens shares", text)

    def fields(self, sent: Sent) -> Iterator[Field]:
        payload = self.recording.payload(sent)
        asked = sent.sender == AGGREGATOR
        match sent.stage, asked:
            case wire.ADVERTISE_KEYS, False:
                keys = wire.AdvertisedKeys.from_bytes(payload)
                yield Field("public key for letters", keys.channel, "X25519")
                yield Field("public key for masks", keys.mask, "X25519")
                yield Field("commitment to the seed", keys.commitment, "SHA-256 of the seed")
                yield Field("signature", keys.signature, f"Ed25519, by the identity key of {sent.sender}")
            case wire.SHARE_KEYS, True:
                for bank, row in self._table(payload, wire.KEYS_BYTES):
                    yield Field(f"keys of {bank}", row, "as they advertised them, with their signature")
            case wire.SHARE_KEYS, False:
                for bank, row in self._table(payload, wire.SEALED_SHARES_BYTES):
                    yield self._letter(sent.sender, bank, row, f"letter for {bank}")
            case wire.MASKED_INPUT, True:
                for bank, row in self._table(payload, wire.SEALED_SHARES_BYTES):
                    yield self._letter(bank, sent.recipient, row, f"letter from {bank}")
            case wire.MASKED_INPUT, False:
                numbers = ring.from_bytes(self.cohort.plan, payload)
                yield Field("masked input", bytes(payload), " ".join(shown(numbers)))
            case wire.CONSISTENCY_CHECK, True:
                yield Field("survivors", bytes(payload), listed(self._names(payload)))
            case wire.CONSISTENCY_CHECK, False:
                signed = wire.signed_bytes(payload)
                yield Field("hash of its keys", signed[: wire.HASH_BYTES], "SHA-256")
                yield Field("signature", signed[wire.HASH_BYTES :], "Ed25519, under the list that it was told")
            case wire.UNMASK, True:
                for bank, row in self._table(payload, wire.SIGNED_BYTES):
                    yield Field(f"statement of {bank}", row, "hash of its keys, signature under the list")
            case wire.UNMASK, False:
                for bank, row in self._table(payload, SHARE_BYTES):
                    kind = "self-mask seed" if bank in self.survivors else "mask key"
                    yield Field(f"share of {bank}", row, f"of its {kind}; fewer than enough of them say nothing")

    def end(self) -> Told:
        total = self.recording.sum
        assert total is not None
        inputs = [Line("+", f"masked input of {bank}", shown(self.inputs[bank])) for bank in sorted(self.inputs)]
        selves = [
            Line("−", f"self-mask of {bank}, opened", shown(self.mask(self.drawn[bank].seed)), f"self-{bank}")
            for bank in sorted(self.inputs)
        ]
        lost = [
            Line(
                "−" if self._place(bank) < self._place(gone) else "+",
                f"mask of {bank} with {gone}, opened",
                shown(self.pair(bank, gone)),
                _pair_name(bank, gone),
            )
            for gone in sorted(self.sharing - self.inputs.keys())
            for bank in sorted(self.inputs)
        ]
        lines = (*inputs, *selves, *lost, sum_line(total, self.updates))
        text = (
            "All masks between banks whose input arrived have cancelled by themselves. The aggregator opens the "
            "self-masks from shares and takes them off"
            + (
                "; of who vanished it opens the mask key, and takes off the masks that found no partner."
                if lost
                else "."
            )
        )
        modulus = f"modulo 2^{self.cohort.plan.ring_bits}"
        work = (Work(AGGREGATOR, f"adds, {modulus}", lines), self._parts())
        return Told("The aggregator has the sum", text, work)

    def _parts(self) -> Work:
        """All that is in the sum of masked inputs: what has one colour cancels, and is taken off where it does not."""
        lines = []
        for bank in sorted(self.inputs):
            numbers, own, *rest = self.masking(bank).lines[:-1]
            lines += [
                replace(numbers, sign="+", label=f"numbers of {bank}"),
                replace(own, label=f"self-mask of {bank}"),
                *(replace(line, label=f"{bank}: {line.label}") for line in rest),
            ]
        return Work("", "can see what is in these inputs, and nobody in the protocol can", tuple(lines))

    def masking(self, bank: str) -> Work:
        """How a bank's input comes about."""
        partners = sorted(self.sharing - {bank})
        masks = [
            Line(
                "+" if self._place(bank) < self._place(other) else "−",
                f"mask with {other}",
                shown(self.pair(bank, other)),
                _pair_name(bank, other),
            )
            for other in partners
        ]
        lines = (
            Line("", "its numbers", shown(self.updates[bank])),
            Line("+", "its self-mask", shown(self.mask(self.drawn[bank].seed)), f"self-{bank}"),
            *masks,
            *self._added(bank, partners),
            Line("=", "masked input", shown(self.inputs[bank])),
        )
        return Work(bank, f"adds masks modulo 2^{self.cohort.plan.ring_bits}", lines)

    def _added(self, bank: str, partners: list[str]) -> Iterator[Line]:
        """What a liar put on top."""
        more = self.inputs[bank] - ring.to_ring(self.cohort.plan, self.updates[bank])
        subtract_mask(more, self.drawn[bank].seed)
        for other in partners:
            agreed = self._agreed(self.drawn[bank].mask.secret(), bank, other)
            (subtract_mask if self._place(bank) < self._place(other) else add_mask)(more, agreed)
        if more.any():
            yield Line("+", "what it puts on top", shown(more))

    def found(self, members: frozenset[str], bank: str) -> tuple[RingVector, str] | None:
        """What is left of a bank's input when all masks are taken off that these parties can compute."""
        if not listen(members) or bank not in self.inputs:
            return None
        left = self.inputs[bank].copy()
        seed = self._secret(members, bank, 1)
        if seed is not None:
            subtract_mask(left, seed)
        unknown = [] if seed is not None else ["its self-mask"]
        own = self._secret(members, bank, 0)
        for other in sorted(self.sharing - {bank}):
            theirs = self.drawn[other].mask.secret() if other in members else self._secret(members, other, 0)
            if own is None and theirs is None:
                unknown.append(f"the mask with {other}")
                continue
            agreed = self._agreed(own, bank, other) if own is not None else self._agreed(theirs, other, bank)
            (subtract_mask if self._place(bank) < self._place(other) else add_mask)(left, agreed)
        if unknown:
            return left, f"Its masked input, with {listed(unknown)} still on it."
        return left, "Its masked input, less all of its masks: they hold shares enough, or the other ends."

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
        return drawn

    def pair(self, one: str, other: str) -> RingVector:
        """The mask that two banks agree on."""
        return self.mask(self._agreed(self.drawn[one].mask.secret(), one, other))

    def _agreed(self, secret: bytes | None, one: str, other: str) -> bytes:
        assert secret is not None
        purpose = wire.mask_purpose(self.cohort, self._place(one), self._place(other))
        return AgreementKey(secret).agree(self.drawn[other].mask.public, purpose)

    def _letter(self, sender: str, recipient: str, sealed: bytes, name: str) -> Field:
        mask_share, seed_share = self._open(sender, recipient, sealed)
        meaning = f"share of its mask key {shortened(mask_share, 4)}; share of its seed {shortened(seed_share, 4)}"
        return Field(name, sealed, meaning, (sender, recipient))

    def _open(self, sender: str, recipient: str, sealed: bytes) -> tuple[bytes, bytes]:
        purpose = wire.channel_purpose(self.cohort, self._place(sender), self._place(recipient))
        key = self.drawn[recipient].channel.agree(self.drawn[sender].channel.public, purpose)
        shares = decrypt(key, sealed, purpose)
        return shares[:SHARE_BYTES], shares[SHARE_BYTES:]

    def _secret(self, members: frozenset[str], owner: str, kind: int) -> bytes | None:
        """A bank's mask key (0) or seed (1), from the shares that these parties hold; None where they are too few."""
        shares = {
            self._place(holder) + 1: self._open(owner, holder, letter)[kind]
            for holder, letter in self._letters(owner).items()
            if holder in members
        }
        if (kind == 1) == (owner in self.survivors):
            for holder in self.banks:
                opened = self.recording.answer(wire.UNMASK, holder)
                rows = dict(self._table(opened, SHARE_BYTES)) if opened else {}
                if owner in rows:
                    shares[self._place(holder) + 1] = rows[owner]
        threshold = self.cohort.plan.share_threshold
        return combine(shares, threshold) if len(shares) >= threshold else None

    def _letters(self, sender: str) -> dict[str, bytes]:
        sent = self.recording.answer(wire.SHARE_KEYS, sender)
        return dict(self._table(sent, wire.SEALED_SHARES_BYTES)) if sent else {}

    def _table(self, payload: memoryview, row_bytes: int) -> list[tuple[str, bytes]]:
        return [(self.banks[n], row) for n, row in decode_table(payload, row_bytes, len(self.banks)).items()]

    def _names(self, payload: memoryview) -> list[str]:
        return [self.banks[number] for number in decode_numbers(payload, len(self.banks))]

    def _place(self, bank: str) -> int:
        return self.banks.index(bank)


def _pair_name(one: str, other: str) -> str:
    return "-with-".join(sorted((one, other)))
