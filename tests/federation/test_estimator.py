"""scikit-learn's manners."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from secure_fl import Experiment, FederatedFraudClassifier, run_federation
from secure_fl.errors import ConfigurationError

Classifier = Callable[..., FederatedFraudClassifier]
QUICK: dict[str, Any] = {"scheme": "masked", "rounds": 2}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([FederatedFraudClassifier()])  # type: ignore[untyped-decorator]
def test_scikit_learns_own_checks_pass(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


def table(rows: int = 150, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    X, y = make_classification(rows, 6, n_informative=4, n_classes=classes, class_sep=2.0, random_state=0)
    return X, y


def test_it_trains_the_model_that_a_run_trains() -> None:
    X, y = table()
    groups = np.repeat(["north", "south", "west"], 50)
    fitted = FederatedFraudClassifier(scheme="masked", rounds=2, random_state=5).fit(X, y, banks=groups)
    banks = {name: (X[groups == name], y[groups == name]) for name in ("north", "south", "west")}
    settings = Experiment(
        scheme="masked", rounds=2, local_epochs=2, batch_size=32, learning_rate=0.01, positive_weight=1.0, seed=5
    )
    result = run_federation(settings, banks=banks, test=(X, y))
    for ours, theirs in zip(fitted.model_.parameters(), result.model.to_torch().parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert fitted.banks_ == {"north": 50, "south": 50, "west": 50}
    assert fitted.custody_ == result.custody
    assert fitted.upload_bytes_ == round(sum(np.mean([*r.upload_bytes.values()]) for r in result.rounds))
    assert fitted.epsilon_ is None
    module = fitted.model_
    schema = result.model.feature_schema
    scaled = torch.tensor((X - schema["mean"]) / schema["std"], dtype=torch.float32)
    expected = torch.sigmoid(module(scaled)).detach().numpy()
    assert fitted.predict_proba(X)[:, 1] == pytest.approx(expected, abs=1e-6)
    assert fitted.predict_proba(X).sum(axis=1) == pytest.approx(np.ones(150))


def test_classes_have_their_own_names() -> None:
    X, y = table(240, classes=3)
    named = np.array(["fine", "lost", "stolen"])[y]
    fitted = FederatedFraudClassifier(scheme="masked", rounds=8).fit(X, named)
    assert fitted.classes_.tolist() == ["fine", "lost", "stolen"]
    assert fitted.predict_proba(X).shape == (240, 3)
    assert fitted.score(X, named) > 0.8
    assert set(fitted.banks_) == {"bank-1", "bank-2", "bank-3"}
    assert sorted(fitted.banks_.values()) == [80, 80, 80]


@pytest.mark.slow
def test_it_takes_part_in_pipelines_and_searches() -> None:
    X, y = table()
    frame = pd.DataFrame(X, columns=list("abcdef"))
    search = GridSearchCV(
        make_pipeline(StandardScaler().set_output(transform="pandas"), FederatedFraudClassifier(**QUICK)),
        {"federatedfraudclassifier__learning_rate": [1e-5, 0.02]},
        cv=3,
        scoring="average_precision",
    )
    search.fit(frame, y)
    assert search.best_params_ == {"federatedfraudclassifier__learning_rate": 0.02}
    assert search.best_estimator_[-1].feature_names_in_.tolist() == [*"abcdef"]


def test_further_settings_and_models_are_passed_on() -> None:
    X, y = table()
    made: list[int] = []

    def model() -> torch.nn.Module:
        made.append(1)
        return torch.nn.Linear(6, 1)

    estimator = FederatedFraudClassifier(
        **QUICK, n_banks=5, model=model, settings={"threshold": 4, "drop": ("bank-2@1:masked_input",)}
    )
    fitted = clone(estimator).fit(X, y)
    assert made
    assert isinstance(fitted.model_, torch.nn.Linear)
    assert set(fitted.banks_) == {f"bank-{number}" for number in range(1, 6)}
    with pytest.raises(ConfigurationError, match="a threshold of 2 is refused"):
        FederatedFraudClassifier(**QUICK, n_banks=5, settings={"threshold": 2}).fit(X, y)


@pytest.mark.slow
def test_privacy_is_kept_and_told() -> None:
    X, y = table(3_000)
    private = FederatedFraudClassifier(**QUICK, batch_size=64, epsilon=8.0, delta=1e-4).fit(X, y)
    assert private.epsilon_ is not None
    assert 1 < private.epsilon_ <= 8


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"banks": np.arange(3)}, ValueError, "there are 150 rows and 3 banks; give the bank of each row"),
        ({"banks": np.zeros(150)}, ConfigurationError, "banks"),
        ({"scheme": "rot13"}, ConfigurationError, "there is no scheme 'rot13'"),
        ({"settings": {"numeric": "x"}}, ConfigurationError, "numeric"),
    ],
)
def test_what_cannot_work_is_said(change: dict[str, Any], error: type[Exception], message: str) -> None:
    X, y = table()
    banks = change.pop("banks", None)
    with pytest.raises(error, match=message):
        FederatedFraudClassifier(**QUICK | change).fit(X, y, banks=banks)
