"""DP-SGD at one bank: every row's gradient is clipped, and noise is added to their sum, in every step.

Abadi et al., "Deep Learning with Differential Privacy", CCS 2016, on Opacus, with Adam for the step itself, which sees
nothing but noisy sums. Each step takes a Poisson sample: every row with probability `sample_rate`, independently; so
batches vary in size, and an empty one is a step like any other, of noise alone (skipping it would tell that it was
empty). Sums are divided by the expected batch size, which is public.

Rules: the loss treats every row by itself (no batch normalization, no weights that depend on other rows); a module of
one's own is tried out for it (`require_rows_apart`). All that is random - samples, dropout, noise - is drawn from one
256-bit key by a cryptographic generator (`keystream`): whoever has the key can take the noise away, and nobody finds it
by search while AES-256 and HKDF-SHA256 hold. Sum and noise are integers (`grid`, `rounded_gaussian`), so the analysis
of real-valued noise holds for what is released.

Batches are computed in blocks of a fixed size: a matrix product may round a row differently where it has more rows or
fewer, and a row's gradient would then depend on who else is in the batch, by an amount that nothing bounds. That it
does not depend on a row's *place* in a block is tested bit for bit, not proven for every processor.

No defence: how long a step takes, which tells about how many rows were in it, and whoever reads the bank's memory.
"""

from __future__ import annotations

import hashlib
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from secure_fl.data.features import Examples
from secure_fl.errors import ConfigurationError, TrainingError
from secure_fl.settings import Steps
from secure_fl.training.keystream import Keystream
from secure_fl.training.learner import Learner, first_line, fraud_learner
from secure_fl.training.local import ADAM_EPS, one_thread, usable_device
from secure_fl.training.model import FlatWeights, flatten, travelling

BLOCK = 128
"""Rows that are computed at once; missing ones are filled up with rows that do not count."""
LARGEST_NOISE = 1e4
CLIP_NORMS = (1e-6, 1e6)
"""What float32 can square without losing it."""


@dataclass(frozen=True)
class NoiseSettings:
    """How gradients are made private. Raises `ConfigurationError`."""

    noise_multiplier: float
    """Standard deviation of the noise over `max_grad_norm`."""
    max_grad_norm: float = 1.0
    """L2 norm that a row's gradient is clipped to."""

    def __post_init__(self) -> None:
        if not 0 < self.noise_multiplier <= LARGEST_NOISE:
            raise ConfigurationError(
                f"a noise multiplier of {self.noise_multiplier} is refused; "
                f"use a positive number up to {LARGEST_NOISE:g}"
            )
        low, high = CLIP_NORMS
        if not low <= self.max_grad_norm <= high:
            raise ConfigurationError(
                f"a clip norm of {self.max_grad_norm} is refused; use a number from {low:g} to {high:g}"
            )


def sample_rate(rows: int, settings: Steps) -> float:
    """Probability of each row to be in a batch. Raises `ConfigurationError` where a batch exceeds the bank."""
    if settings.batch_size > rows:
        raise ConfigurationError(
            f"a bank with {rows} training rows is smaller than a batch of {settings.batch_size}; use a smaller "
            "--batch-size or fewer banks"
        )
    return settings.batch_size / rows


def arithmetic() -> str:
    """What the last bits of a gradient depend on beside weights, rows and settings.

    A release is repeated under its own noise only where this is the same: two sums that differ in a bit, under one
    noise, would be two releases.
    """
    processor = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    return f"torch {torch.__version__}, numpy {np.__version__}, {processor}"


def train_privately(
    weights: FlatWeights,
    examples: Examples,
    settings: Steps,
    noise: NoiseSettings,
    *,
    steps: int,
    key: bytes,
    learner: Learner | None = None,
) -> FlatWeights:
    """The weights after `steps` steps of DP-SGD; `learner`: None for the fraud model.

    `key`: 32 secret bytes that repeat samples, dropout and noise. Raises `ConfigurationError` for a bank smaller than a
    batch or another key, `TrainingError` when the model diverged.
    """
    from secure_fl.training.grid import GridOptimizer

    learner = learner or fraud_learner(settings.dropout)
    rate = sample_rate(len(examples), settings)
    sampling, dropout, noises = (Keystream(key, purpose) for purpose in ("samples", "dropout", "noise"))
    device = usable_device(settings.device)
    features, labels = learner.rows(examples.features).to(device), learner.targets(examples).to(device)
    model = per_row_gradients(with_keyed_dropout(learner.restore(weights), dropout).to(device).train())
    weight = torch.tensor(float(settings.positive_weight), device=device)
    with one_thread(), _drawing_from(Keystream(key, "module"), device), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Full backward hook is firing")  # inputs need no gradient; weights do
        optimizer = GridOptimizer(
            torch.optim.Adam(model.parameters(), lr=settings.learning_rate, eps=ADAM_EPS),
            noise=noises,
            noise_multiplier=noise.noise_multiplier,
            max_grad_norm=noise.max_grad_norm,
            expected_batch_size=settings.batch_size,
        )
        for _ in range(steps):
            sample = np.flatnonzero(sampling.coins(len(examples), rate))
            for rows, counts, more in _blocks(sample, device):
                optimizer.zero_grad()
                losses = learner.losses(learner.logits(model, features[rows]), labels[rows], weight)
                torch.autograd.backward((losses * counts).sum())
                optimizer.signal_skip_step(more)
                optimizer.step()
    unwrapped = model._module
    assert isinstance(unwrapped, nn.Module)
    trained = flatten(unwrapped)
    if diverged(trained, learner):
        raise TrainingError("the model diverged: its weights are no longer finite; lower the learning rate")
    return trained


def _blocks(sample: NDArray[np.intp], device: torch.device) -> Iterator[tuple[torch.Tensor, torch.Tensor, bool]]:
    """Rows, 1 or 0 for whether each counts, and whether more blocks follow. An empty sample is one block."""
    for start in range(0, max(1, len(sample)), BLOCK):
        part = sample[start : start + BLOCK]
        rows, counts = np.zeros(BLOCK, dtype=np.int64), np.zeros(BLOCK, dtype=np.float32)
        rows[: len(part)], counts[: len(part)] = part, 1
        yield torch.from_numpy(rows).to(device), torch.from_numpy(counts).to(device), start + BLOCK < len(sample)


class KeyedDropout(nn.Module):
    """Dropout whose masks come from a keystream.

    A row that is left out moves the masks of those behind it. That tells nothing as long as nobody knows the masks.
    """

    def __init__(self, probability: float, stream: Keystream) -> None:
        super().__init__()
        self.probability, self.stream = probability, stream

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        if not self.training or self.probability == 0:
            return values
        kept = self.stream.coins(values.numel(), 1 - self.probability).reshape(values.shape)
        return values * torch.from_numpy(kept).to(values.device) / (1 - self.probability)


def with_keyed_dropout(model: nn.Module, stream: Keystream) -> nn.Module:
    """The model, its dropout drawn from `stream`."""
    for parent in list(model.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, nn.Dropout):
                setattr(parent, name, KeyedDropout(layer.p, stream))
    return model


@contextmanager
def _drawing_from(stream: Keystream, device: torch.device) -> Iterator[None]:
    """What a module draws from torch itself is the same whenever a release is repeated; no secret rests on it."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(int(stream.words(1)[0] >> np.uint64(1)))
        yield


def diverged(weights: FlatWeights, learner: Learner) -> bool:
    """Whether a model has no finite answer any more. Looks at the weights only, so it tells nothing of the rows."""
    model = learner.restore(weights).eval()
    with torch.no_grad():
        return not bool(np.isfinite(weights).all() and model(torch.ones(1, *learner.inputs)).isfinite().all())


def require_rows_apart(learner: Learner) -> None:
    """Refuse a module whose rows cannot be clipped one by one, before anything is charged for it.

    A module of one's own is tried out, as it was made and with other weights: neither a row's answer nor its gradient
    may change, by a bit, with the rest of its batch, or from one time to the next; and the rows' gradients must add up
    to the whole one. That finds mistakes; it proves nothing about a module that means to mix rows. Raises
    `ConfigurationError`.
    """
    if learner.fit is not None:
        raise ConfigurationError("DP-SGD clips every row's gradient itself; leave out train=, or --epsilon")
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
