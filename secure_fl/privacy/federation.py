"""Differential privacy over a whole federation: who adds how much noise, what it costs, and what it does not cover.

Two mechanisms:

*dp-sgd* protects each row of each bank, towards everybody else. Every bank adds its own noise and trusts nobody. What
it releases is its share of the statistics of round 0 (`data.histogram`) and one update a round (`training.private`);
its ledger adds them up. No row lies in two banks, so the federation's epsilon is the largest of the banks'.

*distributed* protects each bank's whole update in the sum, towards everybody who sees sums (`distributed`). Nobody is
trusted with the noise, but the scheme must keep single updates hidden. Round 0's statistics are not covered.

What can be known before a run (banks too small, budgets out of reach, also for life) is found out before anything is
charged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.codec.sampler import discrete_gaussian
from secure_fl.data import Examples, Schema, magnitudes
from secure_fl.data.datasets import BankData, Dataset
from secure_fl.errors import ConfigurationError, PrivacyError
from secure_fl.federation.results import BankPrivacy, Privacy
from secure_fl.privacy.accounting import ACCOUNTANT, SampledGaussian, calibrate, epsilon, epsilon_table
from secure_fl.privacy.distributed import calibrate as calibrate_distributed
from secure_fl.privacy.distributed import effective_noise_multiplier, epsilon_spent, noise_to_norm
from secure_fl.privacy.ledger import LEDGER, Cost, Ledger
from secure_fl.privacy.lifetime import Account, LedgerStore, Unit
from secure_fl.secagg.budget import NoisePlan
from secure_fl.settings.experiment import Experiment
from secure_fl.training import FlatWeights, NoiseSettings, TrainingSettings, arithmetic, sample_rate, train_privately

STATISTICS_NOISE = 20.0
"""Noise multiplier of round 0's histograms: about 0.16 of epsilon at delta 1e-5 by itself, and beside a budget of 3
hardly more than nothing, since independent noises add up in squares."""


@dataclass(frozen=True)
class Lifetime:
    """Where a run is counted for as long as its banks live."""

    store: LedgerStore
    run: str
    """A name that no other run has."""

    def account(self, experiment: Experiment, bank: BankData, unit: Unit) -> Account:
        """Raises `PrivacyError` where the store cannot be relied on."""
        assert experiment.delta is not None
        assert bank.table is not None, "the rows of a private run are known to its ledgers"
        rows = self.store.register(bank.table)
        return Account(self.run, bank.name, rows, unit, experiment.delta, experiment.lifetime_epsilon, self.store)


@dataclass(frozen=True)
class RowNoise:
    """How DP-SGD is calibrated at one bank, for all rounds at once."""

    noise: NoiseSettings
    sample_rate: float
    steps: int
    """In one round."""

    @classmethod
    def of_rows(cls, experiment: Experiment, settings: TrainingSettings, rows: int) -> RowNoise:
        """Raises `ConfigurationError` where the bank is too small, or the budget out of reach."""
        assert experiment.delta is not None
        rate = sample_rate(rows, settings)
        steps = experiment.local_epochs * max(1, rows // settings.batch_size)
        multiplier = experiment.noise_multiplier
        if multiplier is None:
            assert experiment.epsilon is not None
            delta, all_steps = experiment.delta, steps * experiment.rounds
            multiplier = _noise_multiplier(experiment.epsilon, delta, _rounded_up(rate), all_steps)
        return cls(NoiseSettings(multiplier, experiment.max_grad_norm), rate, steps)

    @property
    def event(self) -> SampledGaussian:
        """One round's training."""
        return SampledGaussian(self.noise.noise_multiplier, self.sample_rate, self.steps)


@dataclass(frozen=True)
class RowPrivacy:
    """DP-SGD at one bank for a whole run."""

    settings: TrainingSettings
    noise: NoiseSettings
    sample_rate: float
    steps: int
    """In one round."""
    ledger: Ledger

    @classmethod
    def of_bank(
        cls,
        experiment: Experiment,
        settings: TrainingSettings,
        bank: str,
        rows: int,
        folder: Path | None,
        resume: bool,
        account: Account | None = None,
    ) -> RowPrivacy:
        """Calibrated for all rounds at once. Raises `ConfigurationError`, or `PrivacyError` for a lost ledger."""
        assert experiment.delta is not None
        delta, planned = experiment.delta, RowNoise.of_rows(experiment, settings, rows)

        def cost(events: Sequence[SampledGaussian]) -> float:
            return epsilon(events, delta)

        ledger = _open_ledger(experiment, bank, cost, folder, resume, account)
        return cls(settings, planned.noise, planned.sample_rate, planned.steps, ledger)

    def histogram(self, raw: NDArray[np.float64]) -> NDArray[np.int64]:
        """The bank's noisy counts of round 0, [M * BINS]."""
        counts = magnitudes(raw).ravel()
        deviation = histogram_noise(raw.shape[1])
        return self.ledger.once(
            _STATISTICS_ROUND,
            b"statistics" + counts.tobytes(),
            _STATISTICS_EVENT,
            lambda: counts + discrete_gaussian(deviation, len(counts)),
        )

    def train(self, weights: FlatWeights, examples: Examples, round_: int, model_digest: bytes) -> FlatWeights:
        """The bank's weights after one round from `weights`, entered into its ledger first."""
        event = SampledGaussian(self.noise.noise_multiplier, self.sample_rate, self.steps)
        settings = repr((self.settings, self.noise, arithmetic())).encode()
        context = model_digest + settings + examples.features.tobytes() + examples.fraud.tobytes()
        key = self.ledger.charge(f"round {round_}", context, event)
        return train_privately(weights, examples, self.settings, self.noise, steps=self.steps, key=key)

    def report(self) -> BankPrivacy:
        return BankPrivacy(
            bank=self.ledger.bank,
            epsilon=self.ledger.epsilon,
            noise_multiplier=self.noise.noise_multiplier,
            sample_rate=self.sample_rate,
            steps=sum(entry.event.steps for entry in self.ledger.entries if entry.release != _STATISTICS_ROUND),
        )


def histogram_noise(features: int) -> float:
    """Standard deviation of each bank's noise on one count: a row changes one count of every feature."""
    return STATISTICS_NOISE * float(np.sqrt(features))


def row_report(experiment: Experiment, banks: Sequence[RowPrivacy], source: Schema) -> Privacy:
    """What a run under DP-SGD promises, and what it does not."""
    assert experiment.delta is not None
    reports = tuple(bank.report() for bank in banks)
    worst = max(banks, key=lambda bank: bank.ledger.epsilon)
    looks_back = bool(source.identifiers) and source.time is not None
    smallest = min(round(experiment.batch_size / bank.sample_rate) for bank in banks)
    notes = (
        [f"delta {experiment.delta:g} is not below 1 / {smallest} rows: it would allow to publish a whole row"]
        if experiment.delta * smallest >= 1
        else []
    )
    return Privacy(
        mechanism="dp-sgd",
        epsilon=worst.ledger.epsilon,
        delta=experiment.delta,
        unit="example" if looks_back else "transaction",
        neighbours="one of them added to a bank's training rows, or removed",
        accountant=ACCOUNTANT,
        banks=reports,
        statistics_noise_multiplier=STATISTICS_NOISE,
        epsilon_by_accountant=epsilon_table(worst.ledger.events, experiment.delta),
        not_covered=(*((_LOOKS_BACK,) if looks_back else ()), *_NOT_COVERED),
        notes=tuple(notes),
        **_for_life([bank.ledger for bank in banks]),
    )


@dataclass(frozen=True)
class SumPrivacy:
    """Distributed noise in every sum of a run."""

    noise: NoisePlan
    delta: float
    ledgers: tuple[Ledger, ...] = field(repr=False)

    @classmethod
    def of_federation(
        cls,
        experiment: Experiment,
        noise: NoisePlan,
        folder: Path | None,
        resume: bool,
        accounts: Mapping[str, Account],
    ) -> SumPrivacy:
        """Raises `ConfigurationError` where the noise promises nothing, `PrivacyError` for a lost ledger."""
        assert experiment.delta is not None
        delta = experiment.delta

        planned = SampledGaussian(effective_noise_multiplier(noise), 1.0, 1)
        if epsilon_spent(noise, experiment.rounds, delta) == math.inf:
            raise ConfigurationError(
                f"a noise multiplier of {noise.noise_multiplier:g} promises nothing over {experiment.rounds} rounds; "
                "use a larger one, or fewer rounds"
            )

        def cost(events: Sequence[SampledGaussian]) -> float:
            if any(event != planned for event in events):
                raise PrivacyError("the noise was planned anew after it was spent; go on with the run's own settings")
            return epsilon_spent(noise, len(events), delta) if events else 0.0

        if not resume:
            for account in accounts.values():
                account.require_room([planned] * experiment.rounds)
        ledgers = (
            _open_ledger(experiment, bank, cost, None if folder is None else folder / bank, resume, accounts.get(bank))
            for bank in experiment.bank_names
        )
        return cls(noise, delta, tuple(ledgers))

    def charge(self, round_: int, model_digest: bytes) -> None:
        """Enter a round into every bank's ledger. Noise is drawn anew when a round is repeated, so it counts again."""
        event = SampledGaussian(effective_noise_multiplier(self.noise), 1.0, 1)
        for ledger in self.ledgers:
            ledger.charge(f"round {round_}", model_digest, event, repeats=False)

    def report(self, scheme: str) -> Privacy:
        rounds = max(len(ledger.entries) for ledger in self.ledgers)
        multiplier = effective_noise_multiplier(self.noise)
        insider = epsilon_spent(self.noise, rounds, self.delta, known_shares=1)
        banks = tuple(BankPrivacy(ledger.bank, ledger.epsilon, multiplier, 1.0, rounds) for ledger in self.ledgers)
        ratio = noise_to_norm(self.noise)
        notes = [
            f"a bank knows its own share of the noise: towards each of them epsilon is {insider:.3g}",
            f"the noise in a mean update is {ratio:.3g} times as long as an update may be"
            + ("; nothing can be learned under it" if ratio > 10 else ""),
        ]
        if scheme == "plaintext":
            notes.append(
                "plaintext shows single updates to the aggregator, with one share of noise each: no protection"
            )
        return Privacy(
            mechanism="distributed",
            epsilon=max(bank.epsilon for bank in banks),
            delta=self.delta,
            unit="bank",
            neighbours="one bank's update replaced by zero; who takes part is public",
            accountant="rdp",
            banks=banks,
            statistics_noise_multiplier=None,
            epsilon_by_accountant={},
            not_covered=(_STATISTICS, *_NOT_COVERED),
            notes=tuple(notes),
            withheld=_WITHHELD,
            **_for_life(self.ledgers),
        )


@dataclass(frozen=True)
class FederationPrivacy:
    """The privacy of a run, whichever mechanism protects it, or none."""

    experiment: Experiment
    rows: Mapping[str, RowPrivacy]
    """By bank, under DP-SGD."""
    sums: SumPrivacy | None
    source: Schema

    @classmethod
    def open(
        cls,
        experiment: Experiment,
        noise: NoisePlan | None,
        dataset: Dataset,
        folder: Path | None,
        resume: bool,
        lifetime: Lifetime | None = None,
    ) -> FederationPrivacy:
        """Opens every bank's ledger, in its own folder inside of `folder`; None: in memory only.

        `lifetime`: where releases are counted for life; None: nowhere, since nobody is to see them. Raises
        `ConfigurationError`, or `PrivacyError` for a ledger that should be there and is not; nothing is charged.
        """
        source = dataset.banks[0].train.schema
        if noise is not None:
            accounts = _accounts(experiment, dataset, lifetime, "bank")
            return cls(experiment, {}, SumPrivacy.of_federation(experiment, noise, folder, resume, accounts), source)
        rows = _open_rows(experiment, dataset, folder, resume, lifetime) if experiment.private_rows else {}
        return cls(experiment, rows, None, source)

    def charge(self, round_: int, model_digest: bytes) -> None:
        """Enter a round of noisy sums. Under DP-SGD the banks do so themselves, before they train."""
        if self.sums is not None:
            self.sums.charge(round_, model_digest)

    @property
    def ledgers(self) -> tuple[Ledger, ...]:
        return self.sums.ledgers if self.sums is not None else tuple(rows.ledger for rows in self.rows.values())

    @property
    def epsilon(self) -> float | None:
        """Spent so far, by the bank that has spent most; None without differential privacy."""
        return max((ledger.epsilon for ledger in self.ledgers), default=None)

    def close(self) -> None:
        """Nothing is to be repeated any more: forget the keys of the noise."""
        for ledger in self.ledgers:
            ledger.close()

    def require_rounds(self, finished: int) -> None:
        """Refuse to go on where a round that was finished is missing in a bank's ledger. Raises `PrivacyError`."""
        for ledger in self.ledgers:
            entered = {entry.release for entry in ledger.entries}
            if not {f"round {number}" for number in range(1, finished + 1)} <= entered:
                raise PrivacyError(
                    f"the ledger of {ledger.bank} lacks a round that was finished; put its newest copy back, since "
                    "what it spent is not known without it"
                )

    def report(self) -> Privacy | None:
        """What was spent; None without differential privacy."""
        if self.sums is not None:
            return self.sums.report(self.experiment.scheme)
        return row_report(self.experiment, tuple(self.rows.values()), self.source) if self.rows else None


def _open_rows(
    experiment: Experiment, dataset: Dataset, folder: Path | None, resume: bool, lifetime: Lifetime | None
) -> dict[str, RowPrivacy]:
    """Every bank is checked before any ledger is opened."""
    settings = training_settings(experiment)
    planned = {bank.name: RowNoise.of_rows(experiment, settings, len(bank.train)) for bank in dataset.banks}
    accounts = _accounts(experiment, dataset, lifetime, "row")
    if not resume:
        for name, account in accounts.items():
            account.require_room([_STATISTICS_EVENT, *[planned[name].event] * experiment.rounds])
    return {
        bank.name: RowPrivacy.of_bank(
            experiment,
            settings,
            bank.name,
            len(bank.train),
            None if folder is None else folder / bank.name,
            resume,
            accounts.get(bank.name),
        )
        for bank in dataset.banks
    }


def _accounts(experiment: Experiment, dataset: Dataset, lifetime: Lifetime | None, unit: Unit) -> dict[str, Account]:
    return {} if lifetime is None else {b.name: lifetime.account(experiment, b, unit) for b in dataset.banks}


def _open_ledger(
    experiment: Experiment, bank: str, cost: Cost, folder: Path | None, resume: bool, account: Account | None
) -> Ledger:
    """A bank's ledger in a run: the one that it kept, where it goes on; a new one, where nothing was released yet."""
    assert experiment.delta is not None
    unused = account is not None and folder is not None and not (folder / LEDGER).exists() and not account.releases
    if resume and folder is not None and not unused:
        return Ledger.restore(bank, experiment.delta, experiment.epsilon, cost, folder, account)
    return Ledger(bank, experiment.delta, experiment.epsilon, cost, folder, account=account)


def _for_life(ledgers: Sequence[Ledger]) -> dict[str, Any]:
    """The part of a report that looks beyond the run."""
    accounts = [ledger.account for ledger in ledgers if ledger.account is not None]
    return {
        "lifetime_epsilon": {ledger.bank: ledger.lifetime_epsilon for ledger in ledgers if ledger.account is not None},
        "ledger": asdict(accounts[0].store.end) if accounts else None,
    }


def training_settings(experiment: Experiment) -> TrainingSettings:
    """The part of an experiment that training needs."""
    return TrainingSettings(
        batch_size=experiment.batch_size,
        learning_rate=experiment.learning_rate,
        dropout=experiment.dropout,
        positive_weight=experiment.positive_weight,
        device=experiment.device,
    )


def distributed_noise_multiplier(experiment: Experiment, parameters: int) -> float:
    """The noise of a distributed sum over its sensitivity, calibrated for all rounds unless it is given."""
    if experiment.noise_multiplier is not None:
        return experiment.noise_multiplier
    assert experiment.epsilon is not None
    assert experiment.delta is not None
    return calibrate_distributed(experiment.epsilon, experiment.delta, experiment.rounds, parameters, experiment.banks)


@lru_cache(maxsize=1024)
def _noise_multiplier(target: float, delta: float, rate: float, steps: int) -> float:
    return calibrate(lambda noise: (SampledGaussian(noise, rate, steps), _STATISTICS_EVENT), target, delta)


def _rounded_up(rate: float) -> float:
    """To 1 in 1,000, so that banks of almost the same size are calibrated once; more sampling costs more."""
    digits = 10.0 ** (3 - np.ceil(np.log10(rate)))
    return min(1.0, float(np.ceil(rate * digits) / digits))


_STATISTICS_ROUND = "round 0"
_STATISTICS_EVENT = SampledGaussian(STATISTICS_NOISE, 1.0, 1)
_LOOKS_BACK = (
    "a transaction as such: it also enters the features of later rows of its customer and terminal, and the promise "
    "holds for each such row by itself"
)
_STATISTICS = "the means and deviations of round 0, which are exact sums over all banks"
_NOT_COVERED = (
    "how many rows each bank has, and how many rows there are: taken to be public",
    "who takes part, when messages are sent, how long they are, and how long anything took",
    "other runs: epsilon is this run's alone; what all runs on the same rows spent together is the epsilon for life, "
    "as far as this store of ledgers knows of them",
    "the choice of settings, where it looked at rows without a run that is in the ledgers",
    "what only the sandbox computes and no federation would publish: test scores (of rounds and at the end; features "
    "of test rows look back at training rows), baselines (trained without privacy) and counts of rows and frauds",
)
_WITHHELD = (
    "the update of a bank, and the message where that can be read: single updates are protected by the sum only",
    "the largest error of the mean: it is the noise itself, which would tell how far the sum is from the exact one",
)
