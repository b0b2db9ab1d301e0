"""The federation in scikit-learn's manners: fit, predict_proba, pipelines and grid searches.

    classifier = FederatedFraudClassifier(scheme="ckks").fit(X, y, banks=groups)

Whoever calls this holds all rows, so nothing is secret here: it is for people who want to measure what a federation
would do to their model. `federation.run` is the same with a report, rows of banks apart and a test of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from secure_fl.data import standardize
from secure_fl.federation.opening import Federation
from secure_fl.federation.run import open_federation, train_rounds
from secure_fl.settings import IN_MEMORY, Experiment
from secure_fl.training import predict


class FederatedFraudClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """A classifier that banks train together, with a secure sum in every round.

    Parameters are the settings of the same names (docs/settings.md); `model` is a function without arguments that
    makes a torch module (None: the fraud model), `random_state` the seed (None: 1), and `settings` holds any further
    ones, such as {"threshold": 3}. Two classes or up to 128.

    Attributes: `classes_`, `n_features_in_`, `feature_names_in_`, `banks_` (name -> number of rows), `custody_` (who
    could read what), `upload_bytes_` (of one bank, all rounds), `epsilon_` (None without privacy), `model_` (the torch
    module, whose inputs are standardized columns).
    """

    def __init__(
        self,
        scheme: str = "ckks",
        *,
        bits: int | Literal["float32"] = 16,
        n_banks: int = 3,
        rounds: int = 10,
        local_epochs: int = 2,
        batch_size: int = 32,
        learning_rate: float = 0.01,
        positive_weight: float | Literal["balanced"] = 1.0,
        epsilon: float | None = None,
        delta: float | None = None,
        model: Callable[[], Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        random_state: int | None = None,
    ) -> None:
        self.scheme = scheme
        self.bits = bits
        self.n_banks = n_banks
        self.rounds = rounds
        self.local_epochs = local_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.positive_weight = positive_weight
        self.epsilon = epsilon
        self.delta = delta
        self.model = model
        self.settings = settings
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike, banks: ArrayLike | None = None) -> Self:
        """Train on rows X [n, features] with classes y [n].

        `banks`: the bank of each row, [n], any values that can be told apart; None: rows are dealt to `n_banks` banks
        at random. Raises errors of `secure_fl.errors`, and scikit-learn's for malformed X and y.
        """
        table, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        self.classes_, kinds = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("y holds one class; a classifier needs two or more")
        groups = self._groups(len(table), banks)
        rows = {name: (table[groups == name], kinds[groups == name]) for name in np.unique(groups).tolist()}
        federation = self._federation(rows, (table, kinds))
        history = train_rounds(federation)
        federation.finish()

        self.banks_ = {name: len(classes) for name, (_, classes) in rows.items()}
        self.custody_ = federation.custody
        self.upload_bytes_ = round(sum(np.mean([*r.upload_bytes.values()]) for r in history.rounds))
        self.epsilon_ = federation.privacy.epsilon
        self._learner, self._schema, self._weights = federation.learner, federation.schema, history.model.weights
        self.model_ = self._learner.restore(self._weights).eval()
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probability of each class in `classes_`, [n, classes]."""
        check_is_fitted(self)
        table = validate_data(self, X, dtype=np.float64, reset=False)
        features = standardize(table, self._schema.standardization).astype(np.float32)
        answers = predict(self._weights, features, self._learner)
        return answers if answers.ndim == 2 else np.column_stack([1 - answers, answers])

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The likeliest class of each row, [n]."""
        check_is_fitted(self)
        likeliest: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return likeliest

    def _groups(self, rows: int, banks: ArrayLike | None) -> NDArray[np.str_]:
        """The bank of each row, by name."""
        if banks is None:
            dealt = np.random.default_rng(self._seed).permutation(rows) % self.n_banks
            return np.char.add("bank-", (dealt + 1).astype(str))
        groups: NDArray[Any] = column_or_1d(banks)
        if len(groups) != rows:
            raise ValueError(f"there are {rows} rows and {len(groups)} banks; give the bank of each row")
        return groups.astype(str)

    def _federation(self, rows: Mapping[str, Any], test: Any) -> Federation:
        chosen = {"keep_models": False, "epsilon": self.epsilon, "delta": self.delta, **(self.settings or {})}
        experiment = Experiment(
            dataset=IN_MEMORY,
            banks=len(rows),
            names=tuple(rows),
            scheme=self.scheme,
            bits=self.bits,
            rounds=self.rounds,
            local_epochs=self.local_epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            positive_weight=self.positive_weight,
            seed=self._seed,
            **{name: value for name, value in chosen.items() if value is not None},
        )
        return open_federation(experiment, model=self.model, banks=rows, test=test)

    @property
    def _seed(self) -> int:
        return 1 if self.random_state is None else int(self.random_state)
