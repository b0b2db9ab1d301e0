"""An additive sum, step by step: shares that are random alone, and add up to the sum together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from secure_fl.report.explain.pools import Updates, listen
from secure_fl.report.explain.recording import Recording, Sent
from secure_fl.report.explain.story import Field, Line, Work, shortened, shown
from secure_fl.report.explain.tellers.teller import Teller, Told, listed, sum_line
from secure_fl.secagg import ring
from secure_fl.secagg.additive.holder import ShareHolderKey
from secure_fl.secagg.additive.wire import SEALED_SEED_BYTES, SUM_SHARES, UPLOAD, purpose, split_upload
from secure_fl.secagg.hazmat.agreement import unseal
from secure_fl.secagg.hazmat.prg import RingVector, add_mask
from secure_fl.secagg.messages import AGGREGATOR
from secure_fl.secagg.numbering import decode_table


class AdditiveTeller(Teller):
    """Knows the share-holders' keys."""

    failing = "An attempt that fails opens no sum; in a new one banks split their numbers anew."

    def __init__(self, recording: Recording, updates: Updates, holders: Mapping[str, ShareHolderKey]) -> None:
        super().__init__(recording)
        self.updates, self.holders = updates, holders

    def ask(self, stage: str, recipients: tuple[str, ...]) -> Told:
        if stage == UPLOAD:
            return Told("The aggregator asks for shares", "Nothing is in these messages but the envelope.")
        text = "It passes on the seeds that the banks sealed for each holder, and can open none of them."
        return Told("The aggregator asks each share-holder for the sum of its shares", text)

    def answer(self, stage: str, sender: str) -> Told:
        if stage == UPLOAD:
            text = (
                "For each share-holder it draws a seed, which stands for a random vector; what is left of its numbers "
                "goes to the aggregator. Any two of the three are random; all three add up to the numbers."
            )
            return Told(f"{sender} splits its numbers", text, (self._splitting(sender),))
        text = "It answers one request in an attempt: the difference of two sums could be one bank's share."
        return Told(f"{sender} adds its shares", text, (self._adding(sender),))

    def fields(self, sent: Sent) -> Iterator[Field]:
        payload = self.recording.payload(sent)
        if sent.stage == UPLOAD and sent.sender != AGGREGATOR:
            seeds, share = split_upload(self.cohort, payload)
            for holder, sealed in zip(self.holders, seeds, strict=True):
                yield self._sealed(sent.sender, holder, sealed, f"seed for {holder}")
            numbers = " ".join(shown(ring.from_bytes(self.cohort.plan, share)))
            yield Field("the aggregator's share", bytes(share), numbers)
        elif sent.stage == SUM_SHARES and sent.sender == AGGREGATOR:
            for number, sealed in decode_table(payload, SEALED_SEED_BYTES, len(self.banks)).items():
                bank = self.banks[number]
                yield self._sealed(bank, sent.recipient, sealed, f"seed of {bank}")
        elif sent.stage == SUM_SHARES:
            numbers = " ".join(shown(ring.from_bytes(self.cohort.plan, payload)))
            yield Field("sum of its shares", bytes(payload), numbers)

    def end(self) -> Told:
        total = self.recording.sum
        assert total is not None
        own = [Line("+", f"own share of {bank}", shown(self._rest(bank))) for bank in sorted(total.contributors)]
        theirs = [Line("+", f"sum of {holder}", shown(self._answered(holder))) for holder in self.holders]
        lines = (*own, *theirs, sum_line(total, self.updates))
        text = "Each line is random by itself. Only all of them together are the sum."
        return Told("The aggregator has the sum", text, (self._work(AGGREGATOR, "adds", lines),))

    def found(self, members: frozenset[str], bank: str) -> tuple[RingVector, str] | None:
        """What is left of a bank's numbers when all shares are added that these parties hold."""
        if not listen(members) or self.recording.answer(UPLOAD, bank) is None:
            return None
        total = self._rest(bank)
        for holder in self.holders.keys() & members:
            add_mask(total, self._seed(bank, holder))
        ring.to_integers(self.cohort.plan, total)
        missing = [holder for holder in self.holders if holder not in members]
        if missing:
            return total, f"What they hold of its shares; that of {listed(missing)} is missing, so it is random."
        return total, "All of its shares, added."

    def hint(self, members: frozenset[str], bank: str) -> str:
        held = self.holders.keys() & members
        if not held or self.recording.answer(UPLOAD, bank) is None:
            return ""
        return f"What {listed(sorted(held))} holds of its shares, which is random without the aggregator's."

    def _splitting(self, bank: str) -> Work:
        drawn = [
            Line(
                "−",
                f"share of {holder}: seed {shortened(self._seed(bank, holder), 4)}",
                shown(self._share(bank, holder)),
            )
            for holder in self.holders
        ]
        left = Line("=", "share of the aggregator", shown(self._rest(bank)))
        return self._work(bank, "splits", (Line("", "its numbers", shown(self.updates[bank])), *drawn, left))

    def _adding(self, holder: str) -> Work:
        banks = [bank for bank in self.banks if self.recording.answer(UPLOAD, bank) is not None]
        shares = [Line("+", f"share of {bank}", shown(self._share(bank, holder))) for bank in banks]
        answered = self._answered(holder)
        more = answered - sum((self._share(bank, holder) for bank in banks), ring.zeros(self.cohort.plan))
        ring.to_integers(self.cohort.plan, more)
        lie = (Line("+", "what it puts on top", shown(more)),) if more.any() else ()
        return self._work(holder, "adds", (*shares, *lie, Line("=", "what it answers", shown(answered))))

    def _work(self, party: str, verb: str, lines: tuple[Line, ...]) -> Work:
        return Work(party, f"{verb}, modulo 2^{self.cohort.plan.ring_bits}", lines)

    def _sealed(self, bank: str, holder: str, sealed: bytes, name: str) -> Field:
        meaning = (
            f"{shortened(self._seed(bank, holder), 4)}, which stands for {' '.join(shown(self._share(bank, holder)))}"
        )
        return Field(name, sealed, meaning, (AGGREGATOR if bank in self.made_up else bank, holder))

    def _seed(self, bank: str, holder: str) -> bytes:
        payload = self.recording.answer(UPLOAD, bank)
        assert payload is not None
        sealed = split_upload(self.cohort, payload)[0][list(self.holders).index(holder)]
        return unseal(self.holders[holder].key, sealed, purpose(self.cohort, bank, holder))

    def _share(self, bank: str, holder: str) -> RingVector:
        share = ring.zeros(self.cohort.plan)
        add_mask(share, self._seed(bank, holder))
        return ring.to_integers(self.cohort.plan, share)

    def _rest(self, bank: str) -> RingVector:
        payload = self.recording.answer(UPLOAD, bank)
        assert payload is not None
        return ring.from_bytes(self.cohort.plan, split_upload(self.cohort, payload)[1]).copy()

    def _answered(self, holder: str) -> RingVector:
        payload = self.recording.answer(SUM_SHARES, holder)
        assert payload is not None
        return ring.from_bytes(self.cohort.plan, payload)
