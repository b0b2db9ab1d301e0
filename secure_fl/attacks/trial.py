"""One round of a federation that trains on one batch each, seen through the aggregator's eyes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from secure_fl.aggregation import SecureAggregation
from secure_fl.attacks.held import decoded, read_upload
from secure_fl.attacks.scene import Scene
from secure_fl.attacks.victim import LocalStep, contribute
from secure_fl.bank import Bank
from secure_fl.exhibit import Overheard
from secure_fl.quantization import Contribution
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


class Observatory:
    """A federation whose rounds are watched; every round has new batches."""

    def __init__(self, scene: Scene, local: LocalStep) -> None:
        self.scene, self.local = scene, local
        self.model = scene.model()
        self.aggregation: SecureAggregation = scene.aggregation()
        self.codec = self.model.codec(self.aggregation.plan)
        self._rounds = 0

    def next_round(self) -> int:
        self._rounds += 1
        return self._rounds

    def watch(self, rng: np.random.Generator) -> Seen:
        """One honest round."""
        number = self.next_round()
        cohort = self.aggregation.cohort(number, self.codec.length, context=self.model.digest)
        received = self.aggregation.broadcast(cohort, self.model.to_bytes())
        banks = self.scene.draw_banks(rng)
        clients = {}
        for bank in banks:
            bank.receive(cohort, received[bank.name])
            values = bank.encode(self.contribution(bank, number, rng), cohort.plan, number)
            clients[bank.name] = self.aggregation.client(cohort, bank.name, values)
        victim = banks[0].name
        scheme = self.aggregation.scheme
        overheard = Overheard(clients[victim], cohort, victim, scheme.input_stage)
        outcome = self.aggregation.sum(cohort, {**clients, victim: overheard})
        batch = self.scene.experiment.batch_size
        return Seen(
            upload=read_upload(scheme, overheard, cohort, self.codec, len(self.model.weights), batch),
            total=self.open_sum(outcome.sum.total),
            rows=banks[0].examples.features,
            all_rows=rows_of(banks),
        )

    def open_sum(self, total: Values) -> FloatVector:
        """The sum of all banks' updates, [parameters], from the integers that the scheme opened."""
        banks, batch = len(self.scene.dataset.banks), self.scene.experiment.batch_size
        return banks * decoded(total, self.codec, len(self.model.weights), banks, batch)

    def contribution(self, bank: Bank, number: int, rng: np.random.Generator) -> Contribution:
        return contribute(bank, number, self.local, self.scene.experiment, int(rng.integers(2**31)))


def rows_of(banks: Sequence[Bank]) -> NDArray[np.float32]:
    return np.concatenate([bank.examples.features for bank in banks])
