"""A bank on a network: it trains on its own rows when it is sent a model, and takes part in the sum of updates.

What it does is what `federation.bank.Bank` does in memory, order by order. What it forgot, since its process was
started anew in the middle of a round, it refuses; the next round finds it there again.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from secure_fl.codec.quantization import Contribution
from secure_fl.data import FeatureSchema, FederationKey, Standardization
from secure_fl.data.datasets import BankData
from secure_fl.errors import DataError, MessageError, ProtocolError
from secure_fl.federation.bank import Bank
from secure_fl.federation.global_model import GlobalModel, read_broadcast
from secure_fl.federation.round_zero import CONTEXT, summable
from secure_fl.privacy.rows import RowPrivacy
from secure_fl.secagg.identity import Identity
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message
from secure_fl.secagg.protocol import Party, Values
from secure_fl.transport.agreement import Agreement, context_of
from secure_fl.transport.columns import Columns
from secure_fl.transport.halves import BankHalves
from secure_fl.transport.orders import ASK, FINISHED, HELLO, MODEL, SETTLE, STATISTICS, TAKE_KEY, Order
from secure_fl.transport.roster import Roster

Finished = Callable[[GlobalModel, FeatureSchema], None]


@dataclass
class _InRound:
    """What a bank has ready for a sum."""

    round: int
    length: int
    context: bytes
    values: Callable[[Cohort[Any]], Values] = field(repr=False)
    contribution: Contribution | None = field(default=None, repr=False)
    sent: Values | None = field(default=None, repr=False)
    half: Party | None = field(default=None, repr=False)
    attempt: bytes = b""
    """Digest of the cohort that the half is for."""


class BankParty:
    """Does the orders of one bank."""

    def __init__(
        self,
        roster: Roster,
        data: BankData,
        key: FederationKey,
        identity: Identity,
        finished: Finished,
        rows: RowPrivacy | None = None,
    ) -> None:
        """`finished`: is given the last model; `rows`: how the bank protects its rows, if it does."""
        self.agreed = Agreement(roster.settings)
        self._roster, self._data, self._key, self._finished = roster, data, key, finished
        number = self.agreed.banks.index(data.name) + 1
        self._bank = Bank(data, number, self.agreed.experiment, rows, learner=self.agreed.learner)
        self._halves = BankHalves(roster, data.name, identity)
        self._standardization: Standardization | None = None
        self._now: _InRound | None = None

    def __call__(self, order: Order) -> bytes:
        """Raises `ProtocolError` or `TrainingError` for an order that it must not or cannot do."""
        todo: dict[str, Callable[[Order], bytes]] = {
            HELLO: self._hello,
            TAKE_KEY: self._take_key,
            STATISTICS: self._statistics,
            MODEL: self._model,
            ASK: self._ask,
            SETTLE: self._settle,
            FINISHED: self._over,
        }
        if order.kind not in todo:
            raise MessageError(
                f"{self._data.name} knows no order {order.kind[:20]!r}; look whether both have one version"
            )
        return todo[order.kind](order)

    def _hello(self, order: Order) -> bytes:
        return Columns.of(self._data.train).to_bytes()

    def _take_key(self, order: Order) -> bytes:
        self._halves.take_key(self.agreed.plan, order.body)
        return b""

    def _statistics(self, order: Order) -> bytes:
        cohort = self.agreed.cohort_of(order.about)
        statistics = self.agreed.statistics(self._bank.features)
        if cohort.context != CONTEXT or cohort.plan.parameters != statistics.length or cohort.round != 0:
            raise MessageError(f"{self._data.name} was asked for other statistics than round 0 has; make a new attempt")
        values = summable(statistics.digits(self._bank), cohort.plan)
        self._now = _InRound(0, statistics.length, CONTEXT, lambda attempt: values)
        return b""

    def _model(self, order: Order) -> bytes:
        """Receive the model, and train."""
        cohort = self.agreed.cohort_of(order.about)
        if cohort.round == 0:
            raise MessageError(f"{self._data.name} is sent a model for round 0, which has none; make a new attempt")
        opened = open_message(cohort, order.body, recipient=self._data.name, sender=AGGREGATOR, stage="broadcast")
        schema = self._schema_of(order.facts)
        model = hashlib.sha256(opened.payload).digest()
        if cohort.context != context_of(model, schema.standardization):
            raise MessageError(f"{self._data.name} received another model than its cohort; make a new attempt")
        self._bank.receive(replace(cohort, context=model), opened.payload)
        self._adopt(schema)
        contribution = self._bank.train(cohort.round)

        def values(attempt: Cohort[Any]) -> Values:
            return self._bank.encode(contribution, attempt.plan, attempt.round)

        self._now = _InRound(cohort.round, cohort.plan.parameters, cohort.context, values, contribution)
        return b""

    def _adopt(self, schema: FeatureSchema) -> None:
        """The scale of the features, which all banks have alike."""
        if schema.standardization != self._standardization:
            self._bank.adopt(schema)
            self._standardization = schema.standardization

    def _schema_of(self, facts: dict[str, Any]) -> FeatureSchema:
        try:
            scale = Standardization(tuple(map(float, facts["mean"])), tuple(map(float, facts["std"])))
            if not all(map(math.isfinite, scale.mean)) or not all(0 <= std < math.inf for std in scale.std):
                raise ValueError("no numbers")
            return FeatureSchema.create(self._data.train.schema, scale, self._key)
        except (KeyError, TypeError, ValueError, OverflowError, DataError):
            raise MessageError("the gateway sent no scale of features; look whether both have one version") from None

    def _ask(self, order: Order) -> bytes:
        """One stage of the sum."""
        cohort, now = self._sum_of(order)
        if order.facts.get("key", "") != self._halves.key:
            raise ProtocolError(f"{self._data.name} has another public key than the sum is under; send it that one")
        if now.half is None or now.attempt != cohort.digest:
            now.sent = now.values(cohort)
            now.half, now.attempt = self._halves.client(cohort, now.sent), cohort.digest
        return now.half.respond(order.body)

    def _sum_of(self, order: Order) -> tuple[Cohort[Any], _InRound]:
        """The cohort of an order, which is about what the bank has ready."""
        cohort, now = self.agreed.cohort_of(order.about), self._now
        if now is None or now.round != cohort.round:
            raise ProtocolError(f"{self._data.name} was started anew in the middle of the round; go on without it")
        if cohort.context != now.context:
            raise MessageError(f"{self._data.name} has another model than the sum is about; make a new attempt")
        if cohort.plan.parameters != now.length:
            raise MessageError(f"{self._data.name} is asked for values of another length; make a new attempt")
        return cohort, now

    def _settle(self, order: Order) -> bytes:
        contributors = order.facts.get("contributors")
        residuals = self.agreed.experiment.error_feedback
        if not residuals or not isinstance(contributors, list) or self._data.name not in contributors:
            return b""
        cohort, now = self._sum_of(order)
        if now.contribution is None or now.sent is None:
            raise MessageError(f"{self._data.name} sent nothing into that sum; look whether both have one version")
        self._bank.settle(now.contribution, now.sent, cohort.plan)
        return b""

    def _over(self, order: Order) -> bytes:
        self._finished(read_broadcast(order.body, self._whole_plan(), None), self._schema_of(order.facts))
        return b""

    def _whole_plan(self) -> Any:
        weights = len(self.agreed.learner.initial(self.agreed.experiment.seed))
        model = GlobalModel(np.zeros(weights, dtype=np.float32), 1.0, None if self.agreed.experiment.alike else 1.0)
        return self.agreed.plan.resized(model.codec(self.agreed.plan).length)
