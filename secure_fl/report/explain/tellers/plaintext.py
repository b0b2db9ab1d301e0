"""A plain sum, step by step: what the other schemes take away."""

from __future__ import annotations

from collections.abc import Iterator

from secure_fl.report.explain.pools import Updates, listen
from secure_fl.report.explain.recording import Recording, Sent
from secure_fl.report.explain.story import Field, Line, Work, shown
from secure_fl.report.explain.tellers.teller import Teller, Told, sum_line
from secure_fl.secagg.messages import AGGREGATOR
from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.plaintext import UPLOAD, decode_values


class PlaintextTeller(Teller):
    """There is nothing to know beside the messages and what the banks put in."""

    def __init__(self, recording: Recording, updates: Updates) -> None:
        super().__init__(recording)
        self.updates = updates

    def ask(self, stage: str, recipients: tuple[str, ...]) -> Told:
        return Told("The aggregator asks for updates", "Nothing is in these messages but the envelope.")

    def answer(self, stage: str, sender: str) -> Told:
        text = "Its numbers as they are, side by side. Whoever carries the message reads them."
        return Told(f"{sender} sends its numbers", text)

    def fields(self, sent: Sent) -> Iterator[Field]:
        if sent.sender != AGGREGATOR:
            payload = self.recording.payload(sent)
            yield Field("values", bytes(payload), " ".join(shown(decode_values(self.cohort.plan, payload))))

    def end(self) -> Told:
        total = self.recording.sum
        assert total is not None
        parts = {bank: self.values(bank) for bank in sorted(total.contributors)}
        lines = [Line("+", f"numbers of {bank}", shown(values)) for bank, values in parts.items() if values is not None]
        work = Work(AGGREGATOR, "adds", (*lines, sum_line(total, self.updates)))
        return Told("The aggregator has the sum", "And every number of every bank.", (work,))

    def values(self, bank: str) -> IntVector | None:
        payload = self.recording.answer(UPLOAD, bank)
        return None if payload is None else decode_values(self.cohort.plan, payload)

    def found(self, members: frozenset[str], bank: str) -> tuple[IntVector, str] | None:
        values = self.values(bank) if listen(members) else None
        return None if values is None else (values, "Its message, read.")
