"""A rule over single updates, which the aggregator reads: banks upload as they always do under plaintext."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from secure_fl.codec.quantization import Codec, FloatVector, MeanUpdate
from secure_fl.federation.aggregation import SecureAggregation
from secure_fl.federation.combining import Clients, Clock, Combined, Contributions
from secure_fl.federation.ruling import Ruling
from secure_fl.secagg.attempts import Completed
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.plaintext import plaintext_server
from secure_fl.secagg.protocol import SecureSum, ServerHalf, Values


@dataclass
class Reading:
    """The updates of one round, as the aggregator reads them."""

    aggregation: SecureAggregation
    codec: Codec
    ruling: Ruling
    arrived: dict[str, MeanUpdate] = field(default_factory=dict)
    """Of the last attempt: bank -> its update."""

    def sum(self, cohort: Cohort[Plan], clients: Clients, absent: Mapping[str, str], clock: Clock) -> Completed:
        return self.aggregation.sum(cohort, clients, absent, clock, self._server)

    def _server(self, cohort: Cohort[Plan]) -> ServerHalf:
        """The aggregator's half: that of plaintext, which keeps the updates apart too."""
        self.arrived = {}
        summed = yield from plaintext_server(cohort, self._look)
        self.ruling.require(len(self.arrived), "banks sent an update", cohort.round, summed.refused)
        return summed

    def _look(self, bank: str, values: Values) -> None:
        """Keep the update that a bank's values are."""
        self.arrived[bank] = self.codec.decode(values, 1)

    def combine(self, arrived: SecureSum, cohort: Cohort[Plan]) -> Combined:
        banks = tuple(bank for bank in cohort.banks if bank in arrived.contributors)
        found = self.ruling.of(np.array([self.arrived[bank].update for bank in banks]))

        def same_of(contributions: Contributions) -> FloatVector:
            return self.ruling.same(found, np.array([contributions[bank].update for bank in banks]))

        return Combined(
            MeanUpdate(found.aggregate, None, self.arrived[banks[0]].step),
            banks,
            same_of,
            tuple(bank for row, bank in enumerate(banks) if row not in found.chosen),
        )
