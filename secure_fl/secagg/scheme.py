"""What a scheme is: its numbers, its custody, and the halves of its protocol. `schemes` lists them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from secure_fl.secagg.budget import Committee, Plan
from secure_fl.secagg.custody import Custody
from secure_fl.secagg.messages import SESSION_BYTES, Cohort
from secure_fl.secagg.protocol import Party, ServerHalf, Values
from secure_fl.secagg.transcript import Transcript


def majority(banks: int) -> int:
    """The fewest that are more than half."""
    return banks // 2 + 1


class Deployment(Protocol):
    """A scheme whose keys are made: for one federation, any number of rounds and attempts."""

    def setup(self, cohort: Any, transcript: Transcript) -> None:
        """Record what was exchanged to get here."""

    def client(self, cohort: Any, bank: str, values: Values) -> Party:
        """The client half of one bank in one attempt."""

    def trustees(self, cohort: Any) -> Mapping[str, Party]:
        """The other parties of one attempt."""

    def server(self, cohort: Any) -> ServerHalf:
        """The aggregator's half of one attempt."""


@dataclass(frozen=True)
class Scheme:
    """What the rest of the package needs to know of a scheme."""

    name: str
    title: str
    """What it is, in two words."""
    stages: tuple[str, ...]
    """The stages that ask something of the banks, in order; a drop names one of them."""
    input_stage: str
    """The stage in which a bank's values travel: a bank that misses it is not in the sum."""
    trustees: tuple[str, ...]
    """Key holders: key authority, share-holders."""
    custody: Custody
    plan: Callable[[int, int, int | None, int], Plan]
    """From banks, parameters, bits and threshold to a plan. Raises `PlanError`."""
    deploy: Callable[[Any], Deployment]
    read_upload: Callable[[Plan, memoryview], Values] | None = None
    """What the aggregator can read of one upload's payload; None where it can read nothing."""
    default_threshold: Callable[[int], int] = majority
    """The fewest of so many banks whose sum is opened, where nobody says otherwise."""
    takes_float32: bool = False
    """Whether it also adds float32 values, which are not quantized."""
    trustee_stages: Mapping[str, str] = field(default_factory=dict)
    """The stage that asks something of each of them."""
    with_committee: Callable[[Committee], Scheme] | None = None
    """The same scheme where a quorum of so many holders opens sums; None where it has no such."""
    experimental: str = ""
    """What is said of it wherever it is chosen or shown, where nobody should rely on it yet."""

    def cohort(
        self,
        plan: Plan,
        round_: int,
        banks: tuple[str, ...],
        context: bytes = b"",
        session: bytes = bytes(SESSION_BYTES),
    ) -> Cohort[Plan]:
        """The first attempt at a round's sum. A federation gives its own session; one sum by itself needs none."""
        return Cohort(plan, round_, banks, self.trustees, context, session)
