"""What all banks train: a torch module, what goes into it, and what its answers mean.

Any module will do that takes rows and answers each with logits:

    one logit a row, [n] or [n, 1]   two classes; binary cross-entropy, sigmoid
    k logits a row, [n, k]           k classes;   cross-entropy, softmax

The loss is weighted by `positive_weight` for every class but 0. Parameters and buffers of floats (the statistics of a
batch normalization) are averaged; integers (its counter) stay as the module was made.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from secure_fl.data.features import Examples
from secure_fl.errors import ConfigurationError, DataError
from secure_fl.training.model import FEATURES, FlatWeights, FraudModel, flatten, load, travelling

MakeModule = Callable[[], nn.Module]
"""Makes a new module, always of the same shapes."""
Fit = Callable[[nn.Module, torch.Tensor, torch.Tensor, int], object]
"""(module, rows, classes, epochs): trains the module in place; one call is one bank's round."""


@dataclass(frozen=True, eq=False, repr=False)
class Learner:
    """A module and how it learns. Raises `ConfigurationError` where the module cannot work.

    `make` is called under a seed, so the same experiment starts from the same weights.
    """

    make: MakeModule
    inputs: tuple[int, ...] = (FEATURES,)
    """Shape of a row as the module takes it."""
    fit: Fit | None = None
    """Training of one's own, in the place of `local.train`."""
    own: bool = True
    """Whether somebody brought it."""
    outputs: int = field(init=False)
    """Logits for each row."""
    _made: nn.Module = field(init=False)

    def __post_init__(self) -> None:
        made, outputs = self._new(seed=0)
        object.__setattr__(self, "_made", made)
        object.__setattr__(self, "outputs", outputs)

    def __repr__(self) -> str:
        return f"Learner({type(self._made).__name__}, {self.parameters} weights, {self.classes} classes)"

    @property
    def classes(self) -> int:
        return max(2, self.outputs)

    @property
    def parameters(self) -> int:
        """Weights that travel."""
        return sum(part.numel() for part in travelling(self._made))

    @property
    def description(self) -> str:
        """The module's layers, as torch prints them."""
        return str(self._made)

    @property
    def mixes_rows(self) -> bool:
        """Whether a row's answer in training depends on the rest of its batch, as far as the layers tell."""
        return any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in self._made.modules())

    def initial(self, seed: int) -> FlatWeights:
        """The weights that every bank starts from."""
        weights = flatten(self._new(seed)[0])
        if len(weights) != self.parameters:
            raise ConfigurationError("the model has other shapes each time that it is made; make the same one always")
        return weights

    def restore(self, weights: FlatWeights) -> nn.Module:
        """A new module with these weights. Raises `ValueError` where they are another module's."""
        model = copy.deepcopy(self._made)
        load(model, weights)
        return model

    def rows(self, features: np.ndarray) -> torch.Tensor:
        """Features [n, ...] as the module takes them, float32 [n, *inputs]."""
        return torch.tensor(features).view(-1, *self.inputs)

    def targets(self, examples: Examples) -> torch.Tensor:
        """float32 [n] of 0 and 1 for one logit; int64 [n], the class of each row, for several."""
        if self.outputs == 1:
            return torch.from_numpy(examples.fraud.astype(np.float32))
        kinds = examples.fraud if self.outputs == 2 else examples.pattern
        highest = int(kinds.max(initial=0))
        if highest >= self.outputs:
            raise DataError(
                f"there are labels up to {highest}, and the model answers with {self.outputs} logits; give it "
                f"{highest + 1}"
            )
        return torch.from_numpy(kinds.astype(np.int64))

    def labels(self, examples: Examples) -> bytes:
        """What the rows are labelled, as far as it is learned."""
        return (examples.fraud if self.outputs <= 2 else examples.pattern).tobytes()

    def loss(self, answers: torch.Tensor, targets: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """The mean loss of the rows; `weight`: of classes other than 0."""
        if self.outputs == 1:  # not the mean of `losses`, whose last bits differ
            return functional.binary_cross_entropy_with_logits(answers.view(targets.shape), targets, pos_weight=weight)
        return self.losses(answers, targets, weight).mean()

    def losses(self, answers: torch.Tensor, targets: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Each row's loss, [n]; `weight`: of classes other than 0."""
        if self.outputs == 1:
            flat = answers.view(targets.shape)
            return functional.binary_cross_entropy_with_logits(flat, targets, pos_weight=weight, reduction="none")
        losses = functional.cross_entropy(answers, targets, reduction="none")
        return losses * torch.where(targets > 0, weight, torch.ones_like(weight))

    def probabilities(self, answers: torch.Tensor) -> torch.Tensor:
        """float64: of class 1, [n], where there are two; else of each class, [n, classes]."""
        if self.outputs == 1:
            return torch.sigmoid(answers.double().view(len(answers)))
        of_each = torch.softmax(answers.double(), dim=1)
        return of_each[:, 1] if self.outputs == 2 else of_each

    def _new(self, seed: int) -> tuple[nn.Module, int]:
        """A module made under a seed, and how many logits it has. The caller's random state stays as it is."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = self.make()
            outputs = _logits(model, self.inputs)
        _require_float32(model)
        return model, outputs


def _logits(model: object, inputs: tuple[int, ...]) -> int:
    if not isinstance(model, nn.Module):
        raise ConfigurationError(
            f"model gives a {type(model).__name__}; give a function without arguments that makes a torch module"
        )
    shape = " x ".join(map(str, inputs))
    training = model.training
    try:
        with torch.no_grad():
            answers = model.eval()(torch.zeros(2, *inputs))
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        problem = str(error).strip().partition("\n")[0]
        raise ConfigurationError(f"the model does not take rows of {shape} numbers ({problem}); change one") from None
    model.train(training)
    good = isinstance(answers, torch.Tensor) and answers.ndim in (1, 2) and len(answers) == 2 and answers.numel() > 0
    if not good or not answers.is_floating_point():
        found = f"shape {tuple(answers.shape)}" if isinstance(answers, torch.Tensor) else type(answers).__name__
        raise ConfigurationError(
            f"the model answers two rows of {shape} numbers with {found}; answer each row with one logit, or one for "
            "each class"
        )
    return 1 if answers.ndim == 1 else int(answers.shape[1])


def _require_float32(model: nn.Module) -> None:
    other = {str(part.dtype) for part in travelling(model) if part.dtype != torch.float32}
    if other:
        raise ConfigurationError(f"the model has weights of {min(other)}; make it with torch.float32")
    if not any(part.requires_grad for part in model.parameters()):
        raise ConfigurationError("the model has no weight that training could change; make one that has")


@lru_cache(maxsize=64)
def fraud_learner(dropout: float = 0.0, features: int = FEATURES, classes: int = 2) -> Learner:
    """The fraud model, for so many features."""
    outputs = 1 if classes == 2 else classes
    return Learner(partial(FraudModel, dropout, features, outputs), (features,), own=False)


def make_learner(
    model: MakeModule | None = None,
    fit: Fit | None = None,
    inputs: tuple[int, ...] = (FEATURES,),
    classes: int = 2,
    dropout: float = 0.0,
) -> Learner:
    """The learner for rows of a shape; `model`: None for the fraud model, with this dropout.

    Raises `ConfigurationError` where the module does not fit rows or classes.
    """
    if model is None:
        usual = fraud_learner(dropout, math.prod(inputs), classes)
        return usual if fit is None else replace(usual, fit=fit)
    learner = Learner(model, inputs, fit)
    if learner.classes < classes:
        raise ConfigurationError(
            f"there are {classes} classes, and the model answers with {learner.outputs} logits; give it {classes}"
        )
    return learner
