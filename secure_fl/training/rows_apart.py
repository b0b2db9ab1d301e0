"""Gradients of single rows, and whether a module has them: what DP-SGD (`private`) rests on.

A module of one's own is tried out before anything is charged for it. That finds mistakes; it proves nothing about a
module that means to mix rows.
"""

from __future__ import annotations

import hashlib
import warnings

import torch
from torch import nn

from secure_fl.data.features import Examples
from secure_fl.errors import ConfigurationError
from secure_fl.training.learner import Learner, first_line
from secure_fl.training.local import one_thread
from secure_fl.training.model import FlatWeights, travelling

BLOCK = 128
"""Rows that are computed at once; missing ones are filled up with rows that do not count."""


def require_rows_apart(learner: Learner) -> None:
    """Refuse a module whose rows cannot be clipped one by one, before anything is charged for it.

    A module of one's own is tried out, as it was made and with other weights: neither a row's answer nor its gradient
    may change, by a bit, with the rest of its batch, or from one time to the next; and the rows' gradients must add up
    to the whole one. That finds mistakes; it proves nothing about a module that means to mix rows. Raises
    `ConfigurationError`.
    """
    if learner.fit is not None:
        raise ConfigurationError("DP-SGD clips every row's gradient itself; leave out train=, or --epsilon")
    if not learner.own:
        return  # the fraud model's layers are known
    model = learner.restore(learner.initial(0)).train()
    if _shares_weights(model):
        raise ConfigurationError("two layers of the model share weights, so that a row's gradient is not clipped whole")
    if len(travelling(model)) > len(list(model.parameters())):
        raise ConfigurationError(
            "the model averages buffers, which no clipping bounds; make constants with persistent=False, and use group "
            "or layer normalization in the place of batch normalization"
        )
    try:
        with torch.random.fork_rng(devices=[]), one_thread(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Full backward hook is firing")
            torch.manual_seed(0)
            private = per_row_gradients(model)
            _try_out(learner, private)
            with torch.no_grad():  # a layer that starts at zero hides what comes before it
                for part in model.parameters():
                    part.add_(torch.randn_like(part), alpha=0.1)
            _try_out(learner, private)
    except (ArithmeticError, LookupError, RuntimeError, TypeError, AttributeError, ValueError, AssertionError) as error:
        raise ConfigurationError(
            f"Opacus finds no gradient of each row in the model ({first_line(error)}); use layers that it knows"
        ) from None


def _shares_weights(model: nn.Module) -> bool:
    """Whether a weight belongs to two layers; not where one only names what another inside of it holds."""
    holders: dict[int, list[nn.Module]] = {}
    for layer in model.modules():
        for part in {id(part) for part in layer._parameters.values() if part is not None}:
            holders.setdefault(part, []).append(layer)
    innermost = (
        [one for one in layers if not any(other is not one and other in {*one.modules()} for other in layers)]
        for layers in holders.values()
    )
    return any(len(layers) > 1 for layers in innermost)


def _try_out(learner: Learner, private: nn.Module) -> None:
    """Two batches that share about half of their rows, whose answers and gradients must be the same in both."""
    rows, others = torch.randn(2, BLOCK, *learner.inputs)
    shared = torch.rand(BLOCK) < 0.5
    mixed = torch.where(shared.view(-1, *[1] * len(learner.inputs)), rows, others)
    kept = {name: part.clone() for name, part in private.named_buffers()}
    first, again, beside = (_told_apart(learner, private, batch, shared) for batch in (rows, rows, mixed))
    if first != again or not all(torch.equal(part, kept[name]) for name, part in private.named_buffers()):
        raise ConfigurationError(
            "the model does not answer the same rows the same way twice: it keeps something between batches, or draws "
            "from elsewhere than torch; use layers without a memory, and torch's random numbers"
        )
    if first != beside:
        raise ConfigurationError(_MIXES)


def _told_apart(learner: Learner, private: nn.Module, rows: torch.Tensor, shared: torch.Tensor) -> bytes:
    """A digest of the answers and gradients of `shared` rows, under one seed.

    Raises `ConfigurationError` where a gradient is lacking, or not whole.
    """
    private.zero_grad(set_to_none=True)
    torch.manual_seed(1)
    answers = learner.logits(private, rows.clone())
    torch.autograd.backward(answers.square().sum())
    digest = hashlib.sha256(_content(answers[shared]))
    for name, part in private.named_parameters():
        if part.requires_grad and part.numel():
            of_rows = getattr(part, "grad_sample", None)
            name = name.removeprefix("_module.")
            if not isinstance(of_rows, torch.Tensor) or len(of_rows) != BLOCK:
                raise ConfigurationError(
                    f"no gradient of each row reaches {name}; use every layer, with rows as its first axis, or leave "
                    "it out"
                )
            if not _adds_up(of_rows, part.grad):
                raise ConfigurationError(
                    f"the gradients of the rows do not add up to that of {name}; use its layer as a layer only, not "
                    "its weights in other places"
                )
            digest.update(_content(of_rows[shared]))
    return digest.digest()


def _adds_up(of_rows: torch.Tensor, whole: torch.Tensor | None) -> bool:
    if whole is None:
        return False
    error = 1e-4 * float(of_rows.nan_to_num().abs().sum(dim=0).max())
    return torch.allclose(of_rows.sum(dim=0), whole.to_dense(), rtol=1e-3, atol=error, equal_nan=True)


def _content(values: torch.Tensor) -> bytes:
    """All bits, of -0.0 those of 0.0."""
    return (values.detach().to_dense() + 0.0).contiguous().numpy().tobytes()


def behaviour(weights: FlatWeights, examples: Examples, learner: Learner) -> bytes:
    """A digest of what a module does with a bank's first rows: answers and gradients, 32 bytes.

    Two modules that look alike may differ in their code. A release is repeated under its own noise only where this is
    the same.
    """
    features, targets = learner.rows(examples.features[:BLOCK]), learner.targets(examples)[:BLOCK]
    model = learner.restore(weights).train()
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        answers = learner.logits(model, features)
        torch.autograd.backward(learner.losses(answers, targets, torch.tensor(1.0)).sum())
    digest = hashlib.sha256(_content(answers))
    for part in model.parameters():
        digest.update(b"" if part.grad is None else _content(part.grad))
    return digest.digest()


_MIXES = (
    "the model mixes rows (batch normalization, for instance, or layers without batch_first), so no row's gradient can "
    "be clipped by itself; use group or layer normalization, and batches as the first axis"
)


def per_row_gradients(model: nn.Module) -> nn.Module:
    """The model, computing one gradient per row. Raises `ConfigurationError` where its rows mix."""
    from opacus import GradSampleModule
    from opacus.validators import ModuleValidator

    problems = ModuleValidator.validate(model)
    if problems:
        batches = any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in model.modules())
        raise ConfigurationError(
            _MIXES if batches else f"Opacus refuses a layer of the model: {first_line(problems[0])}; use another"
        )
    private: nn.Module = GradSampleModule(model, loss_reduction="sum")
    return private
