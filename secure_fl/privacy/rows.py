"""*dp-sgd*: every bank adds its own noise, trusts nobody, and protects each of its rows towards everybody else.

What a bank releases is its share of the statistics of round 0 (`data.histogram`) and one update a round
(`training.private`); its ledger adds them up. A row is one that one bank holds, so the federation's epsilon is the
largest of the banks'; where two of them hold rows that are alike, the report says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from secure_fl import settings as sections
from secure_fl.codec.sampler import discrete_gaussian
from secure_fl.data import Examples, Schema, magnitudes
from secure_fl.privacy.accounting import ACCOUNTANT, SampledGaussian, calibrate, epsilon, epsilon_table
from secure_fl.privacy.accounts import for_life, open_ledger
from secure_fl.privacy.ledger import Ledger
from secure_fl.privacy.lifetime import Account
from secure_fl.privacy.spent import NOT_COVERED, BankPrivacy, Privacy
from secure_fl.settings import Steps
from secure_fl.training import (
    FlatWeights,
    Learner,
    NoiseSettings,
    arithmetic,
    behaviour,
    sample_rate,
    train_privately,
    usual_learner,
)

STATISTICS_NOISE = 20.0
"""Noise multiplier of round 0's histograms: about 0.16 of epsilon at delta 1e-5 by itself, and beside a budget of 3
hardly more than nothing, since independent noises add up in squares."""


@dataclass(frozen=True)
class RowNoise:
    """How DP-SGD is calibrated at one bank, for all rounds at once."""

    noise: NoiseSettings
    sample_rate: float
    steps: int
    """In one round."""

    @classmethod
    def of_rows(cls, chosen: sections.Privacy, settings: Steps, rows: int) -> RowNoise:
        """Raises `ConfigurationError` where the bank is too small, or the budget out of reach."""
        assert chosen.delta is not None
        rate = sample_rate(rows, settings)
        steps = chosen.local_epochs * max(1, rows // settings.batch_size)
        multiplier = chosen.noise_multiplier
        if multiplier is None:
            assert chosen.epsilon is not None
            delta, all_steps = chosen.delta, steps * chosen.rounds
            multiplier = _noise_multiplier(chosen.epsilon, delta, _rounded_up(rate), all_steps)
        return cls(NoiseSettings(multiplier, chosen.max_grad_norm), rate, steps)

    @property
    def event(self) -> SampledGaussian:
        """One round's training."""
        return SampledGaussian(self.noise.noise_multiplier, self.sample_rate, self.steps)


@dataclass(frozen=True)
class RowPrivacy:
    """DP-SGD at one bank for a whole run."""

    settings: Steps
    noise: NoiseSettings
    sample_rate: float
    steps: int
    """In one round."""
    ledger: Ledger

    @classmethod
    def of_bank(
        cls,
        chosen: sections.Privacy,
        settings: Steps,
        bank: str,
        rows: int,
        folder: Path | None,
        resume: bool,
        account: Account | None = None,
    ) -> RowPrivacy:
        """Calibrated for all rounds at once. Raises `ConfigurationError`, or `PrivacyError` for a lost ledger."""
        assert chosen.delta is not None
        delta, planned = chosen.delta, RowNoise.of_rows(chosen, settings, rows)

        def cost(events: Sequence[SampledGaussian]) -> float:
            return epsilon(events, delta)

        ledger = open_ledger(chosen, bank, cost, folder, resume, account)
        return cls(settings, planned.noise, planned.sample_rate, planned.steps, ledger)

    def require_room(self, rounds: int) -> None:
        """Before the first release. Raises `PrivacyError` where what the rows may spend for life does not allow all."""
        if not self.ledger.entries and self.ledger.account is not None:
            event = SampledGaussian(self.noise.noise_multiplier, self.sample_rate, self.steps)
            self.ledger.account.require_room([STATISTICS_EVENT, *[event] * rounds])

    def histogram(self, raw: NDArray[np.float64]) -> NDArray[np.int64]:
        """The bank's noisy counts of round 0, [M * BINS]."""
        counts = magnitudes(raw).ravel()
        deviation = histogram_noise(raw.shape[1])
        return self.ledger.once(
            _STATISTICS_ROUND,
            b"statistics" + counts.tobytes(),
            STATISTICS_EVENT,
            lambda: counts + discrete_gaussian(deviation, len(counts)),
        )

    def train(
        self,
        weights: FlatWeights,
        examples: Examples,
        round_: int,
        model_digest: bytes,
        learner: Learner | None = None,
    ) -> FlatWeights:
        """The bank's weights after one round from `weights`, entered into its ledger first."""
        learner = learner or usual_learner(self.settings)
        event = SampledGaussian(self.noise.noise_multiplier, self.sample_rate, self.steps)
        settings = repr((self.settings, self.noise, arithmetic())).encode()
        if learner.own:
            settings += learner.description.encode() + behaviour(weights, examples, learner)
        context = model_digest + settings + examples.features.tobytes() + learner.labels(examples)
        key = self.ledger.charge(f"round {round_}", context, event)
        return train_privately(weights, examples, self.settings, self.noise, steps=self.steps, key=key, learner=learner)

    def report(self) -> BankPrivacy:
        return BankPrivacy(
            bank=self.ledger.bank,
            epsilon=self.ledger.epsilon,
            noise_multiplier=self.noise.noise_multiplier,
            sample_rate=self.sample_rate,
            steps=sum(entry.event.steps for entry in self.ledger.entries if entry.release != _STATISTICS_ROUND),
        )


def _alike(ledgers: Sequence[Ledger]) -> list[str]:
    """Banks that hold a row which another one holds too, as far as the ledgers for life recognise rows."""
    accounts = {ledger.bank: ledger.account for ledger in ledgers if ledger.account is not None}
    return [
        bank
        for bank, account in accounts.items()
        if any(account.shares_rows(other) for name, other in accounts.items() if name != bank)
    ]


def histogram_noise(features: int) -> float:
    """Standard deviation of each bank's noise on one count: a row changes one count of every feature."""
    return STATISTICS_NOISE * float(np.sqrt(features))


def row_report(chosen: sections.Privacy, banks: Sequence[RowPrivacy], source: Schema) -> Privacy:
    """What a run under DP-SGD promises, and what it does not."""
    assert chosen.delta is not None
    reports = tuple(bank.report() for bank in banks)
    worst = max(banks, key=lambda bank: bank.ledger.epsilon)
    looks_back = bool(source.identifiers) and source.time is not None
    smallest = min(round(chosen.batch_size / bank.sample_rate) for bank in banks)
    notes = (
        [f"delta {chosen.delta:g} is not below 1 / {smallest} rows: it would allow to publish a whole row"]
        if chosen.delta * smallest >= 1
        else []
    )
    alike = _alike([bank.ledger for bank in banks])
    if alike:
        notes.append(
            f"{', '.join(alike)} hold rows that are alike: each of them is protected as said, but whoever has the same "
            "row in several banks has spent the sum of theirs, here and for life"
        )
    return Privacy(
        mechanism="dp-sgd",
        epsilon=worst.ledger.epsilon,
        delta=chosen.delta,
        unit="example" if looks_back else "transaction",
        neighbours="one of them added to a bank's training rows, or removed",
        accountant=ACCOUNTANT,
        banks=reports,
        statistics_noise_multiplier=STATISTICS_NOISE,
        epsilon_by_accountant=epsilon_table(worst.ledger.events, chosen.delta),
        not_covered=(*((_LOOKS_BACK,) if looks_back else ()), *NOT_COVERED),
        notes=tuple(notes),
        **for_life([bank.ledger for bank in banks]),
    )


@lru_cache(maxsize=1024)
def _noise_multiplier(target: float, delta: float, rate: float, steps: int) -> float:
    return calibrate(lambda noise: (SampledGaussian(noise, rate, steps), STATISTICS_EVENT), target, delta)


def _rounded_up(rate: float) -> float:
    """To 1 in 1,000, so that banks of almost the same size are calibrated once; more sampling costs more."""
    digits = 10.0 ** (3 - np.ceil(np.log10(rate)))
    return min(1.0, float(np.ceil(rate * digits) / digits))


_STATISTICS_ROUND = "round 0"
STATISTICS_EVENT = SampledGaussian(STATISTICS_NOISE, 1.0, 1)
_LOOKS_BACK = (
    "a transaction as such: it also enters the features of later rows of its customer and terminal, and the promise "
    "holds for each such row by itself"
)
