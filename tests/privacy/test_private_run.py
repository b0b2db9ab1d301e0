"""Whole private runs: what they promise is recomputed, what they add is measured, and being killed costs nothing."""

from __future__ import annotations

import json
import math
import os
import shutil
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
from scipy.stats import chi2

from secure_fl import Experiment, Result, run_federation
from secure_fl.data.metrics import Scores
from secure_fl.errors import ConfigurationError, DamageWarning, PrivacyError
from secure_fl.federation import combining, rounds, run
from secure_fl.federation.checkpoint import Checkpoint
from secure_fl.federation.results import Baseline
from secure_fl.files import sealed, unsealed
from secure_fl.privacy.ledger import KEY, LEDGER, Ledger
from secure_fl.privacy.spent import Privacy
from secure_fl.report.outputs import write_run
from secure_fl.secagg import SCHEMES
from secure_fl.training import evaluate as evaluate_model

pytestmark = pytest.mark.slow

BANKS = ("bank-1", "bank-2", "bank-3")
SETTINGS: dict[str, Any] = {
    "transactions": 5_000,
    "fraud_share": 0.04,
    "rounds": 4,
    "batch_size": 512,
    "scheme": "plaintext",
    "delta": 1e-5,
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No baselines: they are no part of the promise."""
    nothing = Baseline("nobody", Scores(0.0, 0.0, 0), (0.0,))
    monkeypatch.setattr(run, "train_baselines", lambda *_: ((), nothing))


def private(**changes: Any) -> Experiment:
    noise = {} if "epsilon" in changes else {"noise_multiplier": 2.0}
    return Experiment(**{**SETTINGS, **noise, **changes})


class Stopped(BaseException):
    """Like a power cut."""


def stop_at(what: str, number: int) -> Callable[[str, int, int], None]:
    def progress(name: str, done: int, total: int) -> None:
        if (name, done) == (what, number):
            raise Stopped

    return progress


def stopped(experiment: Experiment, folder: Path, rounds: int) -> Path:
    """The state of a run that ended after some rounds."""
    with pytest.raises(Stopped):
        run_federation(experiment, stop_at("rounds", rounds), Checkpoint(folder))
    return folder


def resumed(folder: Path) -> Result:
    checkpoint = Checkpoint(folder, resume=True)
    return run_federation(checkpoint.settings(), checkpoint=checkpoint)


# The promise


@pytest.fixture(scope="module")
def calibrated() -> Result:
    return run_federation(private(epsilon=3.0, rounds=3))


@pytest.mark.slow
def test_epsilon_is_at_most_the_target_by_googles_accountant(calibrated: Result) -> None:
    """From what the metrics say of noise, sample rate and steps, and from nothing else."""
    metrics = calibrated.metrics()["privacy"]
    assert metrics["delta"] == 1e-5
    assert metrics["epsilon"] <= 3.0
    assert metrics["epsilon"] == max(bank["epsilon"] for bank in metrics["banks"])
    for bank in metrics["banks"]:
        rows = calibrated.data["banks"][bank["bank"]]["train_rows"]
        assert bank["sample_rate"] == 512 / rows
        assert bank["steps"] == 3 * (rows // 512)
        accountant = dp_accounting.pld.PLDAccountant()
        gaussian = dp_accounting.GaussianDpEvent(bank["noise_multiplier"])
        accountant.compose(dp_accounting.PoissonSampledDpEvent(bank["sample_rate"], gaussian), bank["steps"])
        accountant.compose(dp_accounting.GaussianDpEvent(metrics["statistics_noise_multiplier"]))
        truth = accountant.get_epsilon(1e-5)
        assert truth <= bank["epsilon"] <= 3.0
        assert bank["epsilon"] == pytest.approx(truth, abs=0.012)
        assert truth > 2.9, "the budget is used"


@pytest.mark.slow
def test_spending_grows_round_by_round_to_what_is_reported(calibrated: Result) -> None:
    spent = [record.epsilon or 0.0 for record in calibrated.rounds]
    assert spent == sorted(spent)
    assert spent[0] > 0.1
    assert calibrated.privacy is not None
    assert spent[-1] == calibrated.privacy.epsilon
    assert calibrated.privacy.mechanism == "dp-sgd"
    assert set(calibrated.privacy.epsilon_by_accountant) == {"prv", "pld", "rdp", "rdp (Google)"}
    assert calibrated.privacy.not_covered
    json.dumps(calibrated.metrics(), allow_nan=False)


@pytest.mark.slow
def test_a_batch_of_all_rows_does_not_count_the_statistics_as_a_step() -> None:
    rows = _rows(private())
    result = run_federation(private(rounds=1, batch_size=min(rows), epsilon=None, noise_multiplier=30.0, delta=0.001))
    assert result.privacy is not None
    smallest = next(bank for bank in result.privacy.banks if bank.sample_rate == 1)
    assert smallest.steps == 1
    assert any("1 /" in note for note in result.privacy.notes), "delta is not below 1 / rows: say so"


def _rows(experiment: Experiment) -> list[int]:
    from secure_fl.data.datasets import open_dataset

    return [len(bank.train) for bank in open_dataset(experiment).banks]


# The noise


@pytest.mark.slow
def test_the_noise_of_a_run_is_measured_from_its_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    """In every step of every bank and round: what is added to the clipped sum has deviation sigma C, and is new."""
    from secure_fl.training import grid

    added: list[np.ndarray] = []

    class Recording(grid.GridOptimizer):
        def add_noise(self) -> None:
            before = [p.summed_grad * (self.max_grad_norm / grid.STEPS) for p in self.params]
            super().add_noise()
            added.append(
                np.concatenate([(p.grad - s).numpy().ravel() for p, s in zip(self.params, before, strict=True)])
            )

    monkeypatch.setattr(grid, "GridOptimizer", Recording)
    experiment = private(rounds=2, max_grad_norm=0.25)
    steps = 2 * sum(rows // 512 for rows in _rows(experiment))
    run_federation(experiment)
    values = np.array(added)
    assert len(values) == steps
    assert values.std() == pytest.approx(2.0 * 0.25, rel=0.01)
    assert abs(values.mean()) < 5 * 0.5 / math.sqrt(values.size)
    assert np.abs(np.corrcoef(values) - np.eye(steps)).max() < 6 / math.sqrt(values.shape[1])


# Stopped, killed, resumed

KILL_AFTER_ROUND = """
import os, signal, sys
from pathlib import Path
from secure_fl import Experiment
from secure_fl.federation import run
from secure_fl.privacy import rows
from secure_fl.federation.checkpoint import Checkpoint
save, train, calls = Checkpoint.save, rows.train_privately, []
def killing_save(self, snapshot):
    save(self, snapshot)
    if len(snapshot.rounds) == {rounds}:
        os.kill(os.getpid(), signal.SIGKILL)
def killing_train(*arguments, **options):
    calls.append(1)
    if len(calls) == {trainings}:
        os.kill(os.getpid(), signal.SIGKILL)
    return train(*arguments, **options)
Checkpoint.save, rows.train_privately = killing_save, killing_train
run.run_federation(Experiment.from_toml(Path({settings!r})), checkpoint=Checkpoint(Path({folder!r})))
"""


def killed(experiment: Experiment, folder: Path, rounds: int = 99, trainings: int = 999) -> Path:
    """What a process left behind that was killed after a round, or before one of its trainings."""
    settings = folder.with_suffix(".toml")
    settings.write_text(experiment.to_toml())
    code = KILL_AFTER_ROUND.format(rounds=rounds, trainings=trainings, settings=str(settings), folder=str(folder))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, env=os.environ)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    return folder


def of_the_run(result: Result) -> Privacy:
    """What the run says of itself alone; for life other tests' runs on the same rows count too."""
    assert result.privacy is not None
    return replace(result.privacy, lifetime_epsilon={}, ledger=None)


def copied(folder: Path, name: str) -> Path:
    return Path(shutil.copytree(folder, folder.with_name(name)))


def edit_settings(folder: Path, old: str, new: str) -> None:
    """Also their seal, as somebody would who means it."""
    path = folder / "experiment.toml"
    text = unsealed(path.read_bytes()).decode()
    assert old in text
    path.write_bytes(sealed(text.replace(old, new).encode()))


def damage(path: Path) -> None:
    """Turn one bit of one weight or so."""
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 2
    path.write_bytes(content)


def ledger_of(folder: Path, bank: str) -> list[str]:
    document = json.loads((folder / "banks" / bank / LEDGER).read_text())
    return [entry["release"] for entry in document["entries"]]


@pytest.fixture(scope="module")
def unbroken() -> Result:
    return run_federation(private())


@pytest.fixture(scope="module")
def after_round_3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return killed(private(), tmp_path_factory.mktemp("killed") / "run", rounds=3)


@pytest.mark.slow
def test_killed_after_round_3_and_resumed_it_spent_what_an_unbroken_run_spends(
    after_round_3: Path, unbroken: Result
) -> None:
    assert ledger_of(after_round_3, "bank-1") == ["round 0", "round 1", "round 2", "round 3"]
    first, second = (resumed(copied(after_round_3, name)) for name in ("one", "two"))
    assert of_the_run(first) == of_the_run(unbroken)
    assert [r.epsilon for r in first.rounds] == [r.epsilon for r in unbroken.rounds]
    assert [r.round for r in first.rounds] == [1, 2, 3, 4]
    assert first.model.weights.tobytes() == second.model.weights.tobytes(), "the noise key makes the same noise"
    assert first.model.weights.tobytes() != unbroken.model.weights.tobytes(), "another run has another key"
    assert [d.round for d in first.transcript] == sorted(d.round for d in first.transcript)


@pytest.mark.slow
def test_killed_in_the_middle_of_a_round_it_repeats_the_very_same_release(
    after_round_3: Path, unbroken: Result, tmp_path: Path
) -> None:
    """Bank 1 had trained in round 3, bank 2 had charged itself, bank 3 had not begun."""
    folder = killed(private(), tmp_path / "run", trainings=8)
    assert [len(ledger_of(folder, bank)) for bank in BANKS] == [4, 4, 3]
    before, after = copied(folder, "one"), copied(folder, "two")
    first, second = resumed(before), resumed(after)
    assert of_the_run(first) == of_the_run(unbroken)
    assert first.model.weights.tobytes() == second.model.weights.tobytes()
    assert ledger_of(before, "bank-2") == ["round 0", "round 1", "round 2", "round 3", "round 4"]


@pytest.mark.slow
@pytest.mark.parametrize("lost", [LEDGER, KEY])
@pytest.mark.parametrize("bank", ["bank-1", "bank-3"])
def test_a_run_whose_ledger_is_lost_does_not_go_on(after_round_3: Path, tmp_path: Path, lost: str, bank: str) -> None:
    folder = Path(shutil.copytree(after_round_3, tmp_path / "copy"))
    (folder / "banks" / bank / lost).unlink()
    with pytest.raises(PrivacyError, match=f"ledger of {bank} is missing"):
        resumed(folder)


@pytest.mark.slow
def test_the_ledger_of_another_bank_is_refused(after_round_3: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(after_round_3, tmp_path / "copy"))
    shutil.copy(folder / "banks/bank-1" / LEDGER, folder / "banks/bank-2" / LEDGER)
    with pytest.raises(PrivacyError, match="ledger of bank-2 belongs to another"):
        resumed(folder)


@pytest.mark.slow
def test_rounds_that_were_added_after_calibration_are_stopped_by_the_ledger(tmp_path: Path) -> None:
    """By editing the settings of an unfinished run, which the command line does not offer."""
    experiment = private(epsilon=2.0, rounds=2)
    folder = stopped(experiment, tmp_path / "run", 1)
    edit_settings(folder, "rounds = 2", "rounds = 5")
    with pytest.raises(PrivacyError, match=r"beyond its budget of 2 .*"):
        resumed(folder)
    ledger = Ledger.restore("bank-1", 1e-5, 2.0, lambda events: 0.0, folder / "banks" / "bank-1")
    accountant = dp_accounting.pld.PLDAccountant()
    for event in ledger.events:
        gaussian = dp_accounting.GaussianDpEvent(event.noise_multiplier)
        accountant.compose(dp_accounting.PoissonSampledDpEvent(event.sample_rate, gaussian), event.steps)
    assert accountant.get_epsilon(1e-5) <= 2.0


@pytest.mark.slow
def test_a_repeated_round_with_other_settings_is_charged_and_has_noise_of_its_own(tmp_path: Path) -> None:
    """Otherwise the noise of two releases could be subtracted: nobody may get a second answer for free."""
    folder = killed(private(rounds=2), tmp_path / "run", trainings=4)  # bank 1 is charged for round 2
    spent = [len(ledger_of(folder, bank)) for bank in BANKS]
    edit_settings(folder, "max_grad_norm = 1.0", "max_grad_norm = 0.5")
    resumed(folder)
    assert ledger_of(folder, "bank-1").count("round 2") == 2
    assert len(ledger_of(folder, "bank-1")) == spent[0] + 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"error_feedback": True, "downlink": "sum", "bits": 8},
        {"scheme": "masked", "drop": ("bank-2@3:share_keys",)},
    ],
    ids=str,
)
def test_a_run_without_privacy_goes_on_to_the_same_model(tmp_path: Path, changes: dict[str, Any]) -> None:
    experiment = Experiment(**{**SETTINGS, "delta": None, **changes})
    whole = run_federation(experiment)
    broken = resumed(stopped(experiment, tmp_path / "run", 2))
    assert broken.model.weights.tobytes() == whole.model.weights.tobytes()
    assert [(r.auprc, r.max_abs_error, r.epsilon) for r in broken.rounds] == [
        (r.auprc, r.max_abs_error, r.epsilon) for r in whole.rounds
    ]
    assert broken.final == whole.final
    assert broken.exhibit.update.tobytes() == whole.exhibit.update.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "rounds"),
    [({}, 1), ({}, 3), ({"error_feedback": True, "downlink": "sum", "bits": 8, "scheme": "masked"}, 3)],
    ids=str,
)
def test_from_a_damaged_state_a_run_goes_on_to_the_same_model_and_says_so(
    tmp_path: Path, changes: dict[str, Any], rounds: int
) -> None:
    """Not from the damage: one bit of it used to make another model, without a word."""
    experiment = Experiment(**{**SETTINGS, "delta": None, **changes})
    whole = run_federation(experiment)
    folder = stopped(experiment, tmp_path / "run", rounds)
    damage(folder / f"state-{rounds}")
    with pytest.warns(DamageWarning, match=f"round {rounds} is done again"):
        broken = resumed(folder)
    assert broken.model.weights.tobytes() == whole.model.weights.tobytes()
    assert [(r.round, r.auprc, r.max_abs_error) for r in broken.rounds] == [
        (r.round, r.auprc, r.max_abs_error) for r in whole.rounds
    ]
    assert [d.round for d in broken.transcript] == [d.round for d in whole.transcript]


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [1, 3])
def test_from_a_damaged_state_dp_sgd_repeats_the_very_same_release(
    tmp_path: Path, unbroken: Result, rounds: int
) -> None:
    """No charge is forgotten, none is made twice, and the model is the one of the undamaged state."""
    folder = killed(private(), tmp_path / "run", rounds=rounds)
    whole, broken = copied(folder, "whole"), copied(folder, "broken")
    damage(broken / f"state-{rounds}")
    with pytest.warns(DamageWarning, match=f"round {rounds} is done again"):
        first = resumed(broken)
    assert first.model.weights.tobytes() == resumed(whole).model.weights.tobytes()
    assert ledger_of(broken, "bank-1") == ["round 0", "round 1", "round 2", "round 3", "round 4"]
    assert of_the_run(first) == of_the_run(unbroken)


@pytest.mark.slow
def test_from_a_damaged_state_a_noisy_sum_is_charged_again(tmp_path: Path) -> None:
    """Its noise is new: whoever saw the sum before sees two."""
    folder = killed(distributed(rounds=3), tmp_path / "run", rounds=2)
    assert ledger_of(folder, "bank-1") == ["round 1", "round 2"]
    damage(folder / "state-2")
    with pytest.warns(DamageWarning, match="round 2 is done again"):
        result = resumed(folder)
    assert ledger_of(folder, "bank-1") == ["round 1", "round 2", "round 2", "round 3"]
    assert result.privacy is not None
    assert result.privacy.epsilon == effective_epsilon(4)


def effective_epsilon(sums: int) -> float:
    """Of so many noisy sums, by the accountant alone."""
    from secure_fl.privacy.distributed import epsilon_spent

    return epsilon_spent(_noise_plan("plaintext"), sums, 1e-5)


@pytest.mark.slow
def test_keys_go_with_the_checkpoint_and_results_hold_ledgers_only(tmp_path: Path) -> None:
    checkpoint, results = Checkpoint(tmp_path / "run.unfinished"), tmp_path / "run"
    results.mkdir()
    result = run_federation(private(rounds=1), checkpoint=checkpoint)
    assert len(list(checkpoint.folder.rglob(KEY))) == 3  # a crash before results are on disk loses nothing
    write_run(result, results, checkpoint)
    checkpoint.remove()
    assert not list(tmp_path.rglob(KEY))
    assert len(list(results.rglob(LEDGER))) == 3


# Distributed noise


def distributed(**changes: Any) -> Experiment:
    defaults = {"mechanism": "distributed", "rounds": 1, "bits": 8, "transactions": 5_000, "noise_multiplier": 0.5}
    return Experiment(**{**SETTINGS, **defaults, **changes})


@pytest.mark.parametrize(
    ("scheme", "holders"), [*((name, None) for name in sorted(SCHEMES)), ("additive", 3), ("bfv", 3)]
)
def test_every_scheme_sums_the_noise_of_its_banks(scheme: str, holders: int | None) -> None:
    """In the mean: three shares of the noise, each of the planned deviation over the root of the threshold.

    Mean squares of so many Gaussians leave these bounds with a probability of 1e-10 a scheme, whatever keys are drawn.
    Two shares instead of three would have two thirds of the variance. Rounding adds at most 1/4 squared step a bank.
    """
    noise, result = noise_in_the_mean(distributed(scheme=scheme, holders=holders))
    record, promise = result.rounds[0], result.privacy
    assert len([party for party in result.custody.can_decrypt if party.endswith("holder-3")]) == (holders == 3)
    assert promise is not None
    assert (promise.mechanism, promise.unit, promise.statistics_noise_multiplier) == ("distributed", "bank", None)
    assert record.epsilon == promise.epsilon
    assert record.quantization_step is not None
    error = noise / record.quantization_step
    planned, count = _noise_plan(scheme).variance(3), result.parameters
    assert error.size == count
    low, high = chi2.ppf(5e-11, count) / count, chi2.isf(5e-11, count) / count
    assert 0.9 < low < high < 1.1
    assert planned * low < np.mean(error**2) < (planned + 3 / 4) * high
    assert any("own share" in note for note in promise.notes)
    assert any("no protection" in note for note in promise.notes) == (scheme == "plaintext")


def noise_in_the_mean(experiment: Experiment) -> tuple[np.ndarray, Result]:
    """Of the last round, beside what the run says; only a test sees both sums."""
    means: list[np.ndarray] = []
    exact_of, round_of = combining.mean_within_norm, rounds.run_round

    def mean_within_norm(*arguments: Any) -> Any:
        means.append(exact_of(*arguments))
        return means[-1]

    def run_round(*arguments: Any, **options: Any) -> Any:
        done = round_of(*arguments, **options)
        means.append(done.mean.update)
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(combining, "mean_within_norm", mean_within_norm)
        patch.setattr(run, "run_round", run_round)
        result = run_federation(experiment)
    return means[-1] - means[-2], result


def _noise_plan(scheme: str) -> Any:
    from secure_fl.secagg.planning import plan_with_noise

    return plan_with_noise(scheme, 3, 10_369, 0.5, 8)[1]


def test_noise_that_promises_nothing_is_refused_before_anything_is_trained() -> None:
    """Its epsilon would be infinite, which metrics.json cannot hold."""
    with pytest.raises(ConfigurationError, match="promises nothing"):
        run_federation(distributed(noise_multiplier=0.05))


def test_the_last_sum_as_downlink_works_under_noise() -> None:
    result = run_federation(distributed(rounds=2, downlink="sum"))
    first, second = result.rounds
    assert second.download_bytes["bank-1"] != first.download_bytes["bank-1"]
    assert (second.epsilon or 0) > (first.epsilon or 0)


def test_a_distributed_run_ends_at_or_below_its_epsilon() -> None:
    result = run_federation(distributed(noise_multiplier=None, epsilon=5.0, rounds=2))
    assert result.privacy is not None
    assert result.privacy.epsilon <= 5.0
    accountant = dp_accounting.rdp.RdpAccountant()
    accountant.compose(dp_accounting.GaussianDpEvent(result.privacy.banks[0].noise_multiplier), 2)
    assert accountant.get_epsilon(1e-5) == pytest.approx(result.privacy.epsilon, rel=0.02)
    assert result.privacy.epsilon > 4.9


def test_more_rounds_than_were_calibrated_are_stopped(tmp_path: Path) -> None:
    experiment = distributed(noise_multiplier=None, epsilon=5.0, rounds=2)
    folder = stopped(experiment, tmp_path / "run", 1)
    edit_settings(folder, "rounds = 2", "rounds = 9")
    with pytest.raises(PrivacyError, match="planned anew"):
        resumed(folder)


@pytest.mark.slow
def test_a_round_of_fresh_noise_that_is_repeated_counts_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(run, "evaluate", stop_evaluation(2))
        with pytest.raises(Stopped):
            run_federation(distributed(rounds=3), checkpoint=Checkpoint(folder))
    assert ledger_of(folder, "bank-1") == ["round 1", "round 2"]
    resumed(folder)
    assert ledger_of(folder, "bank-1") == ["round 1", "round 2", "round 2", "round 3"]


def stop_evaluation(number: int) -> Callable[..., Scores]:
    calls: list[int] = []
    original = evaluate_model

    def evaluate(*arguments: Any) -> Scores:
        calls.append(1)
        if len(calls) == number:
            raise Stopped
        return original(*arguments)

    return evaluate


# What is refused before anything is spent


def test_a_bank_smaller_than_a_batch_is_refused_and_leaves_nothing_worth_keeping(tmp_path: Path) -> None:
    """Also where only one bank is too small, and others have opened their ledgers already."""
    experiment = private(batch_size=1_000, split="size", seed=3)
    rows = _rows(experiment)
    assert rows[0] > 1_000 > min(rows)
    checkpoint = Checkpoint(tmp_path / "run")
    with pytest.raises(ConfigurationError, match="smaller than a batch of 1000"):
        run_federation(experiment, checkpoint=checkpoint)
    assert not checkpoint.worth_keeping


def test_state_is_kept_only_where_there_is_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_federation(distributed())
    assert list(tmp_path.iterdir()) == []
