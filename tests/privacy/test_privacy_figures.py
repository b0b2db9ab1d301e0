"""Every figure of a promise, recomputed from the ledgers behind it; every part of a bank's privacy, as it was asked.

The accountant is replaced by one that adds up, so that figures can be told apart at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from secure_fl import Experiment
from secure_fl.data import Examples, Schema, magnitudes
from secure_fl.data.datasets import Dataset, open_dataset
from secure_fl.errors import ConfigurationError, PrivacyError
from secure_fl.privacy import rows as row_privacy
from secure_fl.privacy import sums as sum_privacy
from secure_fl.privacy.accounting import ACCOUNTANT, SampledGaussian
from secure_fl.privacy.accounts import Lifetime
from secure_fl.privacy.distributed import effective_noise_multiplier, epsilon_spent, noise_to_norm
from secure_fl.privacy.federation import FederationPrivacy
from secure_fl.privacy.ledger import KEY, LEDGER, Ledger
from secure_fl.privacy.lifetime import Account, LedgerStore, Note
from secure_fl.privacy.rows import STATISTICS_NOISE, RowPrivacy, row_report
from secure_fl.privacy.spent import BankPrivacy, Privacy
from secure_fl.privacy.sums import SumPrivacy, distributed_noise_multiplier
from secure_fl.secagg.budget import NoisePlan
from secure_fl.secagg.planning import plan_with_noise
from secure_fl.settings import Steps
from secure_fl.training import FlatWeights, NoiseSettings, initial_weights

ORDERS = list(permutations((0, 1, 2)))
SETTINGS: dict[str, Any] = {"batch_size": 100, "rounds": 3, "delta": 1e-5, "noise_multiplier": 2.0}
START = initial_weights(1)
LIFE = Note(7, "ab" * 32)


def added_up(events: Sequence[SampledGaussian], delta: float = 1e-5, accountant: str = ACCOUNTANT) -> float:
    """Another figure for each list of events, each delta and each accountant."""
    return len(accountant) * sum(e.steps * e.sample_rate / e.noise_multiplier for e in events) + delta


@pytest.fixture
def accountant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_privacy, "epsilon", added_up)
    monkeypatch.setattr(
        row_privacy, "epsilon_table", lambda events, delta: {str(n): added_up(events[:n], delta) for n in range(9)}
    )


Given = tuple[tuple[Any, ...], dict[str, Any]]


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[Given]:
    """What trainings are given; nothing is trained."""
    given: list[Given] = []

    def train(*arguments: Any, **options: Any) -> FlatWeights:
        given.append((arguments, options))
        return START

    monkeypatch.setattr(row_privacy, "train_privately", train)
    return given


@dataclass
class LifeStub:
    """An account whose bank has spent `epsilon` for life."""

    epsilon: float
    end: Note = LIFE
    releases: list[Any] = field(default_factory=list)

    @property
    def store(self) -> LifeStub:
        return self

    def enter(self, release: str, context: str, event: SampledGaussian, known: int, *, repeats: bool) -> None:
        """Every release is allowed."""
        assert known == len(self.releases)
        self.releases.append((release, context, event))

    def shares_rows(self, other: Any) -> bool:
        return False


def examples(rows: int, seed: int = 0) -> Examples:
    rng = np.random.default_rng(seed)
    fraud = rng.random(rows) < 0.2
    return Examples(rng.normal(size=(rows, 128)).astype(np.float32), fraud, fraud.astype(np.int8))


def bank_of(rows: int, name: str, life: float | None = None, **changes: Any) -> RowPrivacy:
    experiment = Experiment(**{**SETTINGS, **changes})
    account: Any = None if life is None else LifeStub(life)
    return RowPrivacy.of_bank(experiment, experiment.only(Steps), name, rows, None, False, account)


# DP-SGD


def three_banks(order: tuple[int, ...]) -> tuple[RowPrivacy, ...]:
    """Banks that spent unlike amounts, in some order; each has another noise, sampling rate and life."""
    kinds = [(5_000, 4.0, 90.0), (300, 2.0, 80.0), (1_000, 3.0, 70.0)]
    banks = []
    for number, (rows, noise, life) in enumerate((kinds[place] for place in order), start=1):
        bank = bank_of(rows, f"bank-{number}", life, noise_multiplier=noise)
        bank.histogram(np.ones((rows, 2)))
        bank.train(START, examples(rows), 1, b"m")
        banks.append(bank)
    return tuple(banks)


@pytest.mark.usefixtures("accountant", "trainings")
@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("identified", [False, True])
@pytest.mark.parametrize("timed", [False, True])
def test_every_figure_of_a_report_is_of_its_bank(order: tuple[int, ...], identified: bool, timed: bool) -> None:
    banks = three_banks(order)
    source = Schema("fraud", time="t" if timed else None, identifiers=("card",) if identified else ())
    experiment = Experiment(**SETTINGS)
    rows = {"bank-1": banks[0], "bank-2": banks[1], "bank-3": banks[2]}
    privacy = FederationPrivacy(experiment, rows, None, source)
    said = privacy.report("ckks")
    assert said == row_report(experiment, banks, source)
    spent = [added_up(bank.ledger.events) for bank in banks]
    worst = banks[order.index(1)]
    assert added_up(worst.ledger.events) == max(spent) > sorted(spent)[1] > min(spent)
    looks_back = identified and timed
    assert said == Privacy(
        mechanism="dp-sgd",
        epsilon=max(spent),
        delta=1e-5,
        unit="example" if looks_back else "transaction",
        neighbours="one of them added to a bank's training rows, or removed",
        accountant="prv",
        banks=tuple(
            BankPrivacy(name, one, bank.noise.noise_multiplier, bank.sample_rate, bank.steps)
            for (name, bank), one in zip(rows.items(), spent, strict=True)
        ),
        statistics_noise_multiplier=20.0,
        epsilon_by_accountant={str(n): added_up(worst.ledger.events[:n]) for n in range(9)},
        not_covered=said.not_covered,
        notes=(),
        lifetime_epsilon={f"bank-{place + 1}": (90.0, 80.0, 70.0)[kind] for place, kind in enumerate(order)},
        ledger={"lines": 7, "head": "ab" * 32},
    )
    assert any("enters the features of later rows" in what for what in said.not_covered) == looks_back
    assert not any("exact sums over all banks" in what for what in said.not_covered)
    assert privacy.epsilon == max(spent)


def test_training_is_given_what_was_asked(accountant: None, trainings: list[Given]) -> None:
    bank = bank_of(1_000, "bank-1", max_grad_norm=0.25, local_epochs=2, learning_rate=0.5, dropout=0.125)
    rows = examples(1_000)
    assert bank.train(START, rows, 4, b"m") is START
    ((weights, given, settings, noise), options) = trainings[0]
    assert weights is START
    assert given is rows
    assert settings == Steps(batch_size=100, learning_rate=0.5, dropout=0.125, positive_weight=1.0)
    assert noise == NoiseSettings(2.0, 0.25)
    assert (options["steps"], len(options["key"])) == (20, 32)
    assert bank.ledger.events == (SampledGaussian(2.0, 0.1, 20),)
    assert bank.ledger.entries[0].release == "round 4"


def _changed(rows: Examples, name: str) -> Examples:
    values = getattr(rows, name).copy()
    values[0] = 1 - values[0]
    return replace(rows, **{name: values})


@pytest.mark.usefixtures("accountant")
def test_whatever_a_release_is_computed_from_makes_it_another(trainings: list[Given]) -> None:
    """The same key would otherwise make one noise for two releases, which can be subtracted."""
    bank, rows = bank_of(1_000, "bank-1"), examples(1_000)

    def release(of: RowPrivacy = bank, on: Examples = rows, number: int = 1, digest: bytes = b"m") -> None:
        of.train(START, on, number, digest)

    release()
    release()
    assert len(bank.ledger.entries) == 1
    release(on=_changed(rows, "features"))
    release(on=_changed(rows, "fraud"))
    release(number=2)
    release(digest=b"n")
    for settings in (
        bank.settings.model_copy(update={"learning_rate": 0.7}),
        bank.settings.model_copy(update={"positive_weight": 2.0}),
        bank.settings.model_copy(update={"dropout": 0.1}),
        bank.settings.model_copy(update={"batch_size": 50}),
    ):
        release(of=replace(bank, settings=settings))
    release(of=replace(bank, noise=NoiseSettings(2.0, 0.5)))
    assert len(bank.ledger.entries) == 10
    assert len({options["key"] for _, options in trainings}) == 10


def test_a_histogram_is_its_counts_with_noise_and_other_counts_are_another_release(
    accountant: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[float, int]] = []

    def drawn(deviation: float, count: int) -> np.ndarray:
        asked.append((deviation, count))
        return np.arange(count)

    monkeypatch.setattr(row_privacy, "discrete_gaussian", drawn)
    bank, rng = bank_of(1_000, "bank-1"), np.random.default_rng(0)
    one, other = rng.normal(size=(1_000, 4)), rng.normal(size=(1_000, 4)) * 100
    counts = magnitudes(one).ravel()
    assert np.array_equal(bank.histogram(one) - counts, np.arange(len(counts)))
    bank.histogram(other)
    assert asked == [(40.0, len(counts))] * 2, "20 times the root of four features"
    assert len({entry.context for entry in bank.ledger.entries}) == 2
    assert {entry.release for entry in bank.ledger.entries} == {"round 0"}
    assert bank.report().steps == 0


@pytest.mark.parametrize(("rows", "epochs"), [(1_237, 1), (199, 3)])
def test_noise_is_calibrated_for_all_that_the_run_releases(
    rows: int, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[tuple[SampledGaussian, ...], float, float]] = []

    def calibrate(events_of: Callable[[float], Any], target: float, delta: float) -> float:
        asked.append((tuple(events_of(7.0)), target, delta))
        return 7.0

    monkeypatch.setattr(row_privacy, "calibrate", calibrate)
    row_privacy._noise_multiplier.cache_clear()
    bank = bank_of(rows, "bank-1", noise_multiplier=None, epsilon=2.5, delta=1e-6, local_epochs=epochs)
    row_privacy._noise_multiplier.cache_clear()
    ((training, statistics), target, delta) = asked[0]
    assert statistics == SampledGaussian(STATISTICS_NOISE, 1.0, 1)
    assert training.steps == 3 * epochs * (rows // 100) == 3 * bank.steps
    assert 100 / rows < training.sample_rate < 1.01 * 100 / rows, "rounded up, so that likes are calibrated once"
    assert (training.noise_multiplier, target, delta) == (7.0, 2.5, 1e-6)
    assert (bank.noise.noise_multiplier, bank.sample_rate, bank.ledger.budget) == (7.0, 100 / rows, 2.5)


# Noise in sums


def plan_of(multiplier: float = 4.0, scheme: str = "masked", banks: int = 3) -> NoisePlan:
    return plan_with_noise(scheme, banks, 10_369, multiplier, 12)[1]


def sums_of(noise: NoisePlan, times: tuple[int, ...], cost: Callable[..., float]) -> SumPrivacy:
    """Banks that were charged some number of times each."""
    lives = (90.0, 80.0, 70.0)
    accounts: list[Any] = [LifeStub(life) for life in lives]
    ledgers = tuple(
        Ledger(f"bank-{n}", 1e-5, None, cost, account=account) for n, account in enumerate(accounts, start=1)
    )
    for ledger, count in zip(ledgers, times, strict=True):
        for number in range(count):
            SumPrivacy(noise, 1e-5, (ledger,)).charge(number, b"m")
    return SumPrivacy(noise, 1e-5, ledgers)


@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("scheme", ["masked", "plaintext"])
def test_every_figure_of_a_report_over_sums_is_of_its_bank(order: tuple[int, ...], scheme: str) -> None:
    noise = plan_of()
    times = tuple(place + 1 for place in order)
    sums = sums_of(noise, times, lambda events: float(len(events)))
    said = sums.report(scheme)
    insider = epsilon_spent(noise, 3, 1e-5, known_shares=1)
    assert insider > epsilon_spent(noise, 3, 1e-5)
    multiplier = effective_noise_multiplier(noise)
    assert multiplier != noise.noise_multiplier
    assert said == Privacy(
        mechanism="distributed",
        epsilon=3.0,
        delta=1e-5,
        unit="bank",
        neighbours="one bank's update replaced by zero; who takes part is public",
        accountant="rdp",
        banks=tuple(
            BankPrivacy(f"bank-{n}", float(count), multiplier, 1.0, 3) for n, count in enumerate(times, start=1)
        ),
        statistics_noise_multiplier=None,
        epsilon_by_accountant={},
        not_covered=said.not_covered,
        notes=said.notes,
        lifetime_epsilon={"bank-1": 90.0, "bank-2": 80.0, "bank-3": 70.0},
        ledger={"lines": 7, "head": "ab" * 32},
        withheld=said.withheld,
    )
    assert f"towards each of them epsilon is {insider:.3g}" in said.notes[0]
    assert f"is {noise_to_norm(noise):.3g} times as long" in said.notes[1]
    assert len(said.notes) == 2 + (scheme == "plaintext")
    assert any("exact sums over all banks" in what for what in said.not_covered)
    assert len(said.withheld) == 2
    assert FederationPrivacy(Experiment(), {}, sums, Schema("fraud")).epsilon == 3.0


@pytest.mark.parametrize("ratio", [9.9, 10.0, 10.1])
def test_noise_under_which_nothing_can_be_learned_is_said_to_be(ratio: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sum_privacy, "noise_to_norm", lambda noise: ratio)
    notes = sums_of(plan_of(), (1, 1, 1), lambda events: 1.0).report("masked").notes
    assert any("nothing can be learned" in note for note in notes) == (ratio > 10)


def test_a_round_of_noise_is_entered_by_every_bank_each_time() -> None:
    noise = plan_of()
    sums = sums_of(noise, (0, 0, 0), lambda events: 0.0)
    for _ in range(2):
        sums.charge(5, b"m")
    event = SampledGaussian(effective_noise_multiplier(noise), 1.0, 1)
    assert [ledger.events for ledger in sums.ledgers] == [(event, event)] * 3
    assert {entry.release for ledger in sums.ledgers for entry in ledger.entries} == {"round 5"}


def federation(noise: NoisePlan, rounds: int = 3, resume: bool = False, **accounts: Any) -> SumPrivacy:
    experiment = Experiment(mechanism="distributed", noise_multiplier=4.0, delta=1e-5, rounds=rounds)
    return SumPrivacy.of_federation(experiment, experiment.bank_names, noise, None, resume, accounts)


def test_sums_cost_what_the_accountant_of_sums_says_and_only_under_their_own_noise() -> None:
    noise = plan_of()
    ledger = federation(noise).ledgers[0]
    event = SampledGaussian(effective_noise_multiplier(noise), 1.0, 1)
    assert [ledger.cost([event] * n) for n in range(3)] == [0.0, *(epsilon_spent(noise, n, 1e-5) for n in (1, 2))]
    for other in ([replace(event, noise_multiplier=9.0)], [event, replace(event, steps=2)]):
        with pytest.raises(PrivacyError, match="planned anew"):
            ledger.cost(other)


def test_noise_must_promise_something_over_all_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sum_privacy, "epsilon_spent", lambda noise, rounds, delta: float("inf") if rounds > 5 else 1.0)
    federation(plan_of(), rounds=5)
    with pytest.raises(ConfigurationError, match="promises nothing over 6 rounds"):
        federation(plan_of(), rounds=6)


class Room(LifeStub):
    """An account that remembers what room was asked for."""

    def require_room(self, planned: Sequence[SampledGaussian]) -> None:
        self.releases.append(tuple(planned))


@pytest.mark.parametrize("resume", [False, True])
def test_every_bank_must_have_room_for_all_rounds_unless_the_run_goes_on(resume: bool) -> None:
    noise = plan_of()
    accounts: dict[str, Any] = {f"bank-{n}": Room(0.0) for n in (1, 2, 3)}
    sums = federation(noise, 4, resume, **accounts)
    planned = (SampledGaussian(effective_noise_multiplier(noise), 1.0, 1),) * 4
    assert [account.releases for account in accounts.values()] == [[] if resume else [planned]] * 3
    assert [ledger.account for ledger in sums.ledgers] == list(accounts.values())
    assert [(ledger.bank, ledger.delta) for ledger in sums.ledgers] == [(name, 1e-5) for name in accounts]


def test_calibration_of_sums_is_asked_for_all_rounds_and_banks(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def calibrate(*all_of_it: Any) -> float:
        asked.append(all_of_it)
        return 0.5

    monkeypatch.setattr(sum_privacy, "calibrate", calibrate)
    experiment = Experiment(mechanism="distributed", epsilon=2.5, delta=1e-6, rounds=7, banks=4)
    assert distributed_noise_multiplier(experiment, 99, 4) == 0.5
    assert asked == [(2.5, 1e-6, 7, 99, 4)]


# A run's privacy


def test_training_is_told_every_setting_of_the_experiment() -> None:
    unusual: dict[str, Any] = {
        "batch_size": 7,
        "learning_rate": 0.5,
        "dropout": 0.125,
        "hidden": "16-8",
        "activation": "square",
        "positive_weight": 3.0,
        "device": "cuda",
    }
    settings = Experiment(**unusual).only(Steps)
    assert {name: getattr(settings, name) for name in Steps.model_fields} == unusual


UNEQUAL: dict[str, Any] = {
    "transactions": 5_000,
    "fraud_share": 0.04,
    "split": "size",
    "seed": 3,
    "batch_size": 64,
    "rounds": 4,
}


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return open_dataset(Experiment(**UNEQUAL, noise_multiplier=2.0, delta=1e-5), tables=True)


@pytest.fixture
def rooms(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[SampledGaussian, ...]]]:
    """What room was asked for, of which bank."""
    asked: list[tuple[str, tuple[SampledGaussian, ...]]] = []
    monkeypatch.setattr(Account, "require_room", lambda self, planned: asked.append((self.bank, tuple(planned))))
    return asked


Rooms = list[tuple[str, tuple[SampledGaussian, ...]]]


def opened(dataset: Dataset, folder: Path | None, store: Path, resume: bool = False, **changes: Any) -> Any:
    experiment = Experiment(**{**UNEQUAL, "noise_multiplier": 2.0, "delta": 1e-5, "lifetime_epsilon": 30.0, **changes})
    noise = plan_of() if experiment.mechanism == "distributed" else None
    life = Lifetime(LedgerStore(store / "store", store / "notes"), "f" * 32)
    return FederationPrivacy.open(experiment, noise, dataset.banks, folder, resume, life)


@pytest.mark.parametrize("mechanism", ["dp-sgd", "distributed"])
def test_every_bank_has_a_ledger_an_account_and_a_folder_of_its_own(
    accountant: None, dataset: Dataset, rooms: Rooms, tmp_path: Path, mechanism: str
) -> None:
    privacy = opened(dataset, tmp_path / "banks", tmp_path, mechanism=mechanism, max_grad_norm=0.25)
    names = [bank.name for bank in dataset.banks]
    assert [ledger.bank for ledger in privacy.ledgers] == names
    for ledger, bank in zip(privacy.ledgers, dataset.banks, strict=True):
        assert (ledger.delta, ledger.budget, ledger.folder) == (1e-5, None, tmp_path / "banks" / bank.name)
        assert (tmp_path / "banks" / bank.name / LEDGER).is_file()
        account = ledger.account
        assert (account.run, account.bank, account.unit) == (
            "f" * 32,
            bank.name,
            "row" if mechanism == "dp-sgd" else "bank",
        )
        assert (account.delta, account.limit) == (1e-5, 30.0)
        assert bank.table is not None
        assert account.rows == account.store.register(bank.table)
    assert [bank for bank, _ in rooms] == names
    if mechanism == "dp-sgd":
        lengths = [len(bank.train) for bank in dataset.banks]
        assert len(set(lengths)) == 3
        for rows, (_, planned) in zip(lengths, rooms, strict=True):
            once = SampledGaussian(2.0, 64 / rows, rows // 64)
            assert planned == (SampledGaussian(STATISTICS_NOISE, 1.0, 1), once, once, once, once)
        for bank, rows in zip(privacy.rows.values(), lengths, strict=True):
            assert (bank.sample_rate, bank.steps, bank.noise) == (64 / rows, rows // 64, NoiseSettings(2.0, 0.25))
    privacy.close()
    assert not list((tmp_path / "banks").rglob(KEY))
    for ledger in privacy.ledgers:
        with pytest.raises(PrivacyError, match=f"{ledger.bank} forgot its key"):
            ledger.charge("round 1", b"", SampledGaussian(2.0, 1.0, 1))


def test_a_budget_is_the_ledgers_limit(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_privacy, "_noise_multiplier", lambda *asked: 2.0)
    privacy = opened(dataset, None, tmp_path, noise_multiplier=None, epsilon=3.5, lifetime_epsilon=None)
    assert [(ledger.budget, ledger.folder) for ledger in privacy.ledgers] == [(3.5, None)] * 3
    assert [ledger.account.limit for ledger in privacy.ledgers] == [None] * 3


def test_a_run_that_goes_on_takes_up_what_was_kept_and_nothing_else(
    accountant: None, dataset: Dataset, rooms: Rooms, tmp_path: Path
) -> None:
    event = SampledGaussian(2.0, 0.5, 3)
    first = opened(dataset, tmp_path / "banks", tmp_path)
    first.ledgers[0].charge("round 0", b"", event)
    first.ledgers[1].charge("round 0", b"", event)
    assert [len(ledger.entries) for ledger in opened(dataset, tmp_path / "banks", tmp_path, resume=True).ledgers] == [
        1,
        1,
        0,
    ], "a ledger without an entry is a ledger"
    (tmp_path / "banks" / "bank-3" / LEDGER).unlink()
    rooms.clear()
    again = opened(dataset, tmp_path / "banks", tmp_path, resume=True)
    assert rooms == [], "the run was let in already"
    assert [len(ledger.entries) for ledger in again.ledgers] == [1, 1, 0], "the third had not begun"
    (tmp_path / "banks" / "bank-2" / LEDGER).unlink()
    with pytest.raises(PrivacyError, match="ledger of bank-2 is missing"):
        opened(dataset, tmp_path / "banks", tmp_path, resume=True)


@pytest.mark.usefixtures("accountant", "trainings")
@pytest.mark.parametrize("lacking", [0, 1, 2])
def test_the_bank_whose_ledger_lacks_a_round_is_named(lacking: int) -> None:
    banks = three_banks((0, 1, 2))
    for place, bank in enumerate(banks):
        if place != lacking:
            bank.train(START, examples(100), 2, b"n")
    rows = {bank.ledger.bank: bank for bank in banks}
    with pytest.raises(PrivacyError, match=f"the ledger of bank-{lacking + 1} lacks a round"):
        FederationPrivacy(Experiment(), rows, None, Schema("fraud")).require_rounds(2)
