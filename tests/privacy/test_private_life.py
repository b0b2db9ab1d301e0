"""Private runs one after the other: all count for life, also those that failed, were killed, or went elsewhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dp_accounting
import numpy as np
import pytest

from secure_fl import Experiment, Result, federation, privacy, run_federation
from secure_fl.data.metrics import Scores
from secure_fl.errors import ConfigurationError, DataError, PrivacyError, SecureFLError
from secure_fl.federation.aggregation import SecureAggregation
from secure_fl.federation.checkpoint import Checkpoint
from secure_fl.federation.results import Baseline
from secure_fl.privacy.distributed import epsilon_spent
from secure_fl.privacy.federation import STATISTICS_NOISE
from secure_fl.privacy.ledger import Ledger
from secure_fl.privacy.lifetime import LedgerStore
from secure_fl.training import NoiseSettings

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ledgers")]

SETTINGS: dict[str, Any] = {
    "transactions": 5_000,
    "fraud_share": 0.04,
    "rounds": 2,
    "batch_size": 512,
    "scheme": "plaintext",
    "delta": 1e-5,
}
BANKS = ("bank-1", "bank-2", "bank-3")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No baselines, and training that takes no time: what is charged for it does not depend on it."""
    nothing = Baseline("nobody", Scores(0.0, 0.0, 0), (0.0,))
    monkeypatch.setattr(federation, "train_baselines", lambda *_: ((), nothing))
    monkeypatch.setattr(privacy, "train_privately", trained)


def trained(weights: np.ndarray, *arguments: Any, key: bytes, **options: Any) -> np.ndarray:
    noise = np.random.default_rng([*key]).normal(scale=1e-3, size=len(weights))
    return (weights + noise).astype(np.float32)


def private(**changes: Any) -> Experiment:
    return Experiment(**{**SETTINGS, **({} if "epsilon" in changes else {"noise_multiplier": 2.0}), **changes})


def distributed(**changes: Any) -> Experiment:
    return private(**{"mechanism": "distributed", "noise_multiplier": 0.7, "bits": 8, **changes})


def releases() -> list[tuple[str, str]]:
    return [(entry.bank, entry.release) for entry in LedgerStore.of_user().releases()]


def for_life(result: Result) -> dict[str, float]:
    assert result.privacy is not None
    return dict(result.privacy.lifetime_epsilon)


def by_google(*results: Result, bank: int) -> float:
    """Of one bank over several runs, from what their metrics say and nothing else."""
    accountant = dp_accounting.pld.PLDAccountant()
    for result in results:
        metrics = result.metrics()["privacy"]
        said = metrics["banks"][bank]
        gaussian = dp_accounting.GaussianDpEvent(said["noise_multiplier"])
        accountant.compose(dp_accounting.PoissonSampledDpEvent(said["sample_rate"], gaussian), said["steps"])
        accountant.compose(dp_accounting.GaussianDpEvent(STATISTICS_NOISE))
    return float(accountant.get_epsilon(1e-5))


# Adding up


def test_two_runs_into_two_folders_report_what_both_spent(tmp_path: Path) -> None:
    first = run_federation(private(), checkpoint=Checkpoint(tmp_path / "one"))
    assert first.privacy is not None
    assert for_life(first) == {bank.bank: bank.epsilon for bank in first.privacy.banks}
    second = run_federation(private(rounds=3, noise_multiplier=1.5), checkpoint=Checkpoint(tmp_path / "two"))
    for place, bank in enumerate(BANKS):
        truth = by_google(first, second, bank=place)
        assert truth <= for_life(second)[bank] <= truth + 0.02
    assert second.metrics()["privacy"]["lifetime_epsilon"] == for_life(second)
    LedgerStore.of_user().require(LedgerStore.of_user().end)


def test_other_banks_and_splits_deal_the_same_rows(tmp_path: Path) -> None:
    """A run with `--banks 4` has other sets of rows, which share rows with all three of the first."""
    alone = run_federation(private(dataset=str(csv_in(tmp_path)), **COLUMNS))
    other = run_federation(private(dataset=str(csv_in(tmp_path)), banks=4, split="pattern", alpha=50.0, **COLUMNS))
    assert other.privacy is not None
    for bank in other.privacy.banks:
        assert for_life(other)[bank.bank] > max(bank.epsilon, min(for_life(alone).values())) + 0.1


def test_rows_appended_to_a_file_do_not_make_it_new(tmp_path: Path) -> None:
    path = csv_in(tmp_path)
    first = run_federation(private(dataset=str(path), **COLUMNS))
    path.write_text(path.read_text() + path.read_text().splitlines()[-1].replace("grocery", "fuel") + "\n")
    again = run_federation(private(dataset=str(path), **{**COLUMNS, "categorical": ()}))
    assert all(for_life(again)[bank] > for_life(first)[bank] + 0.1 for bank in BANKS)


def test_a_run_does_not_go_on_with_other_rows(tmp_path: Path) -> None:
    """A row would have been in two sets of one run, and the ledgers count one."""
    path = csv_in(tmp_path)
    folder = stopped(private(dataset=str(path), **COLUMNS), tmp_path / "run", 6, after=True)
    before = releases()
    header, _, *rest = path.read_text().splitlines(keepends=True)
    path.write_text("".join([header, *rest]))
    with pytest.raises(PrivacyError, match=r"rows of bank-[123] changed since this run's first release"):
        resumed(folder)
    assert releases() == before


COLUMNS: dict[str, Any] = {
    "label": "fraud",
    "time": "time",
    "amount": "amount",
    "categorical": ("category",),
    "identifiers": ("customer",),
}


def csv_in(folder: Path) -> Path:
    from secure_fl.data import Simulation, simulate, write_simulated

    path = folder / "rows.csv"
    if not path.exists():
        write_simulated(simulate(Simulation(transactions=5_000, fraud_share=0.04, seed=1)), path)
    os.environ["SECURE_FL_KEY"] = str(folder / "federation.key")
    return path


@pytest.fixture(autouse=True)
def _own_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SECURE_FL_KEY", str(tmp_path / "federation.key"))


def test_other_rows_have_an_account_of_their_own() -> None:
    run_federation(private(rounds=1))
    other = run_federation(private(rounds=1, seed=2))
    assert other.privacy is not None
    assert for_life(other) == {bank.bank: bank.epsilon for bank in other.privacy.banks}


def test_banks_and_rows_are_two_units() -> None:
    run_federation(private(rounds=1))
    first = run_federation(distributed(rounds=1))
    assert first.privacy is not None
    assert for_life(first) == dict.fromkeys(BANKS, first.privacy.epsilon)
    second = run_federation(distributed(rounds=3))
    four = epsilon_spent(_plan(0.7), 4, 1e-5)
    assert for_life(second) == pytest.approx(dict.fromkeys(BANKS, four))


def _plan(multiplier: float) -> Any:
    from secure_fl.secagg.budget import plan_with_noise

    return plan_with_noise("plaintext", 3, 10_369, multiplier, 8)[1]


def test_a_run_without_privacy_touches_no_ledger(ledgers: Path) -> None:
    run_federation(Experiment(**{**SETTINGS, "delta": None, "rounds": 1}))
    assert not ledgers.exists()


# Runs that did not end well


class Stopped(BaseException):
    """Like a power cut."""


def test_a_run_that_fails_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*arguments: Any, **options: Any) -> Any:
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(federation, "evaluate", stop)
        with pytest.raises(Stopped):
            run_federation(private())
    assert releases() == [*((bank, "round 0") for bank in BANKS), *((bank, "round 1") for bank in BANKS)]
    whole = run_federation(private())
    assert whole.privacy is not None
    assert all(for_life(whole)[bank.bank] > bank.epsilon + 0.1 for bank in whole.privacy.banks)


@pytest.mark.parametrize("make", [private, distributed])
def test_what_leaves_a_bank_was_charged_before(
    make: Callable[..., Experiment], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever happens to the sum: with the first message of a round, all its banks have entered it."""
    seen: list[tuple[int, set[str]]] = []
    original = SecureAggregation.attempt

    def watched(self: SecureAggregation, cohort: Any, *arguments: Any) -> Any:
        name = f"round {cohort.round}"
        seen.append((cohort.round, {bank for bank, release in releases() if release == name}))
        return original(self, cohort, *arguments)

    monkeypatch.setattr(SecureAggregation, "attempt", watched)
    run_federation(make())
    covered = [(number, banks) for number, banks in seen if number > 0 or make is private]
    assert {number for number, _ in covered} == ({0, 1, 2} if make is private else {1, 2})
    assert all(banks == set(BANKS) for _, banks in covered)


def test_distributed_noise_is_charged_before_a_sum_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any, **options: Any) -> Any:
        if arguments[1].round == 1:
            raise Stopped
        return original(*arguments, **options)

    original = SecureAggregation.attempt
    monkeypatch.setattr(SecureAggregation, "attempt", broken)
    with pytest.raises(Stopped):
        run_federation(distributed())
    assert releases() == [(bank, "round 1") for bank in BANKS]


KILLED = """
import os, signal, sys
from pathlib import Path
from secure_fl import Experiment, federation
from secure_fl.federation.checkpoint import Checkpoint
from secure_fl.privacy.ledger import Ledger
charge, calls = Ledger.charge, []
def killing(self, *arguments, **options):
    calls.append(1)
    if len(calls) == {charges} and not {after}:
        os.kill(os.getpid(), signal.SIGKILL)
    secret = charge(self, *arguments, **options)
    if len(calls) == {charges}:
        os.kill(os.getpid(), signal.SIGKILL)
    return secret
Ledger.charge = killing
federation.run_federation(Experiment.from_toml(Path(sys.argv[1])), checkpoint=Checkpoint(Path(sys.argv[2])))
"""


def killed(experiment: Experiment, folder: Path, charges: int, after: bool) -> Path:
    """What a process left behind that was killed before or after one of its entries: 1 to 3 are of round 0."""
    settings = folder.with_suffix(".toml")
    settings.write_text(experiment.to_toml())
    code = KILLED.format(charges=charges, after=after)
    done = subprocess.run([sys.executable, "-c", code, str(settings), str(folder)], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    return folder


def stopped(experiment: Experiment, folder: Path, charges: int, after: bool) -> Path:
    """The same in this process, by what nothing catches: entries are on disk when the call returns."""
    charge, calls = Ledger.charge, []

    def stopping(self: Ledger, *arguments: Any, **options: Any) -> bytes:
        calls.append(1)
        if len(calls) == charges and not after:
            raise Stopped
        secret = charge(self, *arguments, **options)
        if len(calls) == charges:
            raise Stopped
        return secret

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "charge", stopping)
        with pytest.raises(Stopped):
            run_federation(experiment, checkpoint=Checkpoint(folder))
    return folder


def resumed(folder: Path) -> Result:
    checkpoint = Checkpoint(folder, resume=True)
    return run_federation(checkpoint.settings(), checkpoint=checkpoint)


@pytest.mark.parametrize(("charges", "after"), [(1, False), (2, True), (4, False), (5, True)], ids=str)
def test_killed_before_round_1_a_run_goes_on(tmp_path: Path, charges: int, after: bool) -> None:
    """And what it had released is the very same release again, so that nothing counts twice."""
    folder = stopped(private(epsilon=3.0), tmp_path / "run", charges, after)
    entered = releases()
    assert len(entered) == charges - 1 + after
    kept = {path.parent.parent.name: path.read_bytes() for path in folder.rglob("drawn/*.npy")}
    result = resumed(folder)
    assert result.privacy is not None
    assert result.privacy.epsilon <= 3.0
    assert sorted(releases()) == sorted((bank, f"round {number}") for bank in BANKS for number in (0, 1, 2))
    after_it = {path.parent.parent.name: path.read_bytes() for path in folder.rglob("drawn/*.npy")}
    assert {bank: after_it[bank] for bank in kept} == kept, "the same noisy counts leave the bank again"
    assert for_life(result) == {bank.bank: bank.epsilon for bank in result.privacy.banks}


def test_killed_and_never_resumed_it_counts_all_the_same(tmp_path: Path) -> None:
    folder = killed(private(), tmp_path / "run", charges=3, after=True)
    assert folder.exists()
    other = run_federation(private(), checkpoint=Checkpoint(tmp_path / "other"))
    assert other.privacy is not None
    for bank in other.privacy.banks:
        assert for_life(other)[bank.bank] > bank.epsilon


@pytest.mark.parametrize("finished", [1, 2])
def test_a_run_does_not_go_on_where_a_finished_round_is_missing(tmp_path: Path, finished: int) -> None:
    """The state says that rounds were finished which a bank's ledger does not have: state and ledgers do not belong."""
    other = Checkpoint(tmp_path / "other")
    run_federation(private(rounds=finished), checkpoint=other)
    folder = stopped(private(rounds=3), tmp_path / "run", charges=3 + 3 * (finished - 1) + 2, after=True)
    (folder / "state.json").write_text((other.folder / "state.json").read_text())
    with pytest.raises(PrivacyError, match=r"bank-3 lacks a round that was finished; put its newest copy back"):
        resumed(folder)


def test_a_run_does_not_go_on_with_an_older_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = stopped(private(), tmp_path / "run", charges=6, after=True)
    monkeypatch.setenv("SECURE_FL_LEDGERS", str(tmp_path / "elsewhere"))
    with pytest.raises(PrivacyError, match="lack a release that bank-1 made"):
        resumed(folder)


# A limit for life


def test_a_limit_for_life_refuses_a_run_before_anything_is_charged(tmp_path: Path) -> None:
    run_federation(private())
    before = releases()
    refused = private(lifetime_epsilon=1.0)
    checkpoint = Checkpoint(tmp_path / "run")
    with pytest.raises(PrivacyError, match=r"this run would bring bank-\d to epsilon .* for life"):
        run_federation(refused, checkpoint=checkpoint)
    assert releases() == before
    assert not checkpoint.worth_keeping
    assert run_federation(private(lifetime_epsilon=50.0)).experiment["lifetime_epsilon"] == 50.0


@pytest.mark.parametrize("make", [private, distributed])
def test_a_limit_for_life_must_bear_all_rounds_and_not_only_the_first(
    make: Callable[..., Experiment], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("SECURE_FL_LEDGERS", str(tmp_path / "elsewhere"))
        one, two = (run_federation(make(rounds=rounds)).privacy for rounds in (1, 2))
    assert one is not None
    assert two is not None
    limit = (one.epsilon + two.epsilon) / 2
    with pytest.raises(PrivacyError, match=r"this run would bring bank-\d to epsilon .* for life"):
        run_federation(make(rounds=2, lifetime_epsilon=limit))
    assert releases() == []


def test_a_limit_for_life_of_banks() -> None:
    first = run_federation(distributed(rounds=1))
    assert first.privacy is not None
    with pytest.raises(PrivacyError, match=r"bank-1 to epsilon .* for life"):
        run_federation(distributed(rounds=1, lifetime_epsilon=1.2 * first.privacy.epsilon))
    assert len(releases()) == 3


# What can be known before


def unwritable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SECURE_FL_LEDGERS", str(tmp_path / "file" / "store"))


BEFORE: dict[str, tuple[Callable[..., Experiment], dict[str, Any], type[SecureFLError], str]] = {
    "no fraud in the test part": (private, {"test_fraction": 0.001}, DataError, "only one class"),
    "no fraud in the test part, distributed": (distributed, {"test_fraction": 0.001}, DataError, "only one class"),
    "one bank too small": (private, {"batch_size": 1_000, "split": "size", "seed": 3}, ConfigurationError, "smaller"),
    "a budget out of reach": (private, {"epsilon": 0.01}, ConfigurationError, "cannot be reached"),
    "noise that promises nothing": (distributed, {"noise_multiplier": 0.05}, ConfigurationError, "promises nothing"),
    "a limit for life out of reach": (private, {"lifetime_epsilon": 0.2}, PrivacyError, "this run would bring"),
}


@pytest.mark.parametrize("case", BEFORE)
def test_what_can_be_known_before_is_refused_before_anything_is_charged(tmp_path: Path, case: str) -> None:
    make, changes, error, says = BEFORE[case]
    checkpoint = Checkpoint(tmp_path / "run")
    with pytest.raises(error, match=says):
        run_federation(make(**changes), checkpoint=checkpoint)
    assert releases() == []
    assert not checkpoint.worth_keeping


def test_a_folder_that_cannot_be_written_is_found_out_before_anything_is_charged(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        run_federation(private(), checkpoint=Checkpoint(tmp_path / "file" / "run"))
    assert releases() == []


def test_a_store_that_cannot_be_written_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unwritable(monkeypatch, tmp_path)
    with pytest.raises(PrivacyError, match="nothing may be released"):
        run_federation(private(), checkpoint=Checkpoint(tmp_path / "run"))


def test_the_noise_that_is_charged_is_the_noise_that_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[NoiseSettings] = []

    def watched(weights: Any, examples: Any, settings: Any, noise: NoiseSettings, **options: Any) -> Any:
        given.append(noise)
        return trained(weights, **options)

    monkeypatch.setattr(privacy, "train_privately", watched)
    result = run_federation(private(epsilon=3.0))
    assert result.privacy is not None
    charged = [entry.event.noise_multiplier for entry in LedgerStore.of_user().releases() if entry.release != "round 0"]
    assert [noise.noise_multiplier for noise in given] == charged
    assert replace(result.privacy, ledger=None).ledger is None
