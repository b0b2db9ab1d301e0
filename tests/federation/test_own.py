"""Own modules and own rows in a whole federation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from torch import nn

from secure_fl import Experiment, Result, run_federation
from secure_fl.errors import ConfigurationError, DataError
from secure_fl.federation.checkpoint import Checkpoint
from secure_fl.privacy.ledger import Ledger
from secure_fl.privacy.lifetime import LedgerStore
from secure_fl.report.outputs import write_run
from secure_fl.report.scores import score_file
from secure_fl.secagg.schemes import SCHEMES

NAMES = ("north", "Süd-West 2", "west")
QUICK: dict[str, Any] = {"rounds": 2, "batch_size": 32, "learning_rate": 0.02, "positive_weight": 1.0}


def rows(count: int, seed: int, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Columns of very different size, in the first of which the class shows."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    table = rng.normal(size=(count, 4)) * [1, 1, 1000, 0.01] + [0, 50, 0, 0]
    table[:, 0] += 3 * labels
    return table, labels


def banks(count: int = 80, classes: int = 2) -> dict[str, Any]:
    return {name: rows(count, place, classes) for place, name in enumerate(NAMES)}


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))


def experiment(**settings: Any) -> Experiment:
    return Experiment(**{"scheme": "masked", **QUICK, **settings})


@pytest.fixture(scope="module")
def result() -> Result:
    return run_federation(experiment(rounds=4), model=net, banks=banks(), test=rows(60, 9))


def test_it_learns_from_all_and_names_the_banks(result: Result) -> None:
    assert result.final.auprc > 0.9
    assert result.rounds[-1].contributors == NAMES
    assert [baseline.trained_on for baseline in result.local] == [*NAMES]
    assert set(result.data["banks"]) == {*NAMES}
    assert (result.data["rows"], result.parameters) == (300, 49)
    assert result.data["columns"] == {"used": {f"x{n}": "number" for n in range(4)}, "ignored": []}
    assert (result.experiment["dataset"], result.experiment["names"]) == ("in-memory", [*NAMES])


def test_the_model_comes_back_as_a_module_that_predicts_logits(result: Result) -> None:
    module = result.model.to_torch()
    assert isinstance(module, nn.Sequential)
    assert not module.training
    table, labels = rows(60, 9)
    schema = result.model.feature_schema
    scaled = np.clip((table - schema["mean"]) / schema["std"], -8, 8)
    logits = module(torch.tensor(scaled, dtype=torch.float32)).detach().numpy()[:, 0]
    order = np.argsort(-logits)
    precision = np.cumsum(labels[order]) / np.arange(1, 61)
    assert result.final.auprc == pytest.approx(precision[labels[order] == 1].mean())
    everything = np.concatenate([table for table, _ in banks().values()])
    assert schema["mean"] == pytest.approx(everything.mean(axis=0), rel=1e-6, abs=1e-9)
    assert schema["std"] == pytest.approx(everything.std(axis=0), rel=1e-6)


@pytest.mark.slow
def test_a_run_ends_with_a_report_and_a_model_file(result: Result, tmp_path: Path) -> None:
    tmp_path = result.save(tmp_path / "deep" / "run")
    with pytest.raises(ConfigurationError, match="exists already and is kept as it is"):
        result.save(tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Rows that were handed over in Python." in page
    assert all(name in page for name in NAMES)
    assert json.loads((tmp_path / "metrics.json").read_text())["experiment"]["names"] == [*NAMES]
    again = Experiment.from_toml(tmp_path / "experiment.toml")
    assert again.bank_names == NAMES
    with pytest.raises(ConfigurationError, match="hand them over again"):
        run_federation(again)
    with pytest.raises(DataError, match="a module that somebody brought"):
        score_file(tmp_path / "model.safetensors", tmp_path / "rows.csv", tmp_path / "scores.csv")
    repeated = run_federation(again, model=net, banks=banks(), test=rows(60, 9))
    assert np.array_equal(repeated.model.weights, result.model.weights)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_averages_it(scheme: str) -> None:
    settings = experiment(scheme=scheme, rounds=1)
    result = run_federation(settings, model=net, banks=banks(40), test=rows(40, 9))
    (only,) = result.rounds
    assert only.max_abs_error is not None
    assert only.max_abs_error <= 1.01 * (only.quantization_step or 0)
    assert set(only.contributors) == {*NAMES}


def test_kinds_of_tables_make_no_difference() -> None:
    columns = ["x0", "x1", "x2", "x3"]
    tables = {
        "numpy": banks(40),
        "torch": {name: (torch.tensor(x), torch.tensor(y)) for name, (x, y) in banks(40).items()},
        "pandas": {name: (pd.DataFrame(x, columns=columns), pd.Series(y)) for name, (x, y) in banks(40).items()},
        "polars": {name: (pl.DataFrame(x, schema=columns), pl.Series(y)) for name, (x, y) in banks(40).items()},
    }
    weights = {
        kind: run_federation(experiment(rounds=1), model=net, banks=given, test=given["north"]).model.weights.tobytes()
        for kind, given in tables.items()
    }
    assert len(set(weights.values())) == 1


@pytest.mark.slow
def test_without_a_model_the_fraud_model_takes_the_width_of_the_table(tmp_path: Path) -> None:
    tables = {name: pd.DataFrame(x, columns=list("abcd")).assign(bad=y) for name, (x, y) in banks().items()}
    settings = experiment(dataset="in-memory", label="bad")
    result = run_federation(settings, banks=tables, test={name: table[:40] for name, table in tables.items()})
    assert result.parameters == 4 * 64 + 64 + 64 * 32 + 32 + 32 + 1
    assert set(result.on_test.auprc_by_bank) == {*NAMES}
    write_run(result, tmp_path)
    tables["north"].to_csv(tmp_path / "rows.csv", index=False)
    assert score_file(tmp_path / "model.safetensors", tmp_path / "rows.csv", tmp_path / "scores.csv") == 80
    scores = pd.read_csv(tmp_path / "scores.csv")["fraud_probability"]
    assert scores[tables["north"]["bad"] == 1].mean() > scores[tables["north"]["bad"] == 0].mean()


@pytest.mark.slow
def test_several_classes_and_rows_of_several_axes() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution, self.out = nn.Conv2d(1, 4, 2), nn.Linear(4, 3)

        def forward(self, images: torch.Tensor) -> Any:
            return self.out(torch.relu(self.convolution(images)).flatten(1))

    images = {name: (x.reshape(-1, 1, 2, 2), y) for name, (x, y) in banks(90, classes=3).items()}
    result = run_federation(experiment(rounds=6), model=Net, banks=images, test=images["west"])
    assert result.final.roc_auc > 0.8
    assert result.on_test.curve.frauds == 90
    assert result.on_test.curve.honest == 180
    assert "Net(" in str(result.model.to_torch())
    plain = run_federation(experiment(), banks=images, test=images["west"])
    assert plain.parameters == 4 * 64 + 64 + 64 * 32 + 32 + 32 * 3 + 3


def test_the_statistics_of_a_batch_normalization_are_averaged() -> None:
    def normal() -> nn.Module:
        return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))

    result = run_federation(
        experiment(bits="float32", scheme="plaintext"), model=normal, banks=banks(), test=rows(60, 9)
    )
    norm = result.model.to_torch()[1]
    assert not torch.equal(norm.running_mean, torch.zeros(3))
    assert result.parameters == 15 + 6 + 4 + 6


def test_a_training_of_ones_own_is_what_banks_do() -> None:
    calls: list[tuple[int, int]] = []

    def fit(module: nn.Module, features: torch.Tensor, classes: torch.Tensor, epochs: int) -> None:
        calls.append((len(features), epochs))
        with torch.no_grad():
            for part in module.parameters():
                part.add_(1.0)

    settings = experiment(local_epochs=3, initial_clip=4.0)
    result = run_federation(settings, model=net, banks=banks(40), test=rows(40, 9), train=fit)
    federation, baselines = [(40, 3)] * 3 * 2, [(40, 3)] * 3 * 2 + [(120, 3)] * 2
    assert calls == federation + baselines
    start = np.concatenate([part.detach().numpy().ravel() for part in _made(net, seed=1).parameters()])
    assert result.model.weights == pytest.approx(start + 2.0, abs=1e-3)
    built_in = Experiment(**QUICK, transactions=3_000, fraud_share=0.02, scheme="plaintext")
    own = run_federation(built_in.with_(rounds=1), model=lambda: nn.Linear(128, 1), train=lambda *_: None)
    assert own.parameters == 129


def _made(make: Any, seed: int) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


@pytest.mark.slow
@pytest.mark.parametrize("mechanism", ["dp-sgd", "distributed"])
def test_differential_privacy_holds_for_own_modules_and_rows(mechanism: Any) -> None:
    settings = experiment(epsilon=8.0, delta=1e-3, mechanism=mechanism, batch_size=64, learning_rate=0.05)
    result = run_federation(settings, model=net, banks=banks(2_000), test=rows(400, 9))
    assert result.privacy is not None
    assert result.privacy.mechanism == mechanism
    assert 1 < result.privacy.epsilon <= 8
    store = LedgerStore.of_user()
    again = run_federation(settings, model=net, banks=banks(2_000), test=rows(400, 9))
    assert again.privacy is not None
    life = dict(again.privacy.lifetime_epsilon)
    assert {*life} == {*NAMES}
    assert min(life.values()) > result.privacy.epsilon
    assert store == LedgerStore.of_user()


def test_what_is_not_private_is_refused_before_anything_is_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    charged: list[Any] = []
    monkeypatch.setattr("secure_fl.privacy.ledger.Ledger.charge", lambda *a: charged.append(a))
    monkeypatch.setattr("secure_fl.privacy.ledger.Ledger.once", lambda *a: charged.append(a))
    settings = experiment(epsilon=8.0, delta=1e-3)

    def normal() -> nn.Module:
        return nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 1))

    with pytest.raises(ConfigurationError, match="averages buffers"):
        run_federation(settings, model=normal, banks=banks(), test=rows(60, 9))
    with pytest.raises(ConfigurationError, match="leave out train="):
        run_federation(settings, model=net, banks=banks(), test=rows(60, 9), train=lambda *_: None)
    built_in = Experiment(**QUICK, transactions=3_000, fraud_share=0.02, epsilon=8.0, delta=1e-4)
    with pytest.raises(DataError, match="labels up to 3, and the model answers with 3 logits; give it 4"):
        run_federation(built_in.with_(batch_size=512), model=lambda: nn.Linear(128, 3))
    assert charged == []


@pytest.mark.slow
def test_rows_that_lie_in_two_banks_are_noted() -> None:
    settings = experiment(epsilon=8.0, delta=1e-4, batch_size=64, rounds=1)
    given = banks(2_000) | {NAMES[2]: (rows(2_000, 0)[0].astype(np.float32), rows(2_000, 0)[1])}
    shared = run_federation(settings, model=net, banks=given, test=rows(60, 9))
    apart = run_federation(settings, model=net, banks=banks(2_000), test=rows(60, 9))
    assert shared.privacy is not None
    assert apart.privacy is not None
    (note,) = shared.privacy.notes
    assert note.startswith("north, west hold rows that are alike")
    assert apart.privacy.notes == ()


class StoppedError(Exception):
    pass


CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "nothing": ({}, {}, ""),
    "settings": ({"seed": 2, "rounds": 5}, {}, r"has other settings \(rounds, seed\); go on with its own"),
    "banks": ({}, {"banks": dict(zip("abc", banks(40).values(), strict=True))}, r"other settings \(names\)"),
    "model": ({}, {"model": lambda: nn.Linear(4, 1)}, "a model of 49 weights, not of 5; go on with the model"),
    "no rows": ({}, {"banks": None, "test": None, "model": None}, r"other settings \(dataset, names\)"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("settings", "options", "message"), CHANGES.values(), ids=CHANGES)
def test_a_run_goes_on_as_the_one_that_it_was(
    settings: dict[str, Any], options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    def stop(what: str, done: int, _: int) -> None:
        if (what, done) == ("rounds", 2):
            raise StoppedError

    given: dict[str, Any] = {"model": net, "banks": banks(40), "test": rows(40, 9)}
    with pytest.raises(StoppedError):
        run_federation(experiment(rounds=3), stop, Checkpoint(tmp_path), **given)
    if message:
        with pytest.raises(ConfigurationError, match=message):
            run_federation(
                experiment(**{"rounds": 3, **settings}), checkpoint=Checkpoint(tmp_path, resume=True), **given | options
            )
    else:
        resumed = run_federation(experiment(rounds=3), checkpoint=Checkpoint(tmp_path, resume=True), **given)
        assert np.array_equal(resumed.model.weights, run_federation(experiment(rounds=3), **given).model.weights)


@pytest.mark.slow
def test_a_changed_module_makes_no_release_under_the_noise_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    class Net(nn.Linear):
        def __init__(self, curve: Any) -> None:
            super().__init__(4, 1)
            self.curve = curve

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return super().forward(self.curve(rows))

    contexts: list[bytes] = []

    def charged(ledger: Ledger, release: str, context: bytes, event: Any, **_: Any) -> bytes:
        contexts.append(context)
        return bytes(32)

    monkeypatch.setattr(Ledger, "charge", charged)
    monkeypatch.setattr("secure_fl.privacy.rows.discrete_gaussian", lambda _, n: np.zeros(n, dtype=np.int64))
    settings = experiment(epsilon=8.0, delta=1e-3, rounds=1, batch_size=64)
    for curve in (torch.sin, torch.tanh, torch.sin):
        run_federation(settings, model=lambda: Net(curve), banks=banks(2_000), test=rows(60, 9))  # noqa: B023
    first, other, again = (contexts[start : start + 6] for start in (0, 6, 12))
    trained = [place for place in range(6) if not first[place].startswith(b"statistics")]
    assert len(trained) == 3
    assert all(first[place] == again[place] != other[place] for place in trained)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test": rows(10, 1)}, "beside those of the banks; add banks="),
        ({"banks": {"a": rows(10, 1), "b": rows(10, 2)}}, "banks"),
        ({"banks": {"a/b": rows(9, 1), "b": rows(9, 2), "c": rows(9, 3)}}, "no bank can be called 'a/b'"),
        ({"banks": {"aggregator": rows(9, 1), "b": rows(9, 2), "c": rows(9, 3)}}, "have one name"),
        ({"banks": banks(classes=3), "model": net}, "3 classes, and the model answers with 1 logits; give it 3"),
        ({"banks": {n: (x, 0 * y) for n, (x, y) in banks().items()}}, "no bank has fraud"),
        ({"banks": banks(), "test": (rows(9, 1)[0], np.zeros(9))}, "the test transactions hold only one class"),
        ({"banks": banks(), "model": lambda: nn.Linear(5, 1)}, "does not take rows of 4 numbers"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigurationError, DataError), match=message) as caught:
        run_federation(experiment(), **options)
    assert "\n" not in str(caught.value)


def test_banks_drop_out_by_the_names_that_they_were_given() -> None:
    settings = experiment(dataset="in-memory", names=NAMES, drop=("Süd-West 2@2:masked_input",), rounds=2)
    result = run_federation(settings, model=net, banks=banks(40), test=rows(40, 9))
    assert [record.dropped for record in result.rounds] == [(), ("Süd-West 2",)]
