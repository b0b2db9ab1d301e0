"""What all banks train: a torch module, what goes into it, and what its answers mean.

Any module will do that takes rows and answers each with logits:

    one logit a row, [n] or [n, 1]   two classes; binary cross-entropy, sigmoid
    k logits a row, [n, k]           k classes;   cross-entropy, softmax

The loss is weighted by `positive_weight` for every class but 0. Parameters and buffers of floats (the statistics of a
batch normalization) are averaged; integers (its counter) stay as the module was made. Weights that are frozen are
averaged too, so that quantization, and noise in sums, move them by about what they round.

Rules: rows come as float32, standardized over all banks, so whole numbers in them are no indices of an embedding. Every
bank, round and baseline starts from a copy of the module as it was made: what a module keeps besides (an attribute, a
buffer with persistent=False) is lost after each. What it draws from torch is repeated by the experiment's seed; what it
draws from elsewhere (numpy, random) is not. What a module raises while it trains is passed on as it is.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from secure_fl.data.features import Examples
from secure_fl.errors import ConfigurationError, DataError
from secure_fl.settings import Steps
from secure_fl.training.model import (
    FEATURES,
    USUAL,
    FlatWeights,
    FraudModel,
    Network,
    Square,
    flatten,
    load,
    travelling,
)

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
    network: Network = USUAL
    """Layers of the fraud model; nothing where somebody brought a module."""
    outputs: int = field(init=False)
    """Logits for each row."""
    _made: nn.Module = field(init=False)

    def __post_init__(self) -> None:
        if self.fit is not None:
            _require_function(self.fit, "train", 4, _FIT)
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

    @property
    def squares(self) -> bool:
        """Whether answers grow faster than linearly, so that training has to be held back."""
        return any(isinstance(layer, Square) for layer in self._made.modules())

    def initial(self, seed: int) -> FlatWeights:
        """The weights that every bank starts from."""
        made = self._new(seed)[0]
        if not self.fits(made):
            raise ConfigurationError("the model has other shapes each time that it is made; make the same one always")
        return flatten(made)

    def fits(self, model: nn.Module) -> bool:
        """Whether a module has the shapes of this one."""
        return [part.shape for part in travelling(model)] == [part.shape for part in travelling(self._made)]

    def restore(self, weights: FlatWeights) -> nn.Module:
        """A new module with these weights. Raises `ValueError` where they are another module's."""
        model = copy.deepcopy(self._made)
        load(model, weights)
        return model

    def rows(self, features: np.ndarray) -> torch.Tensor:
        """Features [n, ...] as the module takes them, float32 [n, *inputs]."""
        return torch.tensor(features, device="cpu").view(-1, *self.inputs)

    def targets(self, examples: Examples) -> torch.Tensor:
        """float32 [n] of 0 and 1 for one logit; int64 [n], the class of each row, for several."""
        if self.outputs == 1:
            return torch.from_numpy(examples.fraud.astype(np.float32))
        self.require_classes(examples.pattern)
        kinds = examples.fraud if self.outputs == 2 else examples.pattern
        return torch.from_numpy(kinds.astype(np.int64))

    def require_classes(self, pattern: np.ndarray) -> None:
        """Raises `DataError` where there are more classes than the module, if it tells several apart, has logits."""
        highest = int(pattern.max(initial=0))
        if 2 < self.outputs <= highest:
            raise DataError(
                f"there are labels up to {highest}, and the model answers with {self.outputs} logits; give it "
                f"{highest + 1}"
            )

    def logits(self, model: nn.Module, rows: torch.Tensor) -> torch.Tensor:
        """The module's answers: [n] or [n, 1] of one logit, [n, k] of several.

        Raises `ConfigurationError` where the module answers so many rows in another way than it did when it was made.
        """
        answers: object = model(rows)
        shape: object = type(answers).__name__
        if isinstance(answers, torch.Tensor):
            shape = tuple(answers.shape)
            if shape == (len(rows), self.outputs) or (shape == (len(rows),) and self.outputs == 1):
                return answers
            if len(rows) == 1 and answers.numel() == self.outputs:
                return answers.view(1, self.outputs)  # squeezed
        raise ConfigurationError(
            f"the model answers {len(rows)} rows with {shape}; answer each row by itself, however many there are"
        )

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
        _require_function(self.make, "model", 0, _MAKER)
        with torch.random.fork_rng(devices=[]), usual_tensors():
            torch.manual_seed(seed)
            model = _copied(self.make())
            outputs = _logits(model if _is_lazy(model) else _copied(model), self.inputs)
        _require_learnable(model)
        return model, outputs


@contextmanager
def usual_tensors() -> Iterator[None]:
    """New tensors are of float32 on the CPU, whatever the caller's defaults are."""
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    elsewhere = torch.get_default_device().type != "cpu"
    try:
        with torch.device("cpu") if elsewhere else nullcontext():  # which slows every call
            yield
    finally:
        torch.set_default_dtype(usual)


def _require_function(given: object, name: str, arguments: int, advice: str) -> None:
    found = ""
    if isinstance(given, nn.Module) or not callable(given):
        found = f"a {type(given).__name__}"
    else:
        try:
            inspect.signature(given).bind(*[None] * arguments)
        except TypeError:
            found = f"{getattr(given, '__name__', 'a function')}, which takes other arguments"
        except ValueError:
            pass  # Python knows no signature
    if found:
        raise ConfigurationError(f"{name} is {found}; give {advice}")


_MAKER = "a function without arguments that makes a torch module, such as lambda: Net(4)"
_FIT = "a function of module, rows, classes and epochs that trains the module in place"


def _copied(model: object) -> nn.Module:
    """A copy: so nobody who keeps the one that was made changes ours. Raises `ConfigurationError`."""
    if not isinstance(model, nn.Module):
        raise ConfigurationError(
            f"model gives a {type(model).__name__}; give a function without arguments that makes a torch module"
        )
    try:
        copied = copy.deepcopy(model)
    except (RuntimeError, TypeError, NotImplementedError, AttributeError) as error:
        raise ConfigurationError(
            f"the model cannot be copied ({first_line(error)}), and each bank has a copy; leave out what it holds "
            "besides layers and tensors"
        ) from None
    if not all(part.is_leaf for part in copied.parameters()):
        raise ConfigurationError("copies of the model cannot be trained (is it scripted?); give the module as written")
    return copied


def _is_lazy(model: nn.Module) -> bool:
    """Whether the module gets its shapes from its first rows."""
    return any(nn.parameter.is_lazy(part) for part in (*model.parameters(), *model.buffers()))


def first_line(error: Exception) -> str:
    """What an error says, on one line."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _logits(model: nn.Module, inputs: tuple[int, ...]) -> int:
    shape = " x ".join(map(str, inputs))
    training = model.training
    try:
        with torch.no_grad():
            answers = model.eval()(torch.zeros(2, *inputs))
    except Exception as error:  # whatever it raises for zeros, it is not made for such rows
        raise ConfigurationError(
            f"the model does not take rows of {shape} numbers ({first_line(error)}); change one"
        ) from error
    model.train(training)
    good = isinstance(answers, torch.Tensor) and answers.ndim in (1, 2) and len(answers) == 2 and answers.numel() > 0
    if not good or not answers.is_floating_point():
        found = f"shape {tuple(answers.shape)}" if isinstance(answers, torch.Tensor) else type(answers).__name__
        raise ConfigurationError(
            f"the model answers two rows of {shape} numbers with {found}; answer each row with one logit, or one for "
            "each class"
        )
    return 1 if answers.ndim == 1 else int(answers.shape[1])


def _require_learnable(model: nn.Module) -> None:
    other = {str(part.dtype) for part in travelling(model) if part.dtype != torch.float32}
    if other:
        raise ConfigurationError(f"the model has weights of {min(other)}; make it with torch.float32")
    if not any(part.requires_grad for part in model.parameters()):
        raise ConfigurationError("the model has no weight that training could change; make one that has")
    named = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    sent = {id(part) for part in travelling(model)}
    infinite = [name for name, part in named.items() if id(part) in sent and not bool(part.isfinite().all())]
    if infinite:
        raise ConfigurationError(
            f"{infinite[0]} of the model is not finite, and cannot be averaged; make constants with persistent=False"
        )


@lru_cache(maxsize=64)
def fraud_learner(
    dropout: float = 0.0, features: int = FEATURES, classes: int = 2, network: Network = USUAL
) -> Learner:
    """The fraud model, for so many features."""
    outputs = 1 if classes == 2 else classes
    return Learner(partial(FraudModel, dropout, features, outputs, network), (features,), own=False, network=network)


def usual_learner(settings: Steps) -> Learner:
    """The fraud model of an experiment."""
    return fraud_learner(settings.dropout, network=Network.of(settings))


def make_learner(
    model: MakeModule | None = None,
    fit: Fit | None = None,
    inputs: tuple[int, ...] = (FEATURES,),
    classes: int = 2,
    settings: Steps | None = None,
) -> Learner:
    """The learner for rows of a shape; `model`: None for the fraud model, as settings have it.

    Raises `ConfigurationError` where the module does not fit rows or classes.
    """
    if model is None:
        steps = settings or Steps()
        usual = fraud_learner(steps.dropout, math.prod(inputs), classes, Network.of(steps))
        return usual if fit is None else replace(usual, fit=fit)
    learner = Learner(model, inputs, fit)
    if learner.classes < classes:
        raise ConfigurationError(
            f"there are {classes} classes, and the model answers with {learner.outputs} logits; give it {classes}"
        )
    return learner
