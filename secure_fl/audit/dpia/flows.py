"""Who sent what to whom, from the transcript: messages, bytes, what they hold and what protects them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from secure_fl.audit.dpia.facts import Facts
from secure_fl.audit.dpia.stages import Way, held
from secure_fl.report.wording import bytes_text, count_text
from secure_fl.secagg.messages import AGGREGATOR
from secure_fl.secagg.transcript import Delivery

HEAD = ("Stage", "From", "To", "Messages", "Bytes", "Holds", "Protection")


@dataclass(frozen=True)
class Flow:
    """All messages of one stage on one way."""

    stage: str
    sender: str
    recipient: str
    messages: int
    nbytes: int
    holds: str
    protection: str

    @property
    def cells(self) -> tuple[str, ...]:
        figures = (count_text(self.messages), bytes_text(self.nbytes))
        return (self.stage, self.sender, self.recipient, *figures, self.holds, self.protection)


def joint_flows(facts: Facts) -> tuple[Flow, ...]:
    """Over all banks, in the order in which each way was first taken."""
    return _flows(facts, facts.deliveries, dict.fromkeys(facts.banks, "each bank"))


def flows_of(facts: Facts, bank: str) -> tuple[Flow, ...]:
    """What one bank sent and received."""
    return _flows(facts, (d for d in facts.deliveries if bank in (d.sender, d.recipient)), {bank: "this bank"})


def _flows(facts: Facts, deliveries: Iterable[Delivery], called: dict[str, str]) -> tuple[Flow, ...]:
    messages: Counter[tuple[str, str, str]] = Counter()
    nbytes: Counter[tuple[str, str, str]] = Counter()
    ways: dict[tuple[str, str, str], Way] = {}
    for d in deliveries:
        key = (d.stage, called.get(d.sender, d.sender), called.get(d.recipient, d.recipient))
        messages[key] += 1
        nbytes[key] += d.nbytes
        ways[key] = _way(facts, d)
    return tuple(
        Flow(*key, count, nbytes[key], *held(facts.scheme, key[0], ways[key])) for key, count in messages.items()
    )


def _way(facts: Facts, delivery: Delivery) -> Way:
    if delivery.sender == AGGREGATOR:
        return "down" if delivery.recipient in facts.banks else "ask"
    return "up" if delivery.sender in facts.banks else "answer"
