"""An additive sum, step by step: shares that are random alone, and add up to the sum together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from secure_fl.report.explain.pools import Updates, listen
from secure_fl.report.explain.recording import Recording, Round, Sent
from secure_fl.report.explain.story import Field, Line, Step, Work, shortened, shown
from secure_fl.report.explain.tellers.teller import Teller, Told, listed, sum_line
from secure_fl.secagg import ring
from secure_fl.secagg.additive.holder import ShareHolderKey
from secure_fl.secagg.additive.wire import (
    SUM_SHARES,
    UPLOAD,
    PartSums,
    Upload,
    parts_of,
    purpose,
    read_request,
    rows_of,
    split_upload,
    unpack_sums,
)
from secure_fl.secagg.hazmat.agreement import unseal
from secure_fl.secagg.hazmat.prg import SEED_BYTES, RingVector, add_mask
from secure_fl.secagg.messages import AGGREGATOR


class AdditiveTeller(Teller):
    """Knows the share-holders' keys."""

    failing = "An attempt that fails opens no sum; in a new one banks split their numbers anew."

    def __init__(self, recording: Recording, updates: Updates, holders: Mapping[str, ShareHolderKey]) -> None:
        super().__init__(recording)
        self.updates, self.holders = updates, holders
        self._sums = [each for each in recording.rounds if each.stage == SUM_SHARES]
        self._told: Round | None = None

    def _round(self, round_: Round) -> Iterator[Step]:
        self._told = round_
        yield from super()._round(round_)

    def ask(self, stage: str, recipients: tuple[str, ...]) -> Told:
        if stage == UPLOAD:
            return Told("The aggregator asks for shares", "Nothing is in these messages but the envelope.")
        if self._told is not self._sums[0]:
            text = "Whoever has the same shares can give their sum in the place of one that is silent."
            return Told(f"The aggregator asks {listed(recipients)} for the sum that is missing", text)
        text = "It passes on the seeds that the banks sealed for each holder, and can open none of them."
        return Told("The aggregator asks each share-holder for the sum of its shares", text)

    def answer(self, stage: str, sender: str) -> Told:
        if stage == UPLOAD:
            return Told(f"{sender} splits its numbers", self._drawing, (self._splitting(sender),))
        text = "It answers one request in an attempt: the difference of two sums could be one bank's share."
        if self._told is not self._sums[0]:
            text = "It is the sum of the same banks' shares as before, so it tells nothing that the two do not tell."
        return Told(f"{sender} adds its shares", text, self._adding(sender))

    @property
    def _drawing(self) -> str:
        committee = self.cohort.plan.committee
        if not committee.may_be_silent:
            return (
                "For each share-holder it draws a seed, which stands for a random vector; what is left of its numbers "
                "goes to the aggregator. Any two of the three are random; all three add up to the numbers."
            )
        return (
            f"For each {len(committee.subsets[0])} of the {committee.members} share-holders it draws a seed, which "
            "these get and which stands for a random vector; what is left of its numbers goes to the aggregator. Any "
            f"{committee.quorum} share-holders have all seeds together, and fewer have not."
        )

    def fields(self, sent: Sent) -> Iterator[Field]:
        payload = self.recording.payload(sent)
        if sent.stage == UPLOAD and sent.sender != AGGREGATOR:
            upload = split_upload(self.cohort, payload)
            yield Field(
                "hashes of its seeds", b"".join(upload.commitments), "which holders compare with what they open"
            )
            yield Field("its signature", upload.signature, "of the hashes: holders add up what banks signed")
            for holder, sealed in zip(self.holders, upload.sealed, strict=True):
                yield self._sealed(sent.sender, holder, sealed, f"seed for {holder}")
            numbers = " ".join(shown(ring.from_bytes(self.cohort.plan, upload.share)))
            yield Field("the aggregator's share", bytes(upload.share), numbers)
        elif sent.stage == SUM_SHARES and sent.sender == AGGREGATOR:
            asked = read_request(self.cohort, sent.recipient, payload)
            for number, row in rows_of(self.cohort, asked.table).items():
                bank = self.banks[number]
                yield Field(f"hashes of {bank}'s seeds", b"".join(row.commitments), "which its seeds have to have")
                yield Field(f"signature of {bank}", row.signature, "of the hashes, which nobody else can make")
                yield self._sealed(bank, sent.recipient, row.sealed, f"seed of {bank}")
        elif sent.stage == SUM_SHARES:
            answer = self._answer(self._round_of(sent), sent.sender)
            yield Field("hash of its sum", b"".join(answer.digests.values()), "for others who have the same shares")
            for part, total in answer.sums.items():
                packed = ring.to_bytes(self.cohort.plan, total)
                yield Field(f"sum of {self._part(part)}", packed, " ".join(shown(total)))

    def end(self) -> Told:
        total = self.recording.sum
        assert total is not None
        own = [Line("+", f"own share of {bank}", shown(self._rest(bank))) for bank in sorted(total.contributors)]
        theirs = [
            Line("+", f"sum of {self._part(part)}", shown(vector))
            for each in self._sums
            for holder in each.answers
            for part, vector in self._answer(each, holder).sums.items()
        ]
        lines = (*own, *theirs, sum_line(total, self.updates))
        text = "Each line is random by itself. Only all of them together are the sum."
        return Told("The aggregator has the sum", text, (self._work(AGGREGATOR, "adds", lines),))

    def found(self, members: frozenset[str], bank: str) -> tuple[RingVector, str] | None:
        """What is left of a bank's numbers when all shares are added that these parties hold."""
        if not listen(members) or self.recording.answer(UPLOAD, bank) is None:
            return None
        total = self._rest(bank)
        known = {part for holder in self.holders.keys() & members for part in parts_of(self.cohort, holder)}
        for part in known:
            add_mask(total, self._seed(bank, part))
        ring.to_integers(self.cohort.plan, total)
        missing = [part for part in self._parts if part not in known]
        if missing:
            they = listed([self._part(part) for part in missing])
            return total, f"What they hold of its shares; that of {they} is missing, so it is random."
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
                f"share of {self._part(part)}: seed {shortened(self._seed(bank, part), 4)}",
                shown(self._share(bank, part)),
            )
            for part in self._parts
        ]
        left = Line("=", "share of the aggregator", shown(self._rest(bank)))
        return self._work(bank, "splits", (Line("", "its numbers", shown(self.updates[bank])), *drawn, left))

    def _adding(self, holder: str) -> tuple[Work, ...]:
        banks = [bank for bank in self.banks if self.recording.answer(UPLOAD, bank) is not None]
        works = []
        assert self._told is not None
        for part, answered in self._answer(self._told, holder).sums.items():
            shares = [Line("+", f"share of {bank}", shown(self._share(bank, part))) for bank in banks]
            more = answered - sum((self._share(bank, part) for bank in banks), ring.zeros(self.cohort.plan))
            ring.to_integers(self.cohort.plan, more)
            lie = (Line("+", "what it puts on top", shown(more)),) if more.any() else ()
            lines = (*shares, *lie, Line("=", "what it answers", shown(answered)))
            works.append(self._work(holder, "adds", lines))
        return tuple(works)

    def _work(self, party: str, verb: str, lines: tuple[Line, ...]) -> Work:
        return Work(party, f"{verb}, modulo 2^{self.cohort.plan.ring_bits}", lines)

    def _sealed(self, bank: str, holder: str, sealed: bytes, name: str) -> Field:
        meaning = "; ".join(
            f"{shortened(self._seed(bank, part), 4)}, which stands for {' '.join(shown(self._share(bank, part)))}"
            for part in parts_of(self.cohort, holder)
        )
        return Field(name, sealed, meaning, (AGGREGATOR if bank in self.made_up else bank, holder))

    @property
    def _parts(self) -> range:
        return range(len(self.cohort.plan.committee.subsets))

    def _part(self, part: int) -> str:
        """Who has it."""
        return listed([self.cohort.trustees[member] for member in self.cohort.plan.committee.subsets[part]])

    def _upload(self, bank: str) -> Upload:
        payload = self.recording.answer(UPLOAD, bank)
        assert payload is not None
        return split_upload(self.cohort, payload)

    def _seed(self, bank: str, part: int) -> bytes:
        member = self.cohort.plan.committee.subsets[part][0]
        holder = self.cohort.trustees[member]
        sealed = self._upload(bank).sealed[member]
        seeds = unseal(self.holders[holder].key, sealed, purpose(self.cohort, bank, holder))
        return seeds[SEED_BYTES * parts_of(self.cohort, holder).index(part) :][:SEED_BYTES]

    def _share(self, bank: str, part: int) -> RingVector:
        share = ring.zeros(self.cohort.plan)
        add_mask(share, self._seed(bank, part))
        return ring.to_integers(self.cohort.plan, share)

    def _rest(self, bank: str) -> RingVector:
        return ring.from_bytes(self.cohort.plan, self._upload(bank).share).copy()

    def _round_of(self, answer: Sent) -> Round:
        return next(each for each in self._sums if each.answers.get(answer.sender) is answer)

    def _answer(self, round_: Round, holder: str) -> PartSums:
        asked = next(sent for sent in round_.requests if sent.recipient == holder)
        wanted = read_request(self.cohort, holder, self.recording.payload(asked)).wanted
        return unpack_sums(self.cohort, holder, self.recording.payload(round_.answers[holder]), wanted)
