"""What all parties work out for themselves from the roster's settings, alike: the plan, and each order's cohort."""

from __future__ import annotations

import hashlib
import logging
from functools import cached_property
from typing import Any

import numpy as np

from secure_fl.data import Standardization
from secure_fl.errors import ConfigurationError, MessageError
from secure_fl.federation.opening import lengths
from secure_fl.federation.round_zero import Statistics, statistics_of
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.budget.threshold import ThresholdPlan
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.planning import plan_for
from secure_fl.secagg.scheme import Scheme
from secure_fl.settings import Experiment
from secure_fl.training import Learner, usual_learner
from secure_fl.transport.orders import About, cohort_of

KEYS_AND_SHARES = 1 << 20
WHAT_A_BANK_SENDS_ON = 1 << 12


def context_of(model: bytes, scale: Standardization) -> bytes:
    """What banks agree on before they sum: the model (its digest), and the scale of the features under it.

    So a gateway that shows banks different scales makes different cohorts, as with different models.
    """
    return hashlib.sha256(model + np.array([scale.mean, scale.std], dtype="<f8").tobytes()).digest()


def joint_key_bytes(plan: ThresholdPlan) -> int:
    """That no key of a committee has: a polynomial for each prime and part, and less than one for who seals it."""
    return 8 * len(plan.committee.subsets) * (plan.ring.primes + 2) * plan.ring.degree


class Agreement:
    """Raises `ConfigurationError` for settings that banks on a network do not have yet, `PlanError` for no plan."""

    def __init__(self, experiment: Experiment) -> None:
        missing = [
            said
            for said, asked in (
                ("a robust rule", experiment.robust != "none"),
                ("proofs", experiment.proofs),
                ("an attack", experiment.attack != "none"),
                ("distributed noise", experiment.private_sums),
                (
                    "noise without an epsilon, whose budget bounds what a gateway can ask for",
                    experiment.private_rows and experiment.epsilon is None,
                ),
                ("drops", bool(experiment.drops)),
                ("fresh keys after some rounds", experiment.fresh_keys is not None),
                ("downlink = sum", experiment.downlink == "sum"),
            )
            if asked
        ]
        if missing:
            raise ConfigurationError(
                f"banks on a network do not do {', '.join(missing)} yet; leave that out, or use secure-fl run"
            )
        self.experiment = experiment
        self.scheme: Scheme = experiment.kind
        self.banks = experiment.bank_names

    def warn(self, log: logging.Logger) -> None:
        """Of a scheme that nobody should rely on yet."""
        if self.scheme.experimental:
            log.warning("scheme", extra={"scheme": self.scheme.name, "warning": self.scheme.experimental})

    @cached_property
    def learner(self) -> Learner:
        return usual_learner(self.experiment)

    @cached_property
    def plan(self) -> Plan:
        parameters = len(self.learner.initial(self.experiment.seed))
        longest = max(lengths(self.experiment, parameters))
        settings = self.experiment
        return plan_for(self.scheme, settings.banks, longest, settings.bits, settings.threshold)

    def statistics(self, features: int) -> Statistics:
        """What round 0 sums of so many numeric features."""
        return statistics_of(features, self.plan.bits, privately=self.experiment.private_rows)

    @property
    def largest_answer(self) -> int:
        """Bytes that no honest answer has: twice an upload's estimate, a sum that was opened, and keys and shares."""
        keys = joint_key_bytes(self.plan) if isinstance(self.plan, ThresholdPlan) else 0
        return 2 * self.plan.upload_bytes + 8 * self.plan.parameters + KEYS_AND_SHARES + keys

    def largest_order(self, party: str) -> int:
        """Bytes that no honest order to it has: a model takes 4 a parameter, and what banks send on to others is small.

        But for who adds up uploads again: such an order holds those of all banks.
        """
        adds_up = self.plan.commits and party in self.scheme.trustees
        sent_on = self.plan.upload_bytes if adds_up else WHAT_A_BANK_SENDS_ON
        return self.largest_answer + self.experiment.banks * sent_on

    def cohort(self, session: bytes, round_: int, length: int, context: bytes) -> Cohort[Any]:
        """The first attempt."""
        return self.scheme.cohort(self.plan.resized(length), round_, self.banks, context, session)

    def cohort_of(self, about: About | None) -> Cohort[Any]:
        """The cohort of an order. Raises `MessageError` for one that cannot be."""
        if about is not None and about.round > self.experiment.rounds:
            raise MessageError(f"an order is about round {about.round} of {self.experiment.rounds}; do not ask for it")
        return cohort_of(about, self.cohort)
