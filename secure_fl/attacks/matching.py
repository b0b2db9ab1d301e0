"""Inversion by gradient matching: search for rows whose gradient is the one that was seen.

Zhu, Liu, Han, "Deep Leakage from Gradients", NeurIPS 2019; cosine distance: Geiping et al., NeurIPS 2020; several
restarts pooled into one answer, for tables: Vero, Balunovic, Dimitrov, Vechev, "TabLeak", ICML 2023. Dropout's masks
are unknown to the attacker and searched for with the rows (Scheliga, Maeder, Seeland, AAAI 2023). Labels follow from
the last bias' gradient, which says how many of the batch are fraud.

Rules: needs no sparsity and no exact gradient, so it also works where `factorization` does not; it finds less. Rows
that are known already can be held fixed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from secure_fl.attacks.judging import match
from secure_fl.training.local import one_thread
from secure_fl.training.model import FEATURES, HIDDEN, restore

Matrix = NDArray[np.float64]

RESTARTS, STEPS, STEP_SIZE = 4, 300, 0.1


@dataclass(frozen=True)
class Victim:
    """What the attacker knows of how the gradient was made; all of it is public."""

    weights: NDArray[np.float32]
    batch: int
    positive_weight: float
    dropout: float


@one_thread()
def match_gradients(gradient: Matrix, victim: Victim, known: Matrix, rng: np.random.Generator) -> Matrix:
    """Rows [n, 128] whose gradient is near `gradient` [parameters]; the rows of `known` [k, 128] come first."""
    if len(known) >= victim.batch:
        return known[: victim.batch]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        rows, losses = _search(torch.from_numpy(gradient), victim, torch.from_numpy(known))
    best = rows[int(losses.argmin())]
    return np.concatenate([known, _pooled(rows, best)])


def count_frauds(gradient: Matrix, victim: Victim) -> int:
    """From the last bias' gradient, the mean of weight * (p - label), with p as the model says for an average row."""
    with torch.no_grad():
        p = float(torch.sigmoid(restore(victim.weights).eval()(torch.zeros(1, FEATURES))))
    per_fraud = p + victim.positive_weight * (1 - p)
    return int(np.clip(round(victim.batch * (p - float(gradient[-1])) / per_fraud), 0, victim.batch))


def _search(target: torch.Tensor, victim: Victim, known: torch.Tensor) -> tuple[Matrix, Matrix]:
    """The rows [restarts, n - k, 128] after gradient descent from random starts, and how far their gradient is off."""
    layers = [part.detach().double() for part in restore(victim.weights).parameters()]
    labels = (torch.arange(victim.batch) >= victim.batch - count_frauds(target.numpy(), victim)).double()
    shape = (RESTARTS, victim.batch)
    rows = torch.randn(RESTARTS, victim.batch - len(known), FEATURES, dtype=torch.float64, requires_grad=True)
    gates = [torch.full((*shape, width), 2.0, dtype=torch.float64, requires_grad=True) for width in HIDDEN]
    optimizer = torch.optim.Adam([rows, *gates] if victim.dropout else [rows], lr=STEP_SIZE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        optimizer.zero_grad()
        features = torch.cat([known.expand(RESTARTS, -1, -1), rows], dim=1)
        masks = [torch.sigmoid(gate) / (1 - victim.dropout) if victim.dropout else None for gate in gates]
        made = _gradients(layers, features, labels, victim.positive_weight, masks)
        distance = 1 - torch.nn.functional.cosine_similarity(made, target.expand_as(made), dim=1)
        distance.sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return rows.detach().numpy(), distance.detach().numpy()


def _gradients(
    layers: list[torch.Tensor],
    features: torch.Tensor,
    labels: torch.Tensor,
    positive_weight: float,
    masks: list[torch.Tensor | None],
) -> torch.Tensor:
    """The gradient [restarts, parameters] of the loss, written out so that it can be differentiated once more."""
    w1, b1, w2, b2, w3, b3 = layers
    z1 = features @ w1.T + b1
    gate1 = (z1 > 0).double() * (masks[0] if masks[0] is not None else 1.0)
    a1 = z1 * gate1
    z2 = a1 @ w2.T + b2
    gate2 = (z2 > 0).double() * (masks[1] if masks[1] is not None else 1.0)
    a2 = z2 * gate2
    p = torch.sigmoid((a2 @ w3.T + b3).squeeze(-1))
    d3 = ((1 - labels) * p - positive_weight * labels * (1 - p)).unsqueeze(-1) / len(labels)
    d2 = d3 * w3 * gate2
    d1 = (d2 @ w2) * gate1
    parts = [
        d1.mT @ features, d1.sum(1), d2.mT @ a1, d2.sum(1), d3.mT @ a2, d3.sum(1),
    ]  # fmt: skip
    return torch.cat([part.flatten(1) for part in parts], dim=1)


def _pooled(rows: Matrix, best: Matrix) -> Matrix:
    """The median over the restarts, each put into the order of the best one (TabLeak's pooling)."""
    aligned = [candidate[match(candidate, best)[0]] for candidate in rows]
    pooled: Matrix = np.median(aligned, axis=0)
    return pooled
