"""A masked sum, step by step: keys, shares, masks that cancel, and what is taken off at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from secure_fl.report.explain.pools import Updates
from secure_fl.report.explain.recording import Recording, Sent
from secure_fl.report.explain.story import Field, Line, Work, shortened, shown
from secure_fl.report.explain.tellers.masked_holdings import MASK_KEY, SEED, MaskedHoldings
from secure_fl.report.explain.tellers.teller import Teller, Told, listed, sum_line
from secure_fl.secagg import ring
from secure_fl.secagg.hazmat.prg import add_mask, subtract_mask
from secure_fl.secagg.hazmat.shamir import SHARE_BYTES
from secure_fl.secagg.masked import wire
from secure_fl.secagg.masked.client import AttemptSecrets
from secure_fl.secagg.messages import AGGREGATOR
from secure_fl.secagg.numbering import decode_numbers

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

    failing = "An attempt that fails opens no sum; a new one has fresh keys and masks."

    def __init__(self, recording: Recording, updates: Updates, drawn: Mapping[str, AttemptSecrets]) -> None:
        super().__init__(recording)
        self.updates, self.held = updates, MaskedHoldings(recording, drawn)

    def ask(self, stage: str, recipients: tuple[str, ...]) -> Told:
        return Told(*ASKED[stage])

    def answer(self, stage: str, sender: str) -> Told:
        threshold = self.cohort.plan.share_threshold
        match stage:
            case wire.ADVERTISE_KEYS:
                seed = self.held.drawn[sender].seed
                text = (
                    "Two key pairs, one to seal letters and one to agree on masks, and the seed of a mask of its own. "
                    "It commits to the seed by a hash, and signs."
                )
                line = Line("", "mask of the seed", shown(self.held.mask(seed)), f"self-{sender}")
                work = (Work(sender, f"draws a seed, {shortened(seed, 4)}, and expands it", (line,)),)
                return Told(f"{sender} makes keys", text, work)
            case wire.SHARE_KEYS:
                shares = len(self.held.letters(sender)) + 1
                text = (
                    f"It cuts its mask key and its seed into {shares} shares each, of which {threshold} open them, "
                    "keeps one, and seals one for each bank whose keys it has. The aggregator "
                    "carries letters that it cannot open."
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
                for bank, row in self.held.table(payload, wire.KEYS_BYTES):
                    own = bytes(self.recording.answer(wire.ADVERTISE_KEYS, bank) or b"") == row
                    meaning = "as it advertised them, with its signature" if own else "not those that it advertised"
                    yield Field(f"keys of {bank}", row, meaning)
            case wire.SHARE_KEYS, False:
                for bank, row in self.held.table(payload, wire.SEALED_SHARES_BYTES):
                    yield self._letter(sent.sender, bank, row, f"letter for {bank}")
            case wire.MASKED_INPUT, True:
                for bank, row in self.held.table(payload, wire.SEALED_SHARES_BYTES):
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
                for bank, row in self.held.table(payload, wire.SIGNED_BYTES):
                    yield Field(f"statement of {bank}", row, "hash of its keys, signature under the list")
            case wire.UNMASK, False:
                for bank, row in self.held.table(payload, SHARE_BYTES):
                    kind = "self-mask seed" if bank in self.held.survivors else "mask key"
                    yield Field(f"share of {bank}", row, f"of its {kind}; fewer than enough of them say nothing")

    def end(self) -> Told:
        total = self.recording.sum
        assert total is not None
        inputs = [
            Line("+", f"masked input of {bank}", shown(self.held.inputs[bank])) for bank in sorted(self.held.inputs)
        ]
        selves = [
            Line("−", f"self-mask of {bank}, opened", shown(self.held.mask(self._opened(bank, SEED))), f"self-{bank}")
            for bank in sorted(self.held.inputs)
        ]
        lost = [
            Line(
                "−" if self.held.place(bank) < self.held.place(gone) else "+",
                f"mask of {bank} with {gone}, opened",
                shown(self.held.mask(self.held.agreed(self._opened(gone, MASK_KEY), gone, bank))),
                _pair_name(bank, gone),
            )
            for gone in sorted(self.held.sharing - self.held.inputs.keys())
            for bank in sorted(self.held.inputs)
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

    def _opened(self, bank: str, kind: int) -> bytes:
        """What the aggregator opens of a bank, from the shares that it was sent."""
        secret = self.held.secret(frozenset({AGGREGATOR}), bank, kind)
        assert secret is not None
        return secret

    def _parts(self) -> Work:
        """All that is in the sum of masked inputs: what has one colour cancels, and is taken off where it does not."""
        lines = []
        for bank in sorted(self.held.inputs):
            numbers, own, *rest = self.masking(bank).lines[:-1]
            lines += [
                replace(numbers, sign="+", label=f"numbers of {bank}"),
                replace(own, label=f"self-mask of {bank}"),
                *(replace(line, label=f"{bank}: {line.label}") for line in rest),
            ]
        return Work("", "can see what is in these inputs, and nobody in the protocol can", tuple(lines))

    def masking(self, bank: str) -> Work:
        """How a bank's input comes about."""
        partners = sorted(self.held.sharing - {bank})
        masks = [
            Line(
                "+" if self.held.place(bank) < self.held.place(other) else "−",
                f"mask with {other}",
                shown(self.held.pair(bank, other)),
                _pair_name(bank, other),
            )
            for other in partners
        ]
        lines = (
            Line("", "its numbers", shown(self.updates[bank])),
            Line("+", "its self-mask", shown(self.held.mask(self.held.drawn[bank].seed)), f"self-{bank}"),
            *masks,
            *self._added(bank, partners),
            Line("=", "masked input", shown(self.held.inputs[bank])),
        )
        return Work(bank, f"adds masks modulo 2^{self.cohort.plan.ring_bits}", lines)

    def _added(self, bank: str, partners: list[str]) -> Iterator[Line]:
        """What a liar put on top."""
        more = self.held.inputs[bank] - ring.to_ring(self.cohort.plan, self.updates[bank])
        subtract_mask(more, self.held.drawn[bank].seed)
        for other in partners:
            agreed = self.held.agreed(self.held.drawn[bank].mask.secret(), bank, other)
            (subtract_mask if self.held.place(bank) < self.held.place(other) else add_mask)(more, agreed)
        if ring.to_integers(self.cohort.plan, more).any():
            yield Line("+", "what it puts on top", shown(more))

    def _letter(self, sender: str, recipient: str, sealed: bytes, name: str) -> Field:
        mask_share, seed_share = self.held.open_letter(sender, recipient, sealed)
        meaning = f"share of its mask key {shortened(mask_share, 4)}; share of its seed {shortened(seed_share, 4)}"
        return Field(name, sealed, meaning, (sender, recipient))

    def _names(self, payload: memoryview) -> list[str]:
        return [self.banks[number] for number in decode_numbers(payload, len(self.banks))]


def _pair_name(one: str, other: str) -> str:
    return "-with-".join(sorted((one, other)))
