"""One round of a federation that trains on one batch each, seen through the aggregator's eyes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from secure_fl.attacks.held import decoded, read_upload
from secure_fl.attacks.scene import Scene
from secure_fl.attacks.victim import LocalStep, contribute
from secure_fl.codec.quantization import Contribution
from secure_fl.federation.bank import Bank
from secure_fl.federation.exhibit import Overheard
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.protocol import Values

FloatVector = NDArray[np.float64]


@dataclass(frozen=True)
class Seen:
    """What the aggregator has after a round, and, for the judge only, the rows behind it."""

    upload: FloatVector = field(repr=False)
    """The victim's upload read as an update, [parameters]."""
    total: FloatVector = field(repr=False)
    """The sum of all updates, which every scheme opens, [parameters]."""
    rows: NDArray[np.float32] = field(repr=False)
    """The victim's batch, [n, 128]."""
    all_rows: NDArray[np.float32] = field(repr=False)
    """The batches of all banks, [banks * n, 128]."""


@dataclass(frozen=True)
class Held:
    """What the aggregator holds after one secure sum."""

    cohort: Cohort[Plan]
    overheard: Overheard = field(repr=False)
    """The victim's client half, and with it what the victim sent."""
    total: Values = field(repr=False)


class Observatory:
    """A federation whose rounds are watched; every round has new batches."""

    def __init__(self, scene: Scene, local: LocalStep) -> None:
        self.scene, self.local = scene, local
        self.model = scene.model()
        self.aggregation = scene.aggregation()
        self.codec = self.model.codec(self.aggregation.plan)
        self._rounds = 0

    def next_round(self) -> int:
        self._rounds += 1
        return self._rounds

    def watch(self, rng: np.random.Generator) -> Seen:
        """One honest round."""
        banks = self.scene.draw_banks(rng)
        held = self.sum_of(self.values_of(banks, rng), banks[0].name)
        return Seen(
            upload=read_upload(
                self.aggregation.scheme, held.overheard, held.cohort, self.codec, len(self.model.weights), self.weight
            ),
            total=self.open_sum(held.total),
            rows=banks[0].examples.features,
            all_rows=rows_of(banks),
        )

    def values_of(self, banks: Sequence[Bank], rng: np.random.Generator) -> dict[str, Values]:
        """What each bank would send: trained on the round's model, encoded, not yet protected."""
        number = self.next_round()
        cohort = self._cohort(number)
        received = self.aggregation.broadcast(cohort, self.model.to_bytes())
        values = {}
        for bank in banks:
            bank.receive(cohort, received[bank.name])
            values[bank.name] = bank.encode(self.contribution(bank, number, rng), cohort.plan, number)
        return values

    def sum_of(self, values: Mapping[str, Values], victim: str, absent: str | None = None) -> Held:
        """A secure sum of its own over these values; `absent` does not answer in it."""
        number = self.next_round()
        cohort = self._cohort(number)
        clients = {name: self.aggregation.client(cohort, name, mine) for name, mine in values.items()}
        overheard = Overheard(clients[victim], cohort, victim, self.aggregation.scheme.input_stage)
        left_out = () if absent is None else (absent,)
        outcome = self.aggregation.attempt(cohort, {**clients, victim: overheard}, left_out)
        return Held(cohort, overheard, outcome.sum.total)

    def _cohort(self, number: int) -> Cohort[Plan]:
        return self.aggregation.cohort(number, self.codec.length, context=self.model.digest)

    def open_sum(self, total: Values, banks: int | None = None) -> FloatVector:
        """The sum of the updates of so many banks (None: all), [parameters], from the integers that add up to it."""
        banks = len(self.scene.dataset.banks) if banks is None else banks
        return banks * decoded(total, self.codec, len(self.model.weights), banks, self.weight)

    @property
    def weight(self) -> float:
        """Of every bank's update in the sum: its number of examples, which is a batch, over the public mean."""
        assert self.model.mean_examples is not None, "updates are weighted"
        return self.scene.experiment.batch_size / self.model.mean_examples

    def contribution(self, bank: Bank, number: int, rng: np.random.Generator) -> Contribution:
        return contribute(bank, number, self.local, self.scene.experiment, int(rng.integers(2**31)))


def rows_of(banks: Sequence[Bank]) -> NDArray[np.float32]:
    return np.concatenate([bank.examples.features for bank in banks])
