"""Who sent how many bytes to whom: what an observer of the wires would have, and never a payload."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from secure_fl.secagg.budget import Plan
from secure_fl.secagg.messages import AGGREGATOR, Cohort
from secure_fl.secagg.notebooks import html_table


@dataclass(frozen=True)
class Delivery:
    """One line of the transcript."""

    round: int
    attempt: int
    stage: str
    sender: str
    recipient: str
    nbytes: int
    sha256: str


class Deliveries(tuple[Delivery, ...]):
    """The lines of a finished transcript, in order; shown as sums over the stages of the protocol."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Deliveries({len(self):,} messages, {sum(d.nbytes for d in self):,} bytes)"

    def _repr_html_(self) -> str:
        messages: Counter[str] = Counter(d.stage for d in self)
        bytes_: Counter[str] = Counter()
        for delivery in self:
            bytes_[delivery.stage] += delivery.nbytes
        return html_table(
            {stage: (f"{count:,} messages", f"{bytes_[stage]:,} bytes") for stage, count in messages.items()}
            | {"all": (f"{len(self):,} messages", f"{bytes_.total():,} bytes")}
        )


@dataclass
class Transcript:
    """All deliveries of a run, in order, while it goes on."""

    deliveries: list[Delivery] = field(default_factory=list)

    @property
    def so_far(self) -> Deliveries:
        """The lines up to now."""
        return Deliveries(self.deliveries)

    def record(self, cohort: Cohort[Plan], stage: str, sender: str, recipient: str, data: bytes) -> None:
        digest = hashlib.sha256(data).hexdigest()
        self.deliveries.append(Delivery(cohort.round, cohort.attempt, stage, sender, recipient, len(data), digest))

    def uploads(self, round_: int) -> Counter[str]:
        """Bytes that each party sent to the aggregator in a round, over all its attempts."""
        return self._bytes(round_, lambda d: d.sender if d.recipient == AGGREGATOR else None)

    def downloads(self, round_: int) -> Counter[str]:
        """Bytes that the aggregator sent to each party in a round, over all its attempts."""
        return self._bytes(round_, lambda d: d.recipient if d.sender == AGGREGATOR else None)

    def _bytes(self, round_: int, party: Callable[[Delivery], str | None]) -> Counter[str]:
        count: Counter[str] = Counter()
        for delivery in self.deliveries:
            name = party(delivery)
            if delivery.round == round_ and name is not None:
                count[name] += delivery.nbytes
        return count
