"""Settings: the same in Python and TOML, frozen, and refused in one line that names the setting."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from secure_fl import Experiment
from secure_fl.errors import ConfigurationError
from secure_fl.settings.experiment import PRIVATE_TRAINING, Drop

EVERYTHING: dict[str, Any] = {
    "dataset": '/data/"our" Zahlungen ü.csv',
    "transactions": 5_000,
    "fraud_share": 0.01,
    "label": "is fraud",
    "time": "when",
    "amount": "amount, in €",
    "numeric": ("V1", "V2"),
    "categorical": ("kind\\sort",),
    "identifiers": ("card", "shop"),
    "key_check": "0123456789abcdef",
    "test_fraction": 0.25,
    "synthetic": "approved",
    "synthetic_share": 0.25,
    "synthetic_patterns": ("ab", "cd"),
    "banks": 5,
    "split": "pattern",
    "alpha": 0.1,
    "rounds": 7,
    "local_epochs": 2,
    "batch_size": 64,
    "learning_rate": 1e-4,
    "dropout": 0.0,
    "positive_weight": "balanced",
    "device": "cuda",
    "seed": 2**63 - 1,
    "scheme": "plaintext",
    "bits": 12,
    "threshold": 4,
    "attempts": 5,
    "initial_clip": 0.1 + 0.2,
    "error_feedback": True,
    "downlink": "sum",
    "drop": ("bank-1@2:upload", "bank-5@7:upload"),
}

PRIVATE: dict[str, Any] = {"epsilon": 2.5, "delta": 1e-6, "max_grad_norm": 0.5}
DISTRIBUTED: dict[str, Any] = {
    "mechanism": "distributed",
    "noise_multiplier": 0.1 + 0.2,
    "delta": 1e-6,
    "max_update_norm": 0.25,
    "lifetime_epsilon": 9.0,
}
FULL = [EVERYTHING, PRIVATE, DISTRIBUTED]
"""Together every setting, none at its default; some exclude each other."""

FILE: dict[str, Any] = {"dataset": "a.csv", "label": "fraud"}


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "experiment.toml"


def test_every_setting_is_tried() -> None:
    assert {name for settings in FULL for name in settings} == set(Experiment.model_fields)


@pytest.mark.parametrize("settings", FULL, ids=["all", "dp-sgd", "distributed"])
def test_every_setting_survives_toml(file: Path, settings: dict[str, Any]) -> None:
    experiment = Experiment(**settings)
    default = Experiment()
    assert all(getattr(experiment, name) != getattr(default, name) for name in settings)
    assert Experiment.from_toml(written(file, experiment.to_toml())) == experiment
    assert {name: getattr(experiment, name) for name in settings} == settings


def test_the_defaults_survive_toml(file: Path) -> None:
    assert Experiment.from_toml(written(file, Experiment().to_toml())) == Experiment()
    assert Experiment.from_toml(written(file, "")) == Experiment()


@given(
    learning_rate=st.floats(1e-30, 1e30),
    seed=st.integers(0, 2**63 - 1),
    bits=st.integers(4, 24),
    positive_weight=st.floats(1e-3, 1e6) | st.just("balanced"),
)
def test_numbers_survive_toml_exactly(tmp_path_factory: pytest.TempPathFactory, **settings: Any) -> None:
    experiment = Experiment(**settings)
    path = written(tmp_path_factory.getbasetemp() / "numbers.toml", experiment.to_toml())
    assert Experiment.from_toml(path) == experiment


def test_some_settings_of_a_file_can_be_changed(file: Path) -> None:
    experiment = Experiment.from_toml(written(file, "rounds = 3\nbanks = 4"), banks=6, seed=9)
    assert (experiment.rounds, experiment.banks, experiment.seed) == (3, 6, 9)


def test_a_relative_path_means_the_same_file_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Experiment(dataset="a.csv", label="fraud").dataset == str(tmp_path / "a.csv")


def test_it_is_frozen() -> None:
    experiment = Experiment()
    with pytest.raises(ValidationError, match="frozen"):
        experiment.rounds = 5
    assert experiment == Experiment()


def test_names_of_banks() -> None:
    assert Experiment(banks=3).bank_names == ("bank-1", "bank-2", "bank-3")


def test_a_drop_is_parsed() -> None:
    assert Experiment(drop=("bank-2@10:upload",)).drops == (Drop("bank-2", 10, "upload"),)


def test_it_can_be_tied_to_a_key_and_to_patterns() -> None:
    tied = Experiment(**FILE).resolved("ab", ("d",))
    assert tied == Experiment(**FILE, key_check="ab", synthetic_patterns=("d",))


# What is given, and words that the error must hold: the setting, or what is wrong with it.
BAD: list[tuple[dict[str, Any], str]] = [
    ({"scheme": "plaintext", "bits": "float32", "downlink": "sum"}, "downlink"),
    ({"scheme": "plaintext", "bits": "float32", "error_feedback": True}, "error_feedback"),
    ({"roundz": 3}, "'roundz'"),
    ({"two\nlines": 3}, "two"),
    ({"rounds": "many"}, "rounds"),
    ({"rounds": 2.5}, "rounds"),
    ({"rounds": None}, "rounds"),
    ({"rounds": 0}, "rounds"),
    ({"rounds": 10_001}, "rounds"),
    ({"local_epochs": 0}, "local_epochs"),
    ({"batch_size": 0}, "batch_size"),
    ({"banks": 2}, "banks"),
    ({"banks": 10_001}, "banks"),
    ({"transactions": 999}, "transactions"),
    ({"seed": -1}, "seed"),
    ({"seed": 2**63}, "seed"),
    ({"bits": 3}, "bits"),
    ({"bits": 25}, "bits"),
    ({"bits": True}, "bits"),
    ({"bits": 8.5}, "bits"),
    ({"bits": "float16"}, "bits"),
    ({"bits": None}, "bits"),
    ({"fraud_share": 0.5}, "fraud_share"),
    ({"fraud_share": math.nan}, "fraud_share"),
    ({"test_fraction": 0.0}, "test_fraction"),
    ({"test_fraction": 1.0}, "test_fraction"),
    ({"test_fraction": math.nan}, "test_fraction"),
    ({"alpha": 0}, "alpha"),
    ({"alpha": math.inf}, "alpha"),
    ({"dropout": 1.0}, "dropout"),
    ({"dropout": -0.1}, "dropout"),
    ({"dropout": math.nan}, "dropout"),
    ({"learning_rate": 0}, "learning_rate"),
    ({"learning_rate": math.nan}, "learning_rate"),
    ({"learning_rate": math.inf}, "learning_rate"),
    ({"positive_weight": 0}, "positive_weight"),
    ({"positive_weight": math.nan}, "positive_weight"),
    ({"positive_weight": "heavy"}, "positive_weight"),
    ({"initial_clip": 0}, "initial_clip"),
    ({"initial_clip": math.nan}, "initial_clip"),
    ({"threshold": "two"}, "threshold"),
    ({"threshold": 2.5}, "threshold"),
    ({"split": "odd"}, "split"),
    ({"device": "tpu"}, "device"),
    ({"dataset": 5}, "dataset"),
    ({"scheme": "rot13"}, "scheme 'rot13'"),
    ({"scheme": "two\nlines"}, "scheme"),
    ({"scheme": ""}, "scheme"),
    ({"scheme": "ckks", "bits": "float32"}, "float32"),
    ({"drop": "bank-1@1:upload"}, "drop"),
    ({"drop": (1,)}, "drop"),
    ({"drop": ("bank-1",)}, "BANK@ROUND:STAGE"),
    ({"drop": ("bank-1@one:upload",)}, "BANK@ROUND:STAGE"),
    ({"drop": ("bank-1@1:upload ",)}, "BANK@ROUND:STAGE"),
    ({"drop": ("bank-4@1:upload",)}, "bank-4@1:upload"),
    ({"drop": ("bank-1@0:upload",)}, "bank-1@0:upload"),
    ({"drop": ("bank-1@11:upload",)}, "bank-1@11:upload"),
    ({"drop": ("bank-1@1:unmask",)}, "bank-1@1:unmask"),
    ({"label": "fraud"}, "label"),
    ({"numeric": ("V1",), "time": "t"}, "time, numeric"),
    ({"dataset": "ulb", "identifiers": ("card",)}, "identifiers"),
    ({"dataset": "a.csv"}, "label"),
    ({**FILE, "numeric": "V1"}, "numeric"),
    ({"bits": 8.0}, "bits"),
    ({"bits": "8"}, "bits"),
    ({"rounds": True}, "rounds"),
    ({"rounds": "3"}, "rounds"),
    ({"seed": 1.0}, "seed"),
    ({"positive_weight": True}, "positive_weight"),
    ({"learning_rate": "0.1"}, "learning_rate"),
    ({"threshold": True}, "threshold"),
    ({"threshold": 1}, "threshold"),
    ({"threshold": 4}, "threshold"),
    ({"drop": ("bank-1@1:upload", "bank-1@1:upload")}, "bank-1"),
    ({"drop": ("bank-1@" + "9" * 5_000 + ":upload",)}, "drop"),
    ({"key_check": "0123456789abcdef"}, "key_check"),
    ({"dataset": "two\nlines.csv"}, "label"),
    ({**FILE, "label": ""}, "label"),
    ({**FILE, "numeric": ("fraud",)}, "fraud"),
    *(({"epsilon": value, "delta": 1e-5}, "epsilon") for value in (0.0, -1.0, math.nan, math.inf, "3", True)),
    *(({"epsilon": 3.0, "delta": value}, "delta") for value in (0.0, -1e-5, 1.0, 2.0, math.nan, math.inf)),
    *(({"noise_multiplier": value, "delta": 1e-5}, "noise_multiplier") for value in (0.0, -1.0, math.nan, math.inf)),
    *(({**PRIVATE, "max_grad_norm": value}, "max_grad_norm") for value in (0.0, -1.0, math.nan, math.inf)),
    *(({**DISTRIBUTED, "max_update_norm": value}, "max_update_norm") for value in (0.0, -1.0, math.nan, math.inf)),
    ({"epsilon": 3.0}, "--delta"),
    ({"noise_multiplier": 1.0}, "--delta"),
    ({"delta": 1e-5}, "--epsilon"),
    ({"epsilon": 3.0, "noise_multiplier": 1.0, "delta": 1e-5}, "epsilon and noise_multiplier"),
    ({**PRIVATE, "positive_weight": "balanced"}, "positive_weight"),
    ({**PRIVATE, "mechanism": "local"}, "mechanism"),
    ({"mechanism": "distributed"}, "--epsilon"),
    ({"noise_multiplier": 0.19, "delta": 1e-5}, "noise multiplier of 0.19"),
    ({"epsilon": 3.0, "delta": 1e-14}, "delta of 1e-14"),
    ({**DISTRIBUTED, "error_feedback": True}, "error_feedback"),
    ({**DISTRIBUTED, "scheme": "plaintext", "bits": "float32"}, "float32"),
]


def assert_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Experiment(**settings)
    assert words in str(caught.value)
    assert "; " in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("settings", "words"), BAD, ids=lambda value: str(value)[:40])
def test_a_bad_setting_is_refused_in_one_line_that_names_it(settings: dict[str, Any], words: str) -> None:
    assert_refused(settings, words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("rounds = ", "not valid TOML"),
        ("rounds = 1\nrounds = 2", "not valid TOML"),
        (b"dataset = '\xff'", "not valid TOML"),
        ("rounds = 'many'", "rounds"),
        ("roundz = 1", "'roundz'"),
        ("[training]\nrounds = 1", "'training'"),
        ("alpha = nan", "alpha"),
        ("drop = 'bank-1@1:upload'", "drop"),
        ("scheme = 'rot13'", "rot13"),
        ("bits = true", "bits"),
    ],
)
def test_a_bad_file_is_refused_in_one_line_that_names_it(file: Path, content: str | bytes, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Experiment.from_toml(written(file, content))
    assert str(file) in str(caught.value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_or_a_folder_is_refused(file: Path) -> None:
    for wrong in (file, file.parent):
        with pytest.raises(ConfigurationError, match="cannot be read") as caught:
            Experiment.from_toml(wrong)
        assert str(wrong) in str(caught.value)


def test_every_way_of_construction_raises_the_projects_own_error() -> None:
    builds: list[Callable[[], Experiment]] = [
        lambda: Experiment(rounds=0),
        lambda: Experiment.model_validate({"rounds": 0}),
        lambda: Experiment.model_validate_json('{"rounds": 0}'),
        lambda: Experiment.model_validate(5),
    ]
    for build in builds:
        with pytest.raises(ConfigurationError):
            build()


# Differential privacy


def test_private_training_has_defaults_of_its_own() -> None:
    for asked in ({"epsilon": 3.0}, {"noise_multiplier": 1.0}):
        experiment = Experiment.model_validate({**asked, "delta": 1e-5})
        assert {name: getattr(experiment, name) for name in PRIVATE_TRAINING} == PRIVATE_TRAINING
        assert (experiment.private, experiment.private_rows) == (True, True)
    assert Experiment(epsilon=3.0, delta=1e-5, batch_size=7).batch_size == 7
    assert Experiment(epsilon=3.0, delta=1e-5, positive_weight=5.0).positive_weight == 5.0


def test_distributed_noise_and_runs_without_noise_train_as_usual() -> None:
    for experiment in (Experiment(), Experiment(**DISTRIBUTED), Experiment(epsilon=None)):
        assert experiment.batch_size == Experiment().batch_size
        assert not experiment.private_rows
    assert Experiment(**DISTRIBUTED).private
    assert not Experiment().private


def test_without_privacy_the_usual_defaults_are_back() -> None:
    plain = Experiment(**PRIVATE, rounds=4, batch_size=77, seed=3).without_privacy()
    usual = Experiment()
    assert (plain.private, plain.delta, plain.noise_multiplier) == (False, None, None)
    assert (plain.rounds, plain.batch_size, plain.seed) == (4, 77, 3), "what was chosen stays"
    assert (plain.learning_rate, plain.dropout, plain.positive_weight) == (
        usual.learning_rate,
        usual.dropout,
        usual.positive_weight,
    )
    assert Experiment(**DISTRIBUTED, batch_size=1024).without_privacy().batch_size == 1024


def test_private_settings_of_a_file_are_completed_the_same_way(file: Path) -> None:
    assert Experiment.from_toml(written(file, "epsilon = 3.0\ndelta = 1e-5")) == Experiment(epsilon=3.0, delta=1e-5)
    assert Experiment.from_toml(written(file, ""), epsilon=3.0, delta=1e-5) == Experiment(epsilon=3.0, delta=1e-5)
