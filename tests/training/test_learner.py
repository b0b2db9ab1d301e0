"""Modules that people bring: what goes in, what the answers mean, and what cannot work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from opacus.layers import DPLSTM
from scipy.special import expit, softmax
from torch import nn
from torch.nn import functional

from secure_fl.data import Examples
from secure_fl.errors import ConfigurationError, DataError, TrainingError
from secure_fl.settings import Steps
from secure_fl.training import (
    Learner,
    NoiseSettings,
    behaviour,
    evaluate,
    examine,
    flatten,
    fraud_learner,
    initial_weights,
    make_learner,
    predict,
    require_rows_apart,
    train,
    train_privately,
)
from secure_fl.training.model import load, restore, travelling


def examples(rows: int = 60, width: int = 4, classes: int = 2, seed: int = 0) -> Examples:
    """Rows whose class shows in one of their features."""
    rng = np.random.default_rng(seed)
    kinds = (np.arange(rows) % classes).astype(np.int8)
    features = rng.normal(size=(rows, width)).astype(np.float32)
    features[np.arange(rows), kinds] += 3
    return Examples(features, kinds > 0, kinds)


def linear(outputs: int, width: int = 4) -> Learner:
    return Learner(lambda: nn.Linear(width, outputs), (width,))


class Normal(nn.Module):
    """With batch normalization: two buffers of floats, and a counter."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.out = nn.BatchNorm1d(4), nn.Linear(4, 1)
        self.constant: torch.Tensor
        self.register_buffer("constant", torch.ones(3), persistent=False)

    def forward(self, rows: torch.Tensor) -> Any:
        return self.out(self.norm(rows))


def trained(learner: Learner, rows: Examples, epochs: int = 1, **settings: Any) -> np.ndarray:
    steps = Steps(**{"batch_size": 16, "learning_rate": 0.05, "positive_weight": 1.0, **settings})
    *_, weights = train(learner.initial(1), rows, steps, epochs=epochs, seed=1, learner=learner)
    return weights


# Weights


def test_the_fraud_model_is_the_learner_that_nobody_brought() -> None:
    usual = make_learner(settings=Steps(dropout=0.25))
    assert np.array_equal(usual.initial(7), initial_weights(7))
    assert (usual.own, usual.inputs, usual.outputs, usual.classes, usual.parameters) == (False, (128,), 1, 2, 10_369)
    assert [layer.p for layer in usual.restore(usual.initial(1)).modules() if isinstance(layer, nn.Dropout)] == [
        0.25
    ] * 2
    assert repr(usual) == "Learner(FraudModel, 10369 weights, 2 classes)"


def test_an_initialization_is_repeated_by_its_seed_and_leaves_the_callers_draws_alone() -> None:
    before = torch.get_rng_state()
    learner = linear(1)
    assert np.array_equal(learner.initial(3), learner.initial(3))
    assert not np.array_equal(learner.initial(3), learner.initial(4))
    assert torch.equal(torch.get_rng_state(), before)


def test_parameters_and_statistics_travel_and_counters_and_constants_do_not() -> None:
    learner = Learner(Normal, (4,))
    module = learner.restore(np.arange(21, dtype=np.float32))
    assert isinstance(module, Normal)
    assert learner.parameters == 4 + 4 + 4 + 1 + 4 + 4
    assert module.norm.running_mean is not None
    assert module.norm.running_var is not None
    assert module.norm.num_batches_tracked is not None
    assert module.norm.running_mean.tolist() == [13, 14, 15, 16]
    assert module.norm.running_var.tolist() == [17, 18, 19, 20]
    assert int(module.norm.num_batches_tracked) == 0
    assert module.constant.tolist() == [1, 1, 1]
    assert flatten(module).tolist() == list(range(21))


def test_a_shared_weight_travels_once() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
            self.two.weight = self.one.weight

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            answers: torch.Tensor = self.two(self.one(rows)).sum(dim=1)
            return answers

    learner = Learner(Shared, (4,))
    assert learner.parameters == 16
    with pytest.raises(ConfigurationError, match="share weights"):
        require_rows_apart(learner)


def test_restored_modules_are_apart() -> None:
    learner = linear(1)
    first, second = learner.restore(learner.initial(1)), learner.restore(learner.initial(1))
    load(first, np.zeros(5, dtype=np.float32))
    assert np.array_equal(flatten(second), learner.initial(1))
    with pytest.raises(ValueError, match="another length"):
        learner.restore(np.zeros(6, dtype=np.float32))


def test_a_lazy_module_has_its_shapes_from_the_rows() -> None:
    learner = Learner(lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(3)), (2, 3))
    assert (learner.parameters, learner.outputs) == (21, 3)
    assert np.array_equal(learner.initial(1), learner.initial(1))


# What answers mean


@pytest.mark.parametrize(("outputs", "classes"), [(1, 2), (2, 2), (3, 3), (5, 5)])
def test_losses_and_probabilities_are_those_of_the_textbook(outputs: int, classes: int) -> None:
    learner, rows = linear(outputs), examples(classes=classes, width=5) if outputs == 5 else examples(classes=classes)
    learner = linear(outputs, width=rows.features.shape[1])
    assert (learner.outputs, learner.classes) == (outputs, classes)
    logits = torch.tensor(np.random.default_rng(1).normal(size=(60, outputs)).astype(np.float32))
    losses = learner.losses(logits, learner.targets(rows), torch.tensor(3.0)).numpy()
    answers = logits.numpy().astype(np.float64)
    right = expit(answers[:, 0]) if outputs == 1 else softmax(answers, axis=1)
    p = np.where(rows.fraud, right, 1 - right) if outputs == 1 else right[np.arange(60), rows.pattern]
    assert losses == pytest.approx(np.where(rows.fraud, 3.0, 1.0) * -np.log(p), rel=1e-4)
    mean = learner.loss(logits, learner.targets(rows), torch.tensor(3.0))
    assert float(mean) == pytest.approx(losses.mean(), rel=1e-5)
    told = learner.probabilities(logits).numpy()
    assert told == pytest.approx(right[:, 1] if outputs == 2 else right, rel=1e-6)


@pytest.mark.slow
def test_one_logit_may_stand_in_a_column_or_not() -> None:
    flat = Learner(lambda: nn.Sequential(nn.Linear(4, 1), nn.Flatten(0)), (4,))
    column, rows = linear(1), examples()
    assert np.array_equal(trained(flat, rows), trained(column, rows))
    weights = column.initial(1)
    assert np.array_equal(predict(weights, rows.features, flat), predict(weights, rows.features, column))
    assert np.array_equal(predict(weights, rows.features[:1], flat), predict(weights, rows.features[:1], column))


def test_scores_of_several_classes_are_averages_over_all_decisions() -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score
    from sklearn.preprocessing import label_binarize

    learner, rows = linear(3), examples(classes=3, seed=4)
    weights = trained(learner, rows)
    told = predict(weights, rows.features, learner)
    right = label_binarize(rows.pattern, classes=[0, 1, 2])
    scores = evaluate(weights, rows, learner)
    assert scores.auprc == pytest.approx(average_precision_score(right, told, average="micro"))
    assert scores.roc_auc == pytest.approx(roc_auc_score(right, told, average="micro"))
    closer = examine(weights, rows, {"a": 20, "b": 40}, learner)
    assert closer.auprc_by_bank["a"] == pytest.approx(average_precision_score(right[:20], told[:20], average="micro"))
    assert closer.auprc_by_bank["b"] == pytest.approx(average_precision_score(right[20:], told[20:], average="micro"))
    assert closer.curve.frauds == 60
    assert closer.curve.honest == 120


def test_answers_of_one_row_may_be_squeezed_and_other_shapes_are_refused() -> None:
    class Squeezed(nn.Linear):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return super().forward(rows).squeeze()

    class Halved(nn.Linear):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return super().forward(rows[: max(2, len(rows) // 2)])

    for outputs in (1, 3):
        squeezed, rows = Learner(lambda: Squeezed(4, outputs), (4,)), examples(33, classes=max(2, outputs))  # noqa: B023
        assert np.array_equal(trained(squeezed, rows), trained(linear(outputs), rows))
        weights = squeezed.initial(1)
        assert np.array_equal(
            predict(weights, rows.features[:1], squeezed), predict(weights, rows.features, squeezed)[:1]
        )
    with pytest.raises(ConfigurationError, match=r"answers 16 rows with \(8, 1\); answer each row by itself"):
        trained(Learner(lambda: Halved(4, 1), (4,)), examples())


def test_the_callers_defaults_change_nothing() -> None:
    expected = linear(1).initial(1)
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    try:
        learner = linear(1)
        assert np.array_equal(learner.initial(1), expected)
        assert torch.get_default_dtype() == torch.float64
        assert np.array_equal(flatten(learner.restore(expected)), expected)
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device("cpu")


def test_a_module_that_is_made_once_is_not_shared() -> None:
    only = nn.Linear(4, 1)
    learner, before = Learner(lambda: only, (4,)), flatten(only)
    weights = trained(learner, examples())
    assert np.array_equal(flatten(only), before)
    assert not np.array_equal(weights, before)
    load(only, np.zeros(5, dtype=np.float32))
    assert np.array_equal(flatten(learner.restore(before)), before)


def test_what_a_module_remembers_is_not_what_it_was_tried_with() -> None:
    class Remembering(nn.Linear):
        state: torch.Tensor | None = None

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            self.state = torch.zeros(len(rows), 1) if self.state is None else self.state
            return super().forward(rows) + self.state

    learner = Learner(lambda: Remembering(4, 1), (4,))
    assert predict(learner.initial(1), examples().features, learner).shape == (60,)


# Training


@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_it_learns(outputs: int) -> None:
    learner = linear(outputs)
    rows = examples(300, classes=learner.classes)
    start = np.zeros(learner.parameters, dtype=np.float32)
    *_, weights = train(start, rows, Steps(positive_weight=1.0, learning_rate=0.05), epochs=20, seed=1, learner=learner)
    assert evaluate(start, rows, learner).roc_auc == pytest.approx(0.5)
    assert evaluate(weights, rows, learner).roc_auc > 0.95


def test_a_batch_normalization_trains_also_where_one_row_is_left() -> None:
    learner, rows = Learner(Normal, (4,)), examples(33)
    assert learner.mixes_rows
    assert not linear(1).mixes_rows
    weights = trained(learner, rows)
    assert not np.array_equal(weights[13:], learner.initial(1)[13:])
    assert np.isfinite(weights).all()


def test_a_training_of_ones_own_takes_the_place_of_adam() -> None:
    calls: list[tuple[Any, ...]] = []

    def fit(module: nn.Module, rows: torch.Tensor, classes: torch.Tensor, epochs: int) -> None:
        calls.append((module.training, tuple(rows.shape), classes.tolist(), epochs, float(torch.rand(()))))
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        torch.autograd.backward(functional.cross_entropy(module(rows), classes))
        optimizer.step()

    learner = make_learner(lambda: nn.Linear(4, 3), fit, (4,), 3)
    rows, before = examples(6, classes=3), torch.get_rng_state()
    start = learner.initial(1)
    assert len([*train(start, rows, Steps(), epochs=4, seed=1, learner=learner)]) == 1
    (again,) = train(start, rows, Steps(), epochs=4, seed=1, learner=learner)
    assert [call[:4] for call in calls] == [(True, (6, 4), [0, 1, 2, 0, 1, 2], 4)] * 2
    assert calls[0][4] == calls[1][4]
    assert torch.equal(torch.get_rng_state(), before)
    module = nn.Linear(4, 3)
    load(module, start)
    torch.autograd.backward(functional.cross_entropy(module(torch.tensor(rows.features)), learner.targets(rows)))
    expected = [part - 0.1 * part.grad for part in module.parameters() if part.grad is not None]
    assert again == pytest.approx(torch.cat([part.flatten() for part in expected]).detach().numpy(), rel=1e-6)


def test_a_training_of_ones_own_that_diverges_is_noticed() -> None:
    def fit(module: nn.Module, *_: object) -> None:
        load(module, np.full(5, np.nan, dtype=np.float32))

    with pytest.raises(TrainingError, match="diverged"):
        trained(make_learner(lambda: nn.Linear(4, 1), fit, (4,)), examples())


class Longer(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(4, 1))


FITS: dict[str, tuple[Any, str]] = {
    "another module": (lambda *_: nn.Linear(4, 1), "train gives another module"),
    "other shapes": (lambda module, *_: module.append(nn.Linear(1, 1)), "or other shapes"),
    "no function": ("adam", "train is a str; give a function of module, rows, classes and epochs"),
    "three arguments": (lambda module, rows, classes: None, "train is <lambda>, which takes other arguments"),
}


@pytest.mark.parametrize(("fit", "message"), FITS.values(), ids=FITS)
def test_a_training_of_ones_own_that_cannot_work_is_refused(fit: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        trained(make_learner(Longer, fit, (4,)), examples())


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_a_training_of_ones_own_may_use_other_numbers(kind: torch.dtype) -> None:
    learner = make_learner(Longer, lambda module, *_: module.to(kind), (4,))
    weights = trained(learner, examples())
    assert weights.dtype == np.float32
    assert weights == pytest.approx(learner.initial(1), rel=1e-2)


def test_the_fraud_model_may_have_a_training_of_ones_own() -> None:
    learner = make_learner(None, lambda *_: None, (5,), classes=3)
    rows = examples(9, width=5, classes=3)
    assert np.array_equal(trained(learner, rows), learner.initial(1))
    assert isinstance(restore(initial_weights(1)), type(learner.restore(learner.initial(1))))
    assert not learner.own


# Refusals


class Doubles(nn.Linear):
    def __init__(self) -> None:
        super().__init__(4, 1, dtype=torch.float64)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return super().forward(rows.double())


class Pair(nn.Linear):
    def forward(self, rows: torch.Tensor) -> Any:
        return super().forward(rows), rows


class Masked(nn.Linear):
    def __init__(self) -> None:
        super().__init__(4, 1)
        self.register_buffer("mask", torch.full((2, 2), -torch.inf))


class Locked(nn.Linear):
    def __init__(self) -> None:
        super().__init__(4, 1)
        self.lock = threading.Lock()


class Asserting(nn.Linear):
    def __init__(self) -> None:
        super().__init__(4, 1)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        if rows.shape[1] == 4:
            raise AssertionError("five columns, please")
        return super().forward(rows)


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "no module": (lambda: "net", "model gives a str; give a function without arguments"),
    "a class": (lambda: nn.Linear, "model gives a type"),
    "another width": (lambda: nn.Linear(5, 1), r"does not take rows of 4 numbers \(mat1 and mat2"),
    "three axes": (lambda: nn.Sequential(nn.Linear(4, 4), nn.Unflatten(1, (2, 2))), r"with shape \(2, 2, 2\)"),
    "a pair": (lambda: Pair(4, 1), "with tuple; answer each row with one logit"),
    "one answer for all": (lambda: nn.Sequential(nn.Linear(4, 1), nn.Flatten(0), nn.Linear(2, 1)), r"shape \(1,\)"),
    "no answer": (lambda: nn.Linear(4, 0), r"shape \(2, 0\)"),
    "doubles": (Doubles, "weights of torch.float64; make it with torch.float32"),
    "nothing to learn": (lambda: nn.Flatten(), "no weight that training could change"),
    "frozen": (lambda: nn.Linear(4, 1).requires_grad_(False), "no weight that training could change"),
    "infinite": (Masked, "mask of the model is not finite, and cannot be averaged; make constants with persistent"),
    "a lock": (Locked, "the model cannot be copied .*; leave out what it holds besides layers and tensors"),
    "an assertion": (Asserting, r"does not take rows of 4 numbers \(five columns, please\)"),
    "scripted": (lambda: torch.jit.script(nn.Linear(4, 1)), "copies of the model cannot be trained"),
}
NOT_MADE: dict[str, tuple[Any, str]] = {
    "a module": (nn.Linear(4, 1), "model is a Linear; give a function without arguments"),
    "arguments": (nn.Linear, "model is Linear, which takes other arguments; give a function without arguments"),
    "a text": ("net", "model is a str"),
}


@pytest.mark.parametrize(("make", "message"), NOT_MADE.values(), ids=NOT_MADE)
def test_what_makes_no_module_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Learner(make, (4,))


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors", "ignore:`torch.jit.script` is deprecated")
@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD)
def test_a_module_that_cannot_work_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        Learner(make, (4,))
    assert "\n" not in str(caught.value)


def test_a_module_of_changing_shapes_is_refused() -> None:
    widths = iter([2, 2, 3])
    learner = Learner(lambda: nn.Sequential(nn.Linear(4, width := next(widths)), nn.Linear(width, 1)), (4,))
    learner.initial(1)
    with pytest.raises(ConfigurationError, match="other shapes each time"):
        learner.initial(1)


def test_labels_beyond_the_logits_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="there are 4 classes, and the model answers with 3 logits; give it 4"):
        make_learner(lambda: nn.Linear(4, 3), None, (4,), classes=4)
    with pytest.raises(DataError, match="labels up to 3, and the model answers with 3 logits; give it 4"):
        linear(3).targets(examples(8, classes=4))
    assert linear(1).targets(examples(8, classes=4)).tolist() == [0, 1, 1, 1, 0, 1, 1, 1]


# Differential privacy


class Centred(nn.Module):
    """Mixes rows by itself, with no layer that would tell."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(4, 1)

    def forward(self, rows: torch.Tensor) -> Any:
        return self.out(rows - rows.mean(dim=0) if self.training else rows)


class Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.out, self.other = nn.Linear(4, 1), nn.Linear(4, 1)

    def forward(self, rows: torch.Tensor) -> Any:
        return self.out(rows)


class Counting(nn.Linear):
    def __init__(self) -> None:
        super().__init__(4, 1)
        self.register_buffer("seen", torch.zeros(1))


class Own(nn.Module):
    """A linear layer, and what somebody does with it."""

    def __init__(self, answer: Callable[[Any, torch.Tensor], torch.Tensor], **parts: Any) -> None:
        super().__init__()
        self.out, self.answer = nn.Linear(4, 1), answer
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.answer(self, rows)


def gated(model: Any, rows: torch.Tensor) -> Any:
    return model.out(rows) + model.gate(rows.mean(0, keepdim=True).expand_as(rows))


def zeros() -> nn.Module:
    """Two layers that start at zero, through which nothing shows: no answer, and no gradient."""
    layers = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))
    for part in layers.parameters():
        nn.init.zeros_(part)
    return layers


def hooked(model: Any, rows: torch.Tensor) -> Any:
    answers = model.out(rows)
    if answers.requires_grad:
        answers.register_hook(lambda gradient: gradient * rows.square().mean())
    return answers


def lagged(model: Any, rows: torch.Tensor) -> Any:
    answers = model.out(rows - model.mean)
    model.mean = model.mean * 0.999 + rows.mean(0) * 0.001
    return answers


class Recurrent(nn.Module):
    def __init__(self, kind: Any, **options: Any) -> None:
        super().__init__()
        self.recurrent, self.out = kind(2, 3, **options), nn.Linear(3, 1)

    def forward(self, rows: torch.Tensor) -> Any:
        return self.out(self.recurrent(rows.view(-1, 2, 2))[0][:, -1])


TWICE = "does not answer the same rows the same way twice"
APART: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "batch normalization": (Normal, "averages buffers, which no clipping bounds; .* use group or layer normalization"),
    "mean of the batch": (Centred, "the model mixes rows"),
    "without statistics": (
        lambda: nn.Sequential(nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 1)),
        "the model mixes rows",
    ),
    "a layer without use": (Unused, "no gradient of each row reaches other.weight"),
    "a buffer": (Counting, "averages buffers"),
    "rows before it": (lambda: Own(lambda model, rows: model.out(rows.cumsum(0))), "the model mixes rows"),
    "a little of the others": (
        lambda: Own(lambda model, rows: model.out(rows + 1e-6 * rows.mean(0))),
        "the model mixes rows",
    ),
    "a gate that starts at zero": (lambda: Own(gated, gate=zeros()), "the model mixes rows"),
    "a hook on gradients": (lambda: Own(hooked), "the model mixes rows"),
    "numbers from numpy": (lambda: Own(lambda model, rows: model.out(rows * np.random.rand())), TWICE),  # noqa: NPY002
    "a memory": (lambda: Own(lagged, mean=torch.zeros(4)), TWICE),
    "weights beside their layer": (
        lambda: Own(lambda model, rows: model.out(rows) + functional.linear(rows.square(), model.out.weight)),
        "the gradients of the rows do not add up to that of out.weight",
    ),
    "sequence first": (lambda: Recurrent(DPLSTM), "no gradient of each row reaches recurrent.*with rows as its first"),
    "another LSTM": (lambda: Recurrent(nn.LSTM, batch_first=True), "Opacus refuses a layer .*DPLSTM"),
    "an index": (
        lambda: Own(lambda model, rows: functional.embedding(rows.sum(1).long(), model.out.weight)),
        r"no gradient of each row in the model \(index out of range",
    ),
}


@pytest.mark.parametrize(("make", "message"), APART.values(), ids=APART)
def test_rows_that_cannot_be_clipped_one_by_one_are_refused(make: Callable[[], nn.Module], message: str) -> None:
    learner = Learner(make, (4,))
    with pytest.raises(ConfigurationError, match=message):
        require_rows_apart(learner)


def test_a_training_of_ones_own_is_not_private() -> None:
    with pytest.raises(ConfigurationError, match="leave out train=, or --epsilon"):
        require_rows_apart(make_learner(None, lambda *_: None))


GOOD: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(4, 1), (4,)),
    "classes": (lambda: nn.Linear(4, 3), (4,)),
    "recurrent": (lambda: Recurrent(DPLSTM, batch_first=True), (4,)),
    "a layer used twice": (lambda: Own(lambda model, rows: model.out(rows) + model.out(rows.square())), (4,)),
    "no answer to some rows": (lambda: Own(lambda model, rows: model.out(rows.log())), (4,)),
    "a weight of no numbers": (
        lambda: Own(lambda model, rows: model.out(rows), none=nn.Parameter(torch.empty(0))),
        (4,),
    ),
    "dropout": (lambda: nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.AlphaDropout(0.2), nn.Linear(8, 2)), (4,)),
    "layer normalization": (lambda: nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 1)), (4,)),
    "convolution": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 2), nn.GroupNorm(2, 4), nn.Flatten(), nn.Linear(4, 2)),
        (1, 2, 2),
    ),
    "half frozen": (lambda: nn.Sequential(nn.Linear(4, 4).requires_grad_(False), nn.Linear(4, 1)), (4,)),
    "fraud": (lambda: restore(initial_weights(1), 0.3), (128,)),
}


@pytest.mark.parametrize(("make", "inputs"), GOOD.values(), ids=GOOD)
def test_a_private_step_is_repeated_by_its_key_whatever_the_module_draws(
    make: Callable[[], nn.Module], inputs: tuple[int, ...]
) -> None:
    """Two different releases under one noise would tell the difference of their rows."""
    learner = Learner(make, inputs)
    require_rows_apart(learner)
    rows = examples(64, width=int(np.prod(inputs)), classes=learner.classes)
    settings = Steps(batch_size=16, dropout=0.0, positive_weight=1.0, learning_rate=0.05)

    def step(key: int) -> np.ndarray:
        noise = NoiseSettings(1.0, 0.5)
        return train_privately(
            learner.initial(1), rows, settings, noise, steps=2, key=bytes([key] * 32), learner=learner
        )

    torch.manual_seed(5)
    first, after = step(1), torch.get_rng_state()
    torch.manual_seed(6)
    assert np.array_equal(step(1), first)
    assert not np.array_equal(step(2), first)
    torch.manual_seed(5)
    assert torch.equal(torch.get_rng_state(), after)
    if learner.parameters != len(travelling(learner.restore(first))):
        moved = first != learner.initial(1)
        assert moved.any()


def test_modules_that_look_alike_behave_as_their_code_says() -> None:
    """A release is repeated under its noise where its module is the same, not where it has the same layers."""
    rows, weights = examples(200), linear(1).initial(1)

    def told(answer: Any, rows: Examples = rows, weights: np.ndarray = weights) -> bytes:
        return behaviour(weights, rows, Learner(lambda: Own(answer), (4,)))

    same = [told(lambda model, rows: model.out(rows)) for _ in range(2)]
    assert same[0] == same[1]
    others = [
        told(lambda model, rows: model.out(rows.tanh())),
        told(lambda model, rows: model.out(rows) * (1 + 1e-6)),
        told(lambda model, rows: model.out(rows).detach() + 0 * model.out(rows)),
        told(lambda model, rows: functional.dropout(model.out(rows), 0.5, model.training)),
        told(lambda model, rows: model.out(rows), examples(200, seed=1)),
        told(lambda model, rows: model.out(rows), rows, weights + 1),
    ]
    assert len({same[0], *others}) == 7


def test_frozen_weights_stay_as_they_are_under_noise() -> None:
    learner = Learner(*GOOD["half frozen"])
    weights = learner.initial(1)
    settings = Steps(batch_size=16, positive_weight=1.0)
    after = train_privately(
        weights, examples(64), settings, NoiseSettings(1.0), steps=3, key=bytes(32), learner=learner
    )
    assert np.array_equal(after[:20], weights[:20])
    assert (after[20:] != weights[20:]).all()


def test_the_fraud_learner_is_one_for_all_that_ask() -> None:
    assert fraud_learner(0.3) is fraud_learner(0.3)
    assert fraud_learner(0.3) is not fraud_learner(0.2)
