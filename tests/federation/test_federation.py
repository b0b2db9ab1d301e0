"""The loop from end to end: schemes are interchangeable, runs repeat, and nobody's single figures travel."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from secure_fl import Experiment, Result, run_federation
from secure_fl.codec.quantization import MeanUpdate
from secure_fl.data import Examples, FeatureSchema, encode
from secure_fl.data.datasets import Dataset, open_dataset
from secure_fl.data.metrics import Scores, judge_alerts, precision_recall
from secure_fl.errors import ConfigurationError, DataError, DataWarning, DropoutError, PlanError, TrainingError
from secure_fl.federation import opening, run
from secure_fl.federation.aggregation import SecureAggregation
from secure_fl.federation.bank import Bank
from secure_fl.federation.checkpoint import Checkpoint
from secure_fl.federation.global_model import GlobalModel, LastSum
from secure_fl.federation.history import make_record
from secure_fl.federation.results import Exhibit, RoundRecord, Seconds
from secure_fl.federation.round_zero import agree_on_statistics
from secure_fl.federation.rounds import RoundOutcome, run_round
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.transcript import Delivery, Transcript
from secure_fl.training import evaluate, initial_weights, predict

Run = Callable[..., Result]
Small = Callable[..., Experiment]
UNLIKE = {"upload_bytes", "download_bytes", "seconds"}
"""What may differ between schemes, and between repetitions."""


def comparable(record: RoundRecord) -> dict[str, Any]:
    return {name: value for name, value in asdict(record).items() if name not in UNLIKE}


def difference(one: Result, other: Result) -> NDArray[np.float64]:
    return np.abs(one.model.weights.astype(np.float64) - other.model.weights)


def assert_identical(one: Result, other: Result) -> None:
    assert one.model.weights.tobytes() == other.model.weights.tobytes()
    assert [comparable(r) for r in one.rounds] == [comparable(r) for r in other.rounds]
    assert (one.final, one.local, one.central, one.data) == (other.final, other.local, other.central, other.data)


# Schemes are interchangeable, runs repeat


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"bits": 4},
        {"bits": 24, "banks": 4},
        {"drop": ("bank-2@2:upload",)},
        {"initial_clip": 1e-4, "positive_weight": "balanced"},
    ],
    ids=lambda settings: str(settings),
)
def test_ckks_is_plaintext_bit_for_bit(run_small: Run, settings: dict[str, Any]) -> None:
    assert_identical(run_small(scheme="ckks", **settings), run_small(scheme="plaintext", **settings))


@pytest.mark.slow
def test_a_result_holds_the_settings_that_repeat_it(run_small: Run, tmp_path: Path) -> None:
    result = run_small(bits=8, initial_clip=0.01)
    assert_identical(result, run_federation(Experiment(**result.experiment)))
    path = tmp_path / "experiment.toml"
    path.write_text(Experiment(**result.experiment).to_toml())
    assert Experiment.from_toml(path) == Experiment(**result.experiment)


@pytest.mark.slow
def test_another_seed_is_another_run(run_small: Run) -> None:
    assert difference(run_small(), run_small(seed=2)).max() > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("split", ["size", "pattern"])
def test_banks_may_differ(run_small: Run, split: str) -> None:
    result = run_small(transactions=20_000, rounds=1, split=split)
    rows = [bank["train_rows"] for bank in result.data["banks"].values()]
    frauds = [bank["train_frauds"] for bank in result.data["banks"].values()]
    assert (max(rows) > 1.5 * min(rows)) if split == "size" else (max(frauds) > 1.5 * min(frauds))
    assert all(baseline.final.roc_auc > 0.5 for baseline in result.local)


@pytest.mark.slow
def test_a_range_that_clips_a_large_bank_grows_until_nothing_is_clipped(run_small: Run) -> None:
    records = run_small(transactions=20_000, rounds=4, split="size", initial_clip=0.02).rounds
    clipped = [record.clipped_fraction or 0.0 for record in records]
    assert clipped[0] > 0
    assert clipped[-1] < clipped[0] / 10


@pytest.mark.slow
def test_it_learns(run_small: Run) -> None:
    result = run_small(transactions=20_000, rounds=8)
    assert result.final.auprc > 0.3  # guessing: 0.02
    assert result.final.auprc > result.rounds[0].auprc
    assert result.final.auprc == result.rounds[-1].auprc


def test_the_model_of_a_result_is_the_one_that_was_scored(run_small: Run, small: Small) -> None:
    result = run_small()
    schema = FeatureSchema.from_dict(result.model.feature_schema)
    test = Examples.pooled([encode(bank.test, schema) for bank in open_dataset(small()).banks])
    assert evaluate(result.model.weights, test) == result.final
    answers = predict(result.model.weights, test.features)
    assert result.on_test.curve == precision_recall(test.fraud, answers)
    assert result.on_test.alerts == judge_alerts(test.fraud, answers, test.day, test.amount)
    assert result.on_test.alerts is not None
    assert result.on_test.alerts.alert_days > 50  # 30 % of 183
    assert 0 < (result.on_test.alerts.amount_saved or 0) < (result.on_test.alerts.amount_of_fraud or 0)
    for bank in open_dataset(small()).banks:
        own = encode(bank.test, schema)
        found = result.on_test.auprc_by_bank[bank.name]
        assert (found is not None) == own.fraud.any()
        if found is not None:
            assert found == pytest.approx(evaluate(result.model.weights, own).auprc, rel=1e-4)


# What quantization costs


@pytest.mark.slow
@pytest.mark.parametrize("bits", [4, 8, 16, 24])
def test_without_clipping_the_mean_is_within_a_step(run_small: Run, bits: int) -> None:
    for record in run_small(scheme="plaintext", bits=bits, rounds=3).rounds:
        if record.clipped_fraction == 0:
            assert 0 < (record.max_abs_error or 0) < (record.quantization_step or 0)


def test_the_usual_clip_range_clips_nothing_in_the_first_round(run_small: Run) -> None:
    assert run_small().rounds[0].clipped_fraction == 0


@pytest.mark.slow
def test_a_clip_range_that_is_too_small_is_reported_and_widened(run_small: Run) -> None:
    first, second, *_ = run_small(scheme="plaintext", initial_clip=1e-4, rounds=3).rounds
    assert first.clipped_fraction is not None
    assert second.clipped_fraction is not None
    assert first.clipped_fraction > 0.1
    assert (first.max_abs_error or 0) > (first.quantization_step or 1)
    assert second.quantization_step == pytest.approx(2 * (first.quantization_step or 0))
    assert second.clipped_fraction < first.clipped_fraction


@pytest.mark.slow
def test_after_one_round_ckks_and_float32_differ_by_no_more_than_a_step(run_small: Run) -> None:
    quantized, exact = run_small(rounds=1), run_small(rounds=1, scheme="plaintext", bits="float32")
    step = quantized.rounds[0].quantization_step or 0
    rounding = 4 * np.finfo(np.float32).eps * np.abs(exact.model.weights)
    assert np.all(difference(quantized, exact) <= step + rounding)
    assert difference(quantized, exact).max() > step / 100


@pytest.mark.slow
def test_float32_has_no_step_and_hardly_an_error(run_small: Run) -> None:
    for record in run_small(scheme="plaintext", bits="float32").rounds:
        assert record.quantization_step is None
        assert record.clipped_fraction == 0
        assert record.max_abs_error is not None
        assert record.max_abs_error < 1e-8


# Round 0


@pytest.mark.parametrize("settings", [{}, {"bits": 5}, {"scheme": "plaintext", "bits": "float32"}], ids=str)
def test_standardization_is_that_of_the_pooled_rows(run_small: Run, small: Small, settings: dict[str, Any]) -> None:
    schema = run_small(rounds=1, **settings).model.feature_schema
    pooled = np.concatenate([bank.train.numeric for bank in open_dataset(small()).banks])
    assert schema["mean"] == pytest.approx(pooled.mean(axis=0), rel=1e-9, abs=1e-11)
    assert schema["std"] == pytest.approx(pooled.std(axis=0), rel=1e-9)


@pytest.fixture
def payloads(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Everything that is broadcast."""
    sent: list[bytes] = []
    original = SecureAggregation.broadcast

    def broadcast(self: SecureAggregation, cohort: Cohort[Any], payload: bytes) -> dict[str, memoryview]:
        sent.append(payload)
        return original(self, cohort, payload)

    monkeypatch.setattr(SecureAggregation, "broadcast", broadcast)
    return sent


def as_it_might_be_written(number: float) -> list[bytes]:
    integers = [struct.pack(form, int(number)) for form in ("<q", ">q", "<i", ">i")] if number == int(number) else []
    return [struct.pack("<d", number), struct.pack("<f", number), *integers]


def test_nobodys_number_of_examples_or_statistics_are_broadcast(payloads: list[bytes], small: Small) -> None:
    experiment = small()
    run_federation(experiment)
    assert len(payloads) == 1 + experiment.rounds
    for data in open_dataset(experiment).banks:
        statistics = Bank(data, 1, experiment).statistics()
        assert statistics[0] == len(data.train)
        secrets = [statistics[0], *statistics[1:] / statistics[0], *statistics[np.abs(statistics) > 1]]
        for secret in secrets:
            assert not any(form in payload for form in as_it_might_be_written(float(secret)) for payload in payloads)


def test_the_search_above_would_find_what_is_broadcast(payloads: list[bytes], run_small: Run, small: Small) -> None:
    run_federation(small())
    mean_examples = sum(bank["train_rows"] for bank in run_small().data["banks"].values()) / 3
    mean = run_small().model.feature_schema["mean"][-1]
    for public in (mean_examples, mean):
        assert any(form in payload for form in as_it_might_be_written(public) for payload in payloads)


def test_the_transcript_holds_counts_and_digests_only(run_small: Run) -> None:
    assert {f.name for f in fields(Delivery)} == {
        "round",
        "attempt",
        "stage",
        "sender",
        "recipient",
        "nbytes",
        "sha256",
    }
    for delivery in run_small().transcript:
        assert len(delivery.sha256) == 64
        assert delivery.nbytes > 0


def test_all_banks_send_the_same_number_of_bytes_in_round_0(run_small: Run) -> None:
    """However large their statistics are."""
    sizes: dict[str, int] = {}
    for d in run_small(scheme="plaintext", split="pattern").transcript:
        if d.round == 0 and d.recipient == "aggregator":
            sizes[d.sender] = d.nbytes
    assert len(sizes) == 3
    assert len(set(sizes.values())) == 1


# Dropouts


@pytest.fixture(scope="module")
def dataset(small: Small) -> Dataset:
    return open_dataset(small())


def first_round(
    experiment: Experiment, dataset: Dataset, clip: float = 0.05
) -> tuple[tuple[Bank, ...], GlobalModel, RoundOutcome]:
    """The banks after round 1, the model that they began with, and what came out."""
    aggregation = SecureAggregation(experiment, longest=11_000)
    banks = tuple(Bank(data, number, experiment) for number, data in enumerate(dataset.banks, start=1))
    standardization, mean_examples = agree_on_statistics(aggregation, banks)
    for bank in banks:
        bank.adopt(FeatureSchema.create(dataset.banks[0].train.schema, standardization, dataset.key))
    model = GlobalModel(initial_weights(experiment.seed), clip, mean_examples)
    return banks, model, run_round(aggregation, banks, model, model.to_bytes(), 1)


def a_round(
    experiment: Experiment, dataset: Dataset, clip: float = 0.05
) -> tuple[RoundOutcome, NDArray[Any], NDArray[Any]]:
    """The outcome of round 1; all banks' updates and numbers of examples, trained once more."""
    banks, model, outcome = first_round(experiment, dataset, clip)
    contributions = [bank.train(1) for bank in banks]
    examples = np.array([c.num_examples for c in contributions])
    assert model.mean_examples == examples.mean()
    return outcome, np.array([c.update for c in contributions]), examples


@pytest.mark.parametrize("scheme", ["plaintext", "ckks"])
def test_a_dropout_leaves_the_mean_but_not_the_weights(scheme: str, small: Small, dataset: Dataset) -> None:
    outcome, updates, examples = a_round(small(scheme=scheme, drop=("bank-2@1:upload",)), dataset)
    assert (outcome.contributors, outcome.dropped) == (("bank-1", "bank-3"), ("bank-2",))
    present = [0, 2]
    expected = examples[present] @ updates[present] / (2 * examples.mean())
    with_all = examples @ updates / examples.sum()
    assert outcome.mean.step is not None
    assert np.abs(outcome.mean.update - expected).max() < outcome.mean.step
    assert np.abs(outcome.mean.update - with_all).max() > 10 * outcome.mean.step
    assert outcome.max_abs_error == pytest.approx(np.abs(outcome.mean.update - expected).max(), rel=1e-6)


def test_the_clipped_share_is_one_of_the_values_that_arrived(small: Small, dataset: Dataset) -> None:
    clip = 1e-3
    outcome, updates, examples = a_round(small(scheme="plaintext", drop=("bank-2@1:upload",)), dataset, clip)
    weighted = updates[[0, 2]] * (examples[[0, 2]] / examples.mean())[:, None]
    assert outcome.clipped_fraction == (np.abs(weighted) > clip).mean() > 0


def test_without_dropouts_all_are_weighted_by_their_examples(small: Small, dataset: Dataset) -> None:
    outcome, updates, examples = a_round(small(), dataset)
    assert outcome.mean.step is not None
    assert np.abs(outcome.mean.update - examples @ updates / examples.sum()).max() < outcome.mean.step
    assert np.abs(outcome.mean.update - updates.mean(axis=0)).max() > outcome.mean.step


def test_a_bank_that_was_not_in_the_sum_keeps_what_it_had_to_carry_over(small: Small, dataset: Dataset) -> None:
    experiment = small(scheme="plaintext", bits=4, error_feedback=True, drop=("bank-2@1:upload",))
    banks, _, _ = first_round(experiment, dataset)
    assert [bank.residual is None for bank in banks] == [False, True, False]


@pytest.mark.parametrize("scheme", ["plaintext", "ckks"])
def test_a_dropout_is_listed_and_sends_nothing_in_its_round(run_small: Run, scheme: str) -> None:
    first, second = run_small(scheme=scheme, drop=("bank-2@1:upload",)).rounds
    assert (first.contributors, first.dropped) == (("bank-1", "bank-3"), ("bank-2",))
    assert set(first.upload_bytes) == {"bank-1", "bank-3"}
    assert set(first.download_bytes) == {"bank-1", "bank-2", "bank-3"}
    assert (second.contributors, second.dropped) == (("bank-1", "bank-2", "bank-3"), ())


def test_too_few_banks_end_the_run(small: Small) -> None:
    with pytest.raises(DropoutError, match="only 1 of 3 banks contributed in round 2"):
        run_federation(small(drop=("bank-1@2:upload", "bank-3@2:upload")))
    with pytest.raises(DropoutError, match="threshold is 3"):
        run_federation(small(threshold=3, drop=("bank-1@1:upload",)))


def test_no_bank_at_all_ends_the_run_too(small: Small) -> None:
    with pytest.raises(DropoutError):
        run_federation(small(drop=tuple(f"bank-{n}@1:upload" for n in (1, 2, 3))))


# What a run records


def test_metrics_have_the_content_that_scripts_rely_on(run_small: Run) -> None:
    metrics = run_small().metrics()
    assert {"schema", "experiment", "rounds", "final", "baselines", "privacy", "custody"} <= set(metrics)
    assert metrics["schema"] == 1
    assert metrics["privacy"] is None
    scores = {"auprc": float, "roc_auc": float, "false_positives_at_80_recall": int, "alert_days": int}
    scores |= dict.fromkeys(("precision_at_100", "best_precision_at_100", "alert_rate", "amount_saved"), float)

    def has_scores(entry: dict[str, Any]) -> bool:
        return all(type(entry[name]) is kind for name, kind in scores.items())

    assert has_scores(metrics["final"])
    assert has_scores(metrics["baselines"]["central"])
    assert [entry["bank"] for entry in metrics["baselines"]["local"]] == ["bank-1", "bank-2", "bank-3"]
    assert all(map(has_scores, metrics["baselines"]["local"]))
    for number, entry in enumerate(metrics["rounds"], start=1):
        assert entry["round"] == number
        assert all(type(entry[name]) is float for name in ("auprc", "roc_auc", "max_abs_error", "clipped_fraction"))
        assert set(entry["seconds"]) == {"train", "client", "server", "decode"}
        assert all(type(spent) is float for spent in entry["seconds"].values())
        assert set(entry["upload_bytes"]) == set(entry["download_bytes"]) == {"bank-1", "bank-2", "bank-3"}
    assert metrics["custody"]["scheme"] == "ckks"
    assert set(metrics["custody"]["can_decrypt"]) >= {"aggregator", "banks", "observer"}
    assert len(metrics["custody"]["broken_by"]) >= 1


def test_curves_and_scores_by_bank_are_in_the_metrics(run_small: Run) -> None:
    result = run_small()
    curves, own = result.metrics()["curves"], result.metrics()["auprc_on_own_rows"]
    banks = result.data["banks"].values()
    assert curves["frauds"] == sum(bank["test_frauds"] for bank in banks)
    assert curves["honest"] == sum(bank["test_rows"] - bank["test_frauds"] for bank in banks)
    ranked = sorted(result.local, key=lambda baseline: baseline.final.auprc)
    assert [curve["bank"] for curve in curves["local"]] == [ranked[-1].trained_on, ranked[0].trained_on]
    for curve in (curves["federated"], curves["central"], *curves["local"]):
        assert len(curve["recall"]) == len(curve["precision"]) <= 200
    assert curves["federated"] != curves["central"] != curves["local"][0] != curves["local"][1]
    assert list(own) == ["bank-1", "bank-2", "bank-3"]
    for baseline in result.local:
        assert baseline.on_test is not None
        assert own[baseline.trained_on] == {
            "federated": result.on_test.auprc_by_bank[baseline.trained_on],
            "alone": baseline.on_test.auprc_by_bank[baseline.trained_on],
        }


@pytest.mark.parametrize("settings", [{}, {"scheme": "plaintext", "bits": "float32"}], ids=str)
def test_metrics_are_plain_json(run_small: Run, settings: dict[str, Any]) -> None:
    metrics = run_small(**settings).metrics()
    again = json.loads(json.dumps(metrics, allow_nan=False))
    assert again["rounds"][1]["upload_bytes"] == metrics["rounds"][1]["upload_bytes"]
    assert Experiment(**again["experiment"]) == Experiment(**metrics["experiment"])


@pytest.mark.parametrize("scheme", ["plaintext", "ckks"])
def test_bytes_are_those_of_the_transcript(run_small: Run, scheme: str) -> None:
    result = run_small(scheme=scheme)
    for record in result.rounds:
        for bank in ("bank-1", "bank-2", "bank-3"):
            of_round = [d for d in result.transcript if d.round == record.round]
            assert record.upload_bytes[bank] == sum(d.nbytes for d in of_round if d.sender == bank)
            assert record.download_bytes[bank] == sum(d.nbytes for d in of_round if d.recipient == bank)
            assert record.download_bytes[bank] > 4 * result.parameters


def test_uploads_have_the_size_of_the_settings(run_small: Run) -> None:
    sizes = {bits: run_small(scheme="plaintext", bits=bits).rounds[0].upload_bytes["bank-1"] for bits in (8, 16)}
    assert sizes[8] == pytest.approx(10_369, rel=0.03)
    assert sizes[16] == pytest.approx(2 * 10_369, rel=0.03)


def test_only_a_plaintext_run_says_that_the_aggregator_reads_updates(run_small: Run) -> None:
    assert "every bank's update" in run_small(scheme="plaintext").custody.can_decrypt["aggregator"]
    assert not any("bank's update" in what for what in run_small().custody.can_decrypt["aggregator"])


def test_progress_is_reported_to_the_end(small: Small) -> None:
    calls: list[tuple[str, int, int]] = []
    run_federation(small(rounds=3), lambda what, done, total: calls.append((what, done, total)))
    for what, total in (("transactions", 1), ("rounds", 3), ("baselines", 4)):
        assert [(done, of) for name, done, of in calls if name == what] == [(n, total) for n in range(total + 1)]
    assert {what for what, *_ in calls} == {"transactions", "rounds", "baselines"}


def test_the_weights_of_a_result_do_not_show(run_small: Run) -> None:
    shown = repr(run_small())
    assert "array" not in shown
    assert "sha256" not in shown


# What a round records, figure by figure


def a_record(**changes: Any) -> RoundRecord:
    """Bank 2 dropped out after it was asked; bank 3 was never asked."""
    transcript = Transcript(
        [
            Delivery(number, 1, "stage", sender, recipient, nbytes * number, "")
            for number in (1, 2)
            for sender, recipient, nbytes in (
                ("aggregator", "bank-2", 100),
                ("aggregator", "bank-1", 200),
                ("bank-1", "aggregator", 30),
                ("aggregator", "bank-1", 7),
                ("authority", "bank-1", 5_000),
                ("bank-1", "authority", 6_000),
                ("aggregator", "authority", 9_000),
            )
        ]
    )
    done = RoundOutcome(
        number=2,
        last_sum=LastSum(np.zeros(1), 1),
        mean=MeanUpdate(np.zeros(1), 0, 0.25),
        contributors=("bank-1",),
        dropped=("bank-2", "bank-3"),
        attempts=3,
        refused={"bank-2": "late"},
        max_abs_error=0.125,
        clipped_fraction=0.0,
        seconds=Seconds(1, 2, 3, 4),
        exhibit=Exhibit("bank-1", np.zeros(1, dtype=np.float32), b"", 0, None),
        excluded=("bank-1",),
        byzantine=("bank-3",),
    )
    model = GlobalModel(np.array([0.5, -1.0], dtype=np.float32), 1.0, None)
    return make_record(replace(done, **changes), model, Scores(0.5, 0.75, 9), transcript, 1.5)


def test_every_figure_of_a_record_is_the_rounds_own() -> None:
    record = a_record()
    assert record == RoundRecord(
        round=2,
        contributors=("bank-1",),
        dropped=("bank-2", "bank-3"),
        attempts=3,
        refused={"bank-2": "late"},
        auprc=0.5,
        roc_auc=0.75,
        upload_bytes={"bank-1": 60},
        download_bytes={"bank-2": 200, "bank-1": 414},
        max_abs_error=0.125,
        quantization_step=0.25,
        clipped_fraction=0.0,
        seconds=Seconds(1, 2, 3, 4),
        epsilon=1.5,
        excluded=("bank-1",),
        byzantine=("bank-3",),
        model_sha256=hashlib.sha256(bytes.fromhex("0000003f000080bf")).hexdigest(),
    )
    assert list(record.download_bytes) == ["bank-2", "bank-1"], "in the order in which they were asked"
    assert a_record(clipped_fraction=None).clipped_fraction is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 2 * 0.25 * 3),
        ({"local_epochs": 4}, 2 * 0.25 * 3 * 4),
        ({"batch_size": 501}, 2 * 0.25 * 2),
        ({"batch_size": 1_000_000}, 2 * 0.25),
        ({"initial_clip": 0.7}, 0.7),
        ({"learning_rate": 1e30}, 1e30),
        ({"max_update_norm": 0.3}, 2 * 0.25 * 3),
        ({"mechanism": "distributed", "noise_multiplier": 1.0, "delta": 1e-5, "max_update_norm": 0.3}, 0.3),
        ({"noise_multiplier": 1.0, "delta": 1e-5, "max_update_norm": 0.3}, 2 * 0.25 * 3),
    ],
    ids=str,
)
def test_the_first_clip_range_is_twice_what_adam_moves_a_weight_by(changes: dict[str, Any], expected: float) -> None:
    experiment = Experiment(**{"learning_rate": 0.25, "batch_size": 400, **changes})
    assert opening.first_clip(experiment, 1_000.5) == expected


def test_of_too_few_banks_that_can_train_the_first_ones_error_is_raised(
    small: Small, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(bank: Bank, round_: int) -> Any:
        raise TrainingError(f"{bank.name} cannot train; ask others")

    experiment = small(scheme="plaintext")
    aggregation = SecureAggregation(experiment, longest=11_000)
    banks = tuple(Bank(data, number, experiment) for number, data in enumerate(dataset.banks, start=1))
    model = GlobalModel(initial_weights(1), 0.05, 1_000.0)
    monkeypatch.setattr(Bank, "train", train)
    with pytest.raises(TrainingError, match="bank-1 cannot train"):
        run_round(aggregation, banks, model, model.to_bytes(), 1)


def test_every_round_is_trained_and_rounded_under_its_own_number(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers: list[tuple[str, str, int]] = []
    train, encoded = Bank.train, Bank.encode

    def watched_train(bank: Bank, round_: int) -> Any:
        numbers.append((bank.name, "trained", round_))
        return train(bank, round_)

    def watched_encode(bank: Bank, contribution: Any, plan: Any, round_: int) -> Any:
        numbers.append((bank.name, "rounded", round_))
        return encoded(bank, contribution, plan, round_)

    monkeypatch.setattr(Bank, "train", watched_train)
    monkeypatch.setattr(Bank, "encode", watched_encode)
    run_federation(small(scheme="plaintext", rounds=2))
    assert sorted(numbers) == sorted(
        (f"bank-{bank}", what, number) for bank in (1, 2, 3) for what in ("trained", "rounded") for number in (1, 2)
    )


# A run that goes on


class Stopped(BaseException):
    """Like a power cut."""


def stop_after(rounds: int) -> Callable[[str, int, int], None]:
    def progress(what: str, done: int, total: int) -> None:
        if (what, done) == ("rounds", rounds):
            raise Stopped

    return progress


@pytest.mark.slow
@pytest.mark.parametrize("stopped_after", [1, 3])
def test_a_run_that_goes_on_ends_as_if_it_had_never_stopped(run_small: Run, tmp_path: Path, stopped_after: int) -> None:
    """In everything: also where its last round was done, and only the results were missing."""
    settings: dict[str, Any] = {"scheme": "plaintext", "bits": 6, "rounds": 3, "error_feedback": True}
    whole = run_small(**settings)
    folder = tmp_path / "run"
    with pytest.raises(Stopped):
        run_federation(Experiment(**whole.experiment), stop_after(stopped_after), Checkpoint(folder))
    checkpoint = Checkpoint(folder, resume=True)
    again = run_federation(checkpoint.settings(), checkpoint=checkpoint)
    assert_identical(whole, again)

    def deliveries(result: Result) -> list[tuple[Any, ...]]:
        return [(d.round, d.attempt, d.stage, d.sender, d.recipient, d.nbytes) for d in result.transcript]

    of_setup = [d for d in deliveries(again) if d[0] == 0 and d not in deliveries(whole)]
    assert [d for d in deliveries(again) if d not in of_setup] == deliveries(whole)
    assert [r.upload_bytes for r in again.rounds] == [r.upload_bytes for r in whole.rounds]
    assert [r.download_bytes for r in again.rounds] == [r.download_bytes for r in whole.rounds]
    assert again.exhibit.update.tobytes() == whole.exhibit.update.tobytes()
    assert (again.exhibit.bank, again.exhibit.message) == (whole.exhibit.bank, whole.exhibit.message)
    assert again.experiment == whole.experiment


def test_what_goes_on_is_what_was_resolved(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings that are kept name the key and the patterns of the data that were opened."""
    settings = small(scheme="plaintext", rounds=1)
    resolved = settings.resolved(None, ("ab",))
    monkeypatch.setattr(Dataset, "resolved", lambda self, experiment: resolved)
    checkpoint = Checkpoint(tmp_path / "run")
    result = run_federation(settings, checkpoint=checkpoint)
    assert checkpoint.settings() == resolved
    assert result.experiment["synthetic_patterns"] == ["ab"]


# What it refuses


def test_a_model_that_diverges_ends_the_run(small: Small) -> None:
    with pytest.raises(TrainingError, match="lower the learning rate"):
        run_federation(small(learning_rate=1e30))


@pytest.mark.slow
def test_the_last_sum_as_downlink_leads_to_the_same_weights(run_small: Run) -> None:
    whole, sums = run_small(bits=8), run_small(bits=8, downlink="sum")
    assert np.array_equal(whole.model.weights, sums.model.weights)
    assert sums.rounds[0].download_bytes == whole.rounds[0].download_bytes
    assert sums.rounds[1].download_bytes["bank-1"] < whole.rounds[1].download_bytes["bank-1"] / 3


BEYOND = [
    {"learning_rate": 1e13, "batch_size": 1_000_000},
    {"learning_rate": 1e38, "batch_size": 1_000_000},
    {"learning_rate": 1e-320},
    {"initial_clip": 1e40},
    {"initial_clip": 1e300},
    {"initial_clip": 1e-320},
]


@pytest.mark.parametrize("settings", BEYOND, ids=str)
def test_numbers_beyond_float32_end_the_run_with_a_named_error(small: Small, settings: dict[str, Any]) -> None:
    try:
        result = run_federation(small(rounds=1, **settings))
    except (TrainingError, ConfigurationError):
        return  # clipping may have saved the federation, but not the models beside it
    assert any(model.diverged_in == 1 for model in result.local)


def test_what_cannot_work_is_refused_before_data_are_opened(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(settings: Experiment, tables: bool) -> Dataset:
        raise AssertionError("the data were opened")

    monkeypatch.setattr(opening, "open_dataset", opened)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(PlanError):
        run_federation(small(banks=10_000, bits=24))
    with pytest.raises(ConfigurationError):
        run_federation(small(device="cuda"))


def test_a_test_set_without_fraud_is_refused(small: Small) -> None:
    with pytest.raises(DataError, match="one class"):
        run_federation(small(test_fraction=0.001))


# The real transactions


@pytest.fixture(scope="module")
def ulb_ckks() -> Result:
    return run_federation(Experiment(dataset="ulb", scheme="ckks", banks=3, rounds=5, seed=1))


@pytest.fixture
def without_baselines(monkeypatch: pytest.MonkeyPatch, ulb_ckks: Result) -> None:
    monkeypatch.setattr(run, "train_baselines", lambda *_: (ulb_ckks.local, ulb_ckks.central))


@pytest.mark.slow
def test_on_ulb_the_encrypted_federation_is_as_good_as_pooled_data(ulb_ckks: Result) -> None:
    assert (ulb_ckks.data["rows"], ulb_ckks.data["frauds"]) == (284_807, 492)
    assert ulb_ckks.final.auprc >= 0.79
    assert ulb_ckks.final.auprc >= 0.97 * ulb_ckks.central.final.auprc
    for record in ulb_ckks.rounds:
        assert record.clipped_fraction == 0
        assert (record.max_abs_error or 1) < (record.quantization_step or 0)


@pytest.mark.slow
def test_on_ulb_encryption_changes_the_model_no_more_than_noise_of_one_step(
    ulb_ckks: Result, without_baselines: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training amplifies any small change, so the yardstick is float32 with noise of one step added to each mean.

    A few weights move far under any change, but their number differs from draw to draw; so the mean difference is
    held to twice the yardstick's.
    """
    plain = Experiment(dataset="ulb", scheme="plaintext", bits="float32", banks=3, rounds=5, seed=1)
    exact = run_federation(plain)
    original = GlobalModel.updated

    def disturbed(seed: int) -> Result:
        rng = np.random.default_rng(seed)
        steps = iter([record.quantization_step or 0 for record in ulb_ckks.rounds])

        def updated(model: GlobalModel, mean: MeanUpdate, clip: float) -> GlobalModel:
            step = next(steps)
            noisy = replace(mean, update=mean.update + rng.uniform(-step, step, len(mean.update)))
            return original(model, noisy, clip)

        monkeypatch.setattr(GlobalModel, "updated", updated)
        return run_federation(plain)

    noise = [difference(disturbed(seed), exact) for seed in range(3)]
    encrypted = difference(ulb_ckks, exact)
    figures = (
        f"ckks - float32: mean {encrypted.mean():.2e}, max {encrypted.max():.2e}; with noise of one step: "
        + ", ".join(f"mean {d.mean():.2e}, max {d.max():.2e}" for d in noise)
    )
    assert encrypted.mean() <= 2 * max(d.mean() for d in noise), figures
    assert encrypted.max() <= 3 * max(d.max() for d in noise), figures
    assert abs(ulb_ckks.final.auprc - exact.final.auprc) < 0.01, figures


def test_what_is_odd_about_the_data_is_told_before_anything_is_trained(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_dataset(small())
    odd = replace(opened, origin=replace(opened.origin, warnings=("the first", "the second")))
    monkeypatch.setattr("secure_fl.federation.opening.open_dataset", lambda *_, **__: odd)
    steps: list[str] = []
    with pytest.warns(DataWarning) as told:
        run_federation(small(rounds=1), lambda what, *_: steps.append(f"{what}, {len(told)} told"))
    assert [str(each.message) for each in told] == ["the first", "the second"]
    assert steps[0] == "transactions, 0 told"
    assert steps[1:3] == ["transactions, 2 told", "rounds, 2 told"]
