"""Settings: the same in Python and TOML, frozen, and refused in one line that names the setting."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from secure_fl import Experiment
from secure_fl.errors import ConfigurationError
from secure_fl.settings import PRIVATE_TRAINING, Drop

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
    "time_unit": "hours",
    "positive_label": "Yes, it is",
    "impute": True,
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
    "hidden": "16-8",
    "activation": "square",
    "positive_weight": "balanced",
    "device": "cuda",
    "seed": 2**63 - 1,
    "scheme": "plaintext",
    "bits": 12,
    "threshold": 4,
    "attempts": 5,
    "initial_clip": 0.1 + 0.2,
    "clip_margin": 4.5,
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
FORMATTED: dict[str, Any] = {"dataset": "/a.csv", "label": "fraud", "time": "when", "time_format": "%d/%m/%Y"}
NAMED: dict[str, Any] = {"dataset": "in-memory", "banks": 4, "names": ("north", "Süd-West 2", "b.3", "4")}
POISONED: dict[str, Any] = {
    "scheme": "plaintext",
    "banks": 5,
    "robust": "krum",
    "byzantine": 1,
    "attack": "sign-flip",
    "attack_strength": 2.5,
}
GROUPED: dict[str, Any] = {"scheme": "masked", "banks": 9, "robust": "median", "group_size": 4}
PROVEN: dict[str, Any] = {"scheme": "additive", "proofs": True, "norm_bound": 0.1 + 0.2}
AUDITED: dict[str, Any] = {"audit_groups": ("amount:10,100", "bank"), "audit_max_gap": 0.1 + 0.2, "keep_models": False}
SHARED: dict[str, Any] = {"scheme": "additive", "holders": 5, "quorum": 4}
SEEN: dict[str, Any] = {"scheme": "bfv", "witnesses": 2, "fresh_keys": 3}
LEFT: dict[str, Any] = {"without": ("bank-2", "bank-5"), "retrained_from": "0123456789abcdef" * 4}
FULL = [EVERYTHING, PRIVATE, DISTRIBUTED, FORMATTED, NAMED, POISONED, GROUPED, PROVEN, AUDITED, SHARED, SEEN, LEFT]
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


@pytest.mark.parametrize(
    "settings",
    FULL,
    ids=[
        "all",
        "dp-sgd",
        "distributed",
        "formatted",
        "named",
        "poisoned",
        "grouped",
        "proven",
        "audited",
        "shared",
        "seen",
        "left",
    ],
)
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
    ({"hidden": "16-"}, "hidden"),
    ({"hidden": "0"}, "hidden"),
    ({"hidden": "8-8-8-8-8-8-8-8-8"}, "hidden"),
    ({"activation": "cube"}, "activation"),
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
    ({"drop": ("bank-1",)}, "PARTY@ROUND:STAGE"),
    ({"drop": ("bank-1@one:upload",)}, "PARTY@ROUND:STAGE"),
    ({"drop": ("bank-1@1:upload ",)}, "PARTY@ROUND:STAGE"),
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
    ({"drop": ("share-holder-1@1:sum_shares",)}, "share-holder-1@1:sum_shares"),
    ({"drop": ("key-authority@1:upload",)}, "of key-authority decrypt"),
    ({**SHARED, "drop": ("share-holder-6@1:sum_shares",)}, "share-holder-5 sum_shares"),
    ({**SHARED, "drop": ("share-holder-1@1:upload",)}, "share-holder-1@1:upload"),
    ({"scheme": "additive", "quorum": 2}, "give holders too"),
    ({"scheme": "additive", "holders": 4, "quorum": 2}, "use 3 to 4"),
    ({"scheme": "masked", "holders": 3}, "masked has no committee of holders"),
    ({**SHARED, "proofs": True}, "leave out --proofs"),
    (
        {**SHARED, "scheme": "ckks", "banks": 7, "robust": "multi-krum", "byzantine": 1},
        "opened by a key authority alone",
    ),
    ({"drop": ("bank-1@" + "9" * 5_000 + ":upload",)}, "drop"),
    ({"key_check": "0123456789abcdef"}, "key_check"),
    ({"without": ("bank-2", "bank-2")}, "leaves twice"),
    ({"without": ("bank-5",)}, "'bank-5'"),
    ({"without": ("north",)}, "'north'"),
    ({**NAMED, "without": ("north",)}, "north has left"),
    ({**NAMED, "without": ("../north",)}, "'../north'"),
    ({"without": ("bank-2",), "drop": ("bank-2@1:upload",)}, "bank-2@1:upload"),
    ({"without": ("bank-2",), "synthetic": "approved"}, "synthetic"),
    ({"retrained_from": "ab" * 32}, "leave out the head"),
    ({"without": ("bank-2",), "retrained_from": "ab"}, "retrained_from"),
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


# Defaults and bounds, written down a second time: a figure that moves moves every run, or lets in what cannot work.

DEFAULTS: dict[str, Any] = {
    "dataset": "simulated",
    "transactions": 200_000,
    "fraud_share": 0.005,
    "label": None,
    "time": None,
    "amount": None,
    "numeric": (),
    "categorical": (),
    "identifiers": (),
    "time_unit": "seconds",
    "time_format": None,
    "positive_label": None,
    "impute": False,
    "key_check": None,
    "test_fraction": 0.3,
    "synthetic": "none",
    "synthetic_share": 0.5,
    "synthetic_patterns": (),
    "banks": 3,
    "split": "even",
    "alpha": 1.0,
    "rounds": 10,
    "local_epochs": 1,
    "batch_size": 512,
    "learning_rate": 0.002,
    "dropout": 0.3,
    "hidden": "64-32",
    "activation": "relu",
    "positive_weight": 10.0,
    "device": "cpu",
    "seed": 1,
    "epsilon": None,
    "delta": None,
    "lifetime_epsilon": None,
    "noise_multiplier": None,
    "mechanism": "dp-sgd",
    "max_grad_norm": 1.0,
    "max_update_norm": 1.0,
    "scheme": "ckks",
    "bits": 16,
    "threshold": None,
    "holders": None,
    "quorum": None,
    "witnesses": 0,
    "fresh_keys": None,
    "attempts": 3,
    "error_feedback": False,
    "downlink": "weights",
    "initial_clip": None,
    "clip_margin": 3.0,
    "names": (),
    "drop": (),
    "robust": "none",
    "byzantine": 0,
    "group_size": None,
    "proofs": False,
    "norm_bound": None,
    "audit_groups": (),
    "without": (),
    "retrained_from": None,
    "keep_models": True,
    "audit_max_gap": None,
    "attack": "none",
    "attack_strength": None,
}
LEAST, MOST = 5e-324, 1.7976931348623157e308
"""Of floats: the smallest above 0, the largest."""
BOUNDS: dict[str, tuple[Any, Any]] = {
    "transactions": (1_000, 20_000_000),
    "fraud_share": (0.001, 0.2),
    "test_fraction": (LEAST, math.nextafter(1, 0)),
    "synthetic_share": (LEAST, 1000.0),
    "banks": (3, 10_000),
    "alpha": (LEAST, MOST),
    "rounds": (1, 10_000),
    "local_epochs": (1, 1_000),
    "batch_size": (1, 1_000_000),
    "learning_rate": (1e-30, 1e30),
    "dropout": (0.0, math.nextafter(1, 0)),
    "positive_weight": (LEAST, MOST),
    "seed": (0, 2**63 - 1),
    "epsilon": (LEAST, MOST),
    "delta": (1e-12, math.nextafter(1, 0)),
    "lifetime_epsilon": (LEAST, MOST),
    "noise_multiplier": (0.2, MOST),
    "max_grad_norm": (LEAST, MOST),
    "max_update_norm": (1e-30, 1e30),
    "bits": (4, 24),
    "threshold": (2, 3),
    "holders": (2, 7),
    "quorum": (2, 3),
    "witnesses": (0, 7),
    "fresh_keys": (1, 10_000),
    "attempts": (1, 100),
    "initial_clip": (1e-30, 1e30),
    "clip_margin": (1.0, 1e6),
    "byzantine": (0, 1),
    "group_size": (3, 3),
    "norm_bound": (LEAST, 1e30),
    "audit_max_gap": (0.0, 1.0),
    "attack_strength": (LEAST, 1e6),
}
"""The least and the most that each number may be, at three banks; both are allowed."""


def _with(name: str, value: Any) -> dict[str, Any]:
    """The setting, and what it cannot do without."""
    needs: dict[str, dict[str, Any]] = {
        "delta": {"epsilon": 1.0},
        "lifetime_epsilon": {"epsilon": 1.0, "delta": 1e-5},
        "epsilon": {"delta": 1e-5},
        "noise_multiplier": {"delta": 1e-5},
        "byzantine": {"scheme": "plaintext", "robust": "median"},
        "group_size": {"scheme": "plaintext", "robust": "median"},
        "norm_bound": {"scheme": "additive", "proofs": True},
        "holders": {"scheme": "additive"},
        "quorum": {"scheme": "additive", "holders": 3},
        "attack_strength": {"attack": "sign-flip", "byzantine": 1},
    }
    return {**needs.get(name, {}), name: value}


def test_the_defaults_are_these() -> None:
    assert {name: getattr(Experiment(), name) for name in Experiment.model_fields} == DEFAULTS
    assert PRIVATE_TRAINING == {"rounds": 5, "batch_size": 1024, "learning_rate": 0.02, "positive_weight": 1.0}


def test_every_number_has_its_bounds_here() -> None:
    numbers = {name for settings in FULL for name, value in settings.items() if type(value) in (int, float)}
    assert numbers | {"positive_weight"} == set(BOUNDS)


@pytest.mark.parametrize(("name", "place"), [(name, place) for name in BOUNDS for place in (0, 1)])
def test_the_least_and_the_most_are_allowed_and_nothing_beyond(name: str, place: int) -> None:
    bound, way = BOUNDS[name][place], (-1, 1)[place]
    assert getattr(Experiment(**_with(name, bound)), name) == bound
    beyond = bound + way if isinstance(bound, int) else math.nextafter(bound, way * math.inf)
    with pytest.raises(ConfigurationError, match=name.replace("_", "[_ ]")):
        Experiment(**_with(name, beyond))


@pytest.mark.parametrize("banks", [3, 4, 7, 8])
def test_a_threshold_is_a_majority_or_more(banks: int) -> None:
    allowed = {number for number in range(banks + 2) if _allowed(banks=banks, threshold=number)}
    assert allowed == set(range(banks // 2 + 1, banks + 1))
    with pytest.raises(ConfigurationError, match=rf"use {banks // 2 + 1} to {banks} for {banks} banks"):
        Experiment(banks=banks, threshold=1)


def _allowed(**settings: Any) -> bool:
    try:
        Experiment(**settings)
    except ConfigurationError:
        return False
    return True


def test_a_bank_may_drop_out_in_several_rounds_and_several_banks_in_one() -> None:
    assert len(Experiment(drop=("bank-1@1:upload", "bank-1@2:upload", "bank-2@1:upload")).drops) == 3
    assert Experiment(rounds=2, drop=("bank-3@2:upload",)).drops == (Drop("bank-3", 2, "upload"),)
    assert Experiment(**SHARED, drop=("share-holder-2@3:sum_shares",)).drops[0].party == "share-holder-2"
    with pytest.raises(ConfigurationError, match="twice in one round"):
        Experiment(scheme="masked", drop=("bank-1@1:share_keys", "bank-1@1:masked_input"))


@pytest.mark.parametrize(
    "name", ["numeric", "categorical", "identifiers", "drop", "without", "synthetic_patterns", "audit_groups"]
)
def test_lists_may_be_given_as_lists(name: str) -> None:
    value = {"drop": ["bank-1@1:upload"], "without": ["bank-1", "bank-5"]}.get(name, ["a", "b"])
    settings: dict[str, Any] = FILE if name in ("numeric", "categorical", "identifiers") else {}
    assert getattr(Experiment(**{**settings, name: value}), name) == tuple(value)


@pytest.mark.parametrize("name", ["label", "time", "amount", "numeric", "categorical", "identifiers", "key_check"])
@pytest.mark.parametrize("dataset", ["simulated", "ulb"])
def test_datasets_that_need_no_file_have_columns_of_their_own(dataset: str, name: str) -> None:
    value: Any = ("c",) if name in ("numeric", "categorical", "identifiers") else "c"
    with pytest.raises(ConfigurationError, match=f"{dataset} has columns of its own; leave out {name}$"):
        Experiment.model_validate({"dataset": dataset, name: value})


SINGLE, SEVERAL = ("label", "time", "amount"), ("numeric", "categorical", "identifiers")


@pytest.mark.parametrize(
    ("one", "other"), [*combinations([*SINGLE, *SEVERAL], 2), *((name, name) for name in SEVERAL)], ids=str
)
def test_a_column_has_one_meaning(one: str, other: str) -> None:
    declared: dict[str, Any] = {name: ("x",) if name in SEVERAL else "x" for name in (one, other)}
    if one == other:
        declared = {one: ("x", "x")}
    with pytest.raises(ConfigurationError, match="column 'x' is declared twice"):
        Experiment(**{**FILE, **declared})


def test_of_several_columns_that_are_declared_twice_the_first_is_named() -> None:
    with pytest.raises(ConfigurationError, match="column 'a' is declared twice"):
        Experiment(**FILE, numeric=("z", "a"), categorical=("a", "z"))


@pytest.mark.parametrize("synthetic", ["approved", "unreviewed"])
def test_synthetic_fraud_is_not_for_principal_components_or_private_rows(synthetic: str) -> None:
    for noise in ({"epsilon": 1.0}, {"noise_multiplier": 1.0}):
        with pytest.raises(ConfigurationError, match="leave out --synthetic or --epsilon"):
            Experiment.model_validate({"synthetic": synthetic, "delta": 1e-5, **noise})
    with pytest.raises(ConfigurationError, match="principal components"):
        Experiment.model_validate({"synthetic": synthetic, "dataset": "ulb"})
    assert Experiment(**{**DISTRIBUTED, "synthetic": synthetic}).synthetic == synthetic


def test_only_the_mechanism_that_cannot_do_it_refuses() -> None:
    assert Experiment(**DISTRIBUTED, positive_weight="balanced").positive_weight == "balanced"
    assert Experiment(**PRIVATE, error_feedback=True).error_feedback
    assert Experiment(**PRIVATE, scheme="plaintext", bits="float32").bits == "float32"
    assert Experiment(mechanism="distributed", noise_multiplier=0.1, delta=1e-5).noise_multiplier == 0.1
    with pytest.raises(ConfigurationError, match="limits no run without noise"):
        Experiment(lifetime_epsilon=1.0)
    with pytest.raises(ConfigurationError, match="noise is added to integers"):
        Experiment(mechanism="distributed", epsilon=1.0, delta=1e-5, scheme="plaintext", bits="float32")


def test_without_privacy_every_part_of_it_is_gone() -> None:
    private = Experiment(epsilon=1.0, delta=1e-5, lifetime_epsilon=2.0)
    plain = private.without_privacy()
    assert (plain.epsilon, plain.delta, plain.noise_multiplier, plain.lifetime_epsilon) == (None,) * 4
    usual = {name: DEFAULTS[name] for name in PRIVATE_TRAINING} | {"rounds": 5}
    assert {name: getattr(plain, name) for name in PRIVATE_TRAINING} == usual, "rounds stay: so many were taken"
    kept = Experiment(**DISTRIBUTED, learning_rate=0.02, positive_weight=1.0, batch_size=1024).without_privacy()
    assert (kept.learning_rate, kept.positive_weight, kept.batch_size) == (0.02, 1.0, 1024)


def test_what_is_refused_first_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"^banks is refused: .*; change banks$"):
        Experiment(bits=0, rounds=0, banks=0)  # in the order of the settings
    with pytest.raises(ConfigurationError, match=r"^drop is refused"):
        Experiment.model_validate({"drop": (1,)})


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


@pytest.mark.parametrize("name", ["", " a", "-a", "../a", "a/b", "a@b", "a:b", "a\nb", "x" * 65, "_a"])
def test_a_name_that_fits_into_no_message_or_file_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"no bank can be called .*; use up to 64 letters"):
        Experiment(dataset="in-memory", names=("north", "south", name))


def test_banks_have_a_name_each() -> None:
    for names in (("a", "b"), ("a", "b", "a"), ("a", "b", "c", "d")):
        with pytest.raises(ConfigurationError, match="names do not suit 3 banks; name each once"):
            Experiment(dataset="in-memory", names=names)
    named = Experiment(dataset="in-memory", names=("a", "b", "c"), drop=("b@1:upload",))
    assert named.bank_names == ("a", "b", "c")
    with pytest.raises(ConfigurationError, match="banks are a to c"):
        Experiment(dataset="in-memory", names=("a", "b", "c"), drop=("bank-1@1:upload",))


def test_rows_that_are_handed_over_name_the_banks() -> None:
    handed = Experiment(rounds=4, scheme="plaintext").with_banks(("a", "b", "c", "d"))
    assert (handed.dataset, handed.banks, handed.names, handed.rounds) == ("in-memory", 4, ("a", "b", "c", "d"), 4)
    with pytest.raises(ConfigurationError, match="rows of 4 banks were handed over, and the experiment has 3; leave"):
        Experiment(banks=3).with_banks(("a", "b", "c", "d"))
    with pytest.raises(ConfigurationError, match="from files only; leave out synthetic"):
        Experiment(synthetic="approved").with_banks(("a", "b", "c"))


def test_banks_that_have_left_keep_their_place_and_the_others_their_names() -> None:
    left = Experiment(banks=3, without=("bank-2", "bank-5"))
    assert left.dealt_names == ("bank-1", "bank-2", "bank-3", "bank-4", "bank-5")
    assert left.bank_names == ("bank-1", "bank-3", "bank-4")
    named = Experiment(**NAMED, without=("south",))
    assert named.bank_names == named.dealt_names == NAMED["names"]
