"""SHAP values of any torch module: what each feature of a row adds to the log-odds of fraud.

DeepLIFT's rescale rule against a background of rows, averaged (Lundberg, Lee, "A Unified Approach to Interpreting Model
Predictions", NeurIPS 2017, section 4.2; `shap.DeepExplainer`), or against one row, for many rows at once
(`OneReference`). Values of a row and the background's mean log-odds add up to the row's log-odds. Here that is checked
for every row, because a layer that shap does not know breaks it.

Computed in float64, so that the check measures the rule and not rounding.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from secure_fl.errors import AuditError, ConfigurationError
from secure_fl.training import FlatWeights, Learner
from secure_fl.training.local import one_thread

TOLERANCE = 1e-4
"""Largest gap between a row's log-odds and the sum of its values."""

_LAYERS = "use layers that it knows, such as Linear, Conv and ReLU, each used once"


@dataclass(frozen=True, eq=False, repr=False)
class Attributions:
    """Of one bank's rows. Never leaves the bank."""

    values: NDArray[np.float64]
    """float64 [n, features], in log-odds."""
    largest_gap: float
    """Of the check of additivity."""


class _LogOdds(nn.Module):
    """The plain module, with one answer a row, [n, 1]: the log-odds of fraud."""

    def __init__(self, model: nn.Module, learner: Learner) -> None:
        super().__init__()
        self.model, self._learner = model, learner

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        answers = self._learner.logits(self.model, rows)
        odds = answers if self._learner.outputs == 1 else answers[:, 1] - answers[:, 0]
        return odds.reshape(len(rows), 1)


def attribute(
    weights: FlatWeights, learner: Learner, background: NDArray[np.float32], rows: NDArray[np.float32]
) -> Attributions:
    """Features [b, M] and [n, M] as the model takes them -> values [n, M].

    Raises `ConfigurationError` for a model of several classes and where shap is absent, `AuditError` where the values
    do not add up.
    """
    require_two_classes(learner)
    if len(rows) == 0:
        return Attributions(np.zeros(rows.shape), 0.0)
    deep = deep_explainer()
    model = _LogOdds(learner.restore(weights), learner).double().eval()
    for layer in model.modules():
        if getattr(layer, "inplace", False):
            vars(layer)["inplace"] = False  # the same answers, and the hooks of DeepExplainer find what went in
    given, reference = learner.rows(rows).double(), learner.rows(background).double()
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they warn of is measured below
        try:
            explained = deep(model, reference).shap_values(given, check_additivity=False)
        except Exception as error:  # whatever a module raises that is run in float64 and with hooks
            raise AuditError(
                f"DeepExplainer cannot pass through this model ({type(error).__name__}); it runs in float64 here, so "
                f"convert rows to no other type, and {_LAYERS}"
            ) from error
        with torch.no_grad():
            answers, expected = model(given).numpy().ravel(), float(model(reference).mean())
    return _checked(np.asarray(explained, dtype=np.float64).reshape(len(rows), -1), answers - expected)


class OneReference:
    """Values against one row, of many rows in one pass.

    `shap_values` takes the rows one by one, each beside all of a background. Its rule sees pairs of a row and a
    reference, and does not mind that all pairs have the same reference and each another row.
    """

    def __init__(self, weights: FlatWeights, learner: Learner, reference: NDArray[np.float32]) -> None:
        """`reference`: features [M]. Raises `ConfigurationError` as `attribute` does."""
        require_two_classes(learner)
        deep_explainer()
        from shap.explainers._deep.deep_pytorch import PyTorchDeep, add_interim_values, deeplift_grad

        self._learner = learner
        self._model = _LogOdds(learner.restore(weights), learner).double().eval()
        self._reference = learner.rows(reference[np.newaxis]).double()
        explainer = PyTorchDeep(self._model, self._reference)
        self.log_odds = float(explainer.expected_value[0])
        """Of the reference."""
        explainer.add_handles(self._model, add_interim_values, deeplift_grad)

    def attribute(self, rows: NDArray[np.float32]) -> Attributions:
        """Features [n, M] -> values [n, M]. Raises `AuditError` where they do not add up."""
        given = self._learner.rows(rows).double()
        reference = self._reference.expand_as(given)
        with one_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pairs = torch.cat([given, reference]).requires_grad_()
            answers = self._model(pairs).ravel()
            (slopes,) = torch.autograd.grad(answers.sum(), pairs)
        values = (slopes[: len(given)] * (given - reference)).numpy().reshape(len(rows), -1)
        return _checked(values, answers.detach().numpy()[: len(given)] - self.log_odds)


def require_two_classes(learner: Learner) -> None:
    """Raises `ConfigurationError`."""
    if learner.outputs > 2:
        raise ConfigurationError(
            f"SHAP values are of one score, and the model tells {learner.outputs} classes apart; give a model of two"
        )


def _checked(values: NDArray[np.float64], wanted: NDArray[np.float64]) -> Attributions:
    """`wanted`: what the values of each row must add up to, [n]. Raises `AuditError`."""
    gap = float(np.abs(values.sum(axis=1) - wanted).max())
    if not gap <= TOLERANCE:
        raise AuditError(
            f"SHAP values miss the score by up to {gap:.2g}, so DeepExplainer does not know a layer of this model; "
            f"{_LAYERS}"
        )
    return Attributions(values, gap)


def deep_explainer() -> type:
    """`shap.DeepExplainer`, which also knows the fraud model's squares. Raises `ConfigurationError`."""
    try:
        from shap import DeepExplainer
        from shap.explainers._deep.deep_pytorch import nonlinear_1d, op_handler
    except ImportError:
        raise ConfigurationError("shap is not installed; pip install 'secure-fl[explain]'") from None
    op_handler["Square"] = nonlinear_1d  # elementwise, so the rescale rule holds as for ReLU
    explainer: type = DeepExplainer
    return explainer
