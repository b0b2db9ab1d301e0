"""Exact inversion of a small batch: the first layer's gradient is a product of two matrices, one of them sparse.

With inputs X [n, 128], the gradients of the first layer's weights and biases, side by side, are

    G = [dW | db] = D^T [X | 1]        D [n, 64]: what flows back from each row into each neuron

A neuron that a single row activates carries that row exactly: dW_i / db_i (Geiping, Bauermeister, Droege, Moeller,
NeurIPS 2020, proposition 3.1). For a batch of one that is every live neuron. For larger batches G = L R by singular
values, so D^T = L Q for some Q [n, n], and each column q of Q is a direction in which L q vanishes wherever ReLU or
dropout switched that row off: at about two neurons of three. That L q is sparse fixes q (Dimitrov, Baader, Mueller,
Vechev, "SPEAR: Exact Gradient Inversion of Batches in Federated Learning", NeurIPS 2024). SPEAR tries out which
neurons are off; here q is found by iteratively reweighted least squares from many starts (Chartrand, Yin, ICASSP
2008; a sparse vector in a subspace: Qu, Sun, Wright, NeurIPS 2014), which takes a fraction of a second.

Rules: the batch size is known, it is a public setting. Nothing is assumed about the data.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from secure_fl.training.local import one_thread

Matrix = NDArray[np.float64]
FloatVector = NDArray[np.float64]

ZERO = 3e-3
"""A flow below this share of the largest of its row counts as none."""
LIVE = 1e-7
"""Neurons with less than this share of the largest gradient are dead for the whole batch."""
DISAGREEING = 0.02
"""So large a share of a row's flows may go, by rounding, into neurons that the row switches off."""
SAME = 0.99
"""Cosine from which two directions are one."""
ALONE = 1e-3
"""Two neurons whose rows agree to this relative distance carry the same single row."""
LARGEST = 24
"""Rows of a batch that are searched for; beyond that, every mixture of rows is about as sparse as the rows."""
NO_GAP = 0.3
"""A matrix of rank n, but for rounding, has a singular value number n + 1 that is far below number n."""
STARTS, LOTS, STEPS, ATTEMPTS = 1000, 10, 25, 12


@dataclass(frozen=True)
class Factors:
    """What was found: some of the rows of the batch, perhaps all."""

    rows: Matrix = field(repr=False)
    """[k, 128], k <= n."""
    flows: Matrix = field(repr=False)
    """[k, 64]: what flowed back from each row into each neuron; 0 where the row was not found through it."""

    def take(self, chosen: NDArray[np.bool_]) -> Factors:
        return Factors(self.rows[chosen], self.flows[chosen])


@one_thread()
def factorize(gradient: Matrix, first_layer: Matrix, batch: int, rng: np.random.Generator) -> Factors:
    """Rows of the batch from G [64, 129]; `first_layer` [64, 129] holds the public weights and biases, side by side.

    Only rows that agree with the model are returned: nothing may flow back into a neuron that the row switches off.
    """
    weight = np.linalg.norm(gradient, axis=1)
    live = np.flatnonzero(weight > LIVE * weight.max(initial=0.0))
    alone = _alone(gradient)
    alone = alone.take(_disagreement(alone, first_layer) <= DISAGREEING)
    if len(live) < batch or len(alone.rows) == batch:
        return alone
    left, values, right = np.linalg.svd(gradient[live], full_matrices=False)
    if batch >= len(values) or batch > LARGEST or values[batch] > NO_GAP * values[batch - 1]:
        return alone  # this is not the gradient of a batch of that size
    left, right = left[:, :batch], values[:batch, None] * right[:batch]
    scaled = left / np.linalg.norm(left, axis=1, keepdims=True)
    best, least = alone, np.inf
    finds: list[_Find] = []
    for _ in range(LOTS):
        _search(finds, scaled, batch, rng)
        banned: set[int] = set()
        for _ in range(ATTEMPTS):
            chosen = _sparsest(finds, banned, batch)
            if len(chosen) < batch:
                break
            directions = np.array([finds[place].direction for place in chosen])
            factors = _unmixed(left, right, directions, live, len(gradient))
            wrong = _disagreement(factors, first_layer)
            if wrong.sum() < least:
                best, least = factors.take(wrong <= DISAGREEING), wrong.sum()
            if (wrong <= DISAGREEING).all():
                return best
            banned.add(chosen[int(wrong.argmax())])
    return best


def _unmixed(left: Matrix, right: Matrix, directions: Matrix, live: NDArray[np.int64], neurons: int) -> Factors:
    """G = L R and D^T = L Q, so [X | 1] = Q^-1 R, up to a scale for each row that the last column fixes."""
    mixed = np.linalg.solve(directions.T, right)
    scale = np.where(np.abs(mixed[:, -1:]) < _TINY, _TINY, mixed[:, -1:])
    flows = np.zeros((len(directions), neurons))
    flows[:, live] = (left @ directions.T).T * scale
    return Factors(mixed[:, :-1] / scale, flows)


def _disagreement(factors: Factors, first_layer: Matrix) -> FloatVector:
    """For each row, the share of its flows that go where it switches ReLU off, [k]; 1 where nothing flows."""
    flows = np.abs(factors.flows)
    flowing = flows > ZERO * flows.max(axis=1, keepdims=True, initial=0.0)
    switched_off = factors.rows @ first_layer[:, :-1].T + first_layer[:, -1] <= 0
    count = flowing.sum(axis=1)
    wrong: FloatVector = np.where(count > 0, (flowing & switched_off).sum(axis=1) / np.maximum(count, 1), 1.0)
    return wrong


@dataclass
class _Find:
    direction: Matrix
    zeros: int
    hits: int


def _search(finds: list[_Find], left: Matrix, batch: int, rng: np.random.Generator) -> None:
    """Add sparse directions, from starts at random, orthogonal to some of those that are known already."""
    starts = rng.normal(size=(STARTS, batch))
    known = [find.direction for find in finds if find.hits > 1 and rng.random() < _AVOIDED][: batch - 1]
    if known:
        span = np.linalg.qr(np.array(known).T)[0]
        starts -= starts @ span @ span.T
    flows = np.abs(left @ _reweighted(left, starts).T).T
    off = flows < ZERO * flows.max(axis=1, keepdims=True)
    sets, hits = np.unique(off, axis=0, return_counts=True)
    for place in np.argsort(-sets.sum(axis=1), kind="stable")[: _LOOKED_AT * batch]:
        _note(finds, left, sets[place], int(hits[place]))


def _reweighted(left: Matrix, starts: Matrix) -> Matrix:
    """Minimize sum log((L q)^2 + eps^2) over unit vectors q, eps falling: one step of inverse iteration each time."""
    matrix, q = torch.from_numpy(left), torch.from_numpy(starts)
    for eps in np.geomspace(0.3, 1e-3, STEPS):
        weights = 1 / ((q @ matrix.T) ** 2 + eps**2)
        q = torch.linalg.solve(torch.einsum("ki,bk,kj->bij", matrix, weights, matrix), q)
        q = q / q.norm(dim=1, keepdim=True)
    found: Matrix = q.numpy()
    return found


def _note(finds: list[_Find], left: Matrix, switched_off: NDArray[np.bool_], hits: int) -> None:
    """Count a direction, refined by least squares over the neurons that it switches off, unless they leave two."""
    if switched_off.sum() < left.shape[1] - 1:
        return
    _, values, vectors = np.linalg.svd(left[switched_off])
    if len(values) == left.shape[1] > 1 and values[-2] < 20 * values[-1]:
        return
    direction = vectors[-1]
    flows = np.abs(left @ direction)
    new = _Find(direction, int((flows < ZERO * flows.max()).sum()), hits)
    for place, find in enumerate(finds):
        if abs(find.direction @ direction) > SAME:
            better = max(find, new, key=lambda either: either.zeros)
            finds[place] = _Find(better.direction, better.zeros, find.hits + hits)
            return
    finds.append(new)


def _sparsest(finds: list[_Find], banned: set[int], batch: int) -> list[int]:
    """Places of independent directions, the sparsest first: a mixture of rows vanishes at fewer neurons than they do.

    Chance makes exceptions; one that disagrees with the model gets banned.
    """
    chosen: list[int] = []
    order = sorted(range(len(finds)), key=lambda place: (-finds[place].zeros, -finds[place].hits))
    for place in order:
        wider = np.array([finds[other].direction for other in (*chosen, place)])
        if place not in banned and np.linalg.svd(wider, compute_uv=False)[-1] > _DEPENDENT:
            chosen.append(place)
        if len(chosen) == batch:
            break
    return chosen


def _alone(gradient: Matrix) -> Factors:
    """Rows that at least two neurons carry alone, and therefore agree on."""
    bias = gradient[:, -1]
    live = np.flatnonzero(np.abs(bias) > 1e-6 * np.abs(bias).max(initial=0.0))
    if not len(live):
        return Factors(np.empty((0, gradient.shape[1] - 1)), np.empty((0, len(gradient))))
    carried = gradient[live, :-1] / bias[live, None]
    apart = np.linalg.norm(carried[:, None] - carried[None], axis=2)
    close = apart <= ALONE * np.linalg.norm(carried, axis=1, keepdims=True)
    groups = {tuple(np.flatnonzero(row)) for row in close if row.sum() > 1}
    rows: list[Matrix] = []
    flows: list[Matrix] = []
    for group in sorted(groups, key=len, reverse=True):
        row = np.median(carried[list(group)], axis=0)
        if all(np.linalg.norm(row - other) > 10 * ALONE * np.linalg.norm(row) for other in rows):
            rows.append(row)
            flow = np.zeros(len(gradient))
            flow[live[list(group)]] = bias[live[list(group)]]
            flows.append(flow)
    width = gradient.shape[1] - 1
    return Factors(np.array(rows).reshape(-1, width), np.array(flows).reshape(-1, len(gradient)))


_TINY = 1e-12
_AVOIDED = 0.5
"""The share of known directions that new starts are orthogonal to."""
_LOOKED_AT = 6
"""So many times n directions, the sparsest, are refined in each lot."""
_DEPENDENT = 1e-2
"""Smallest singular value below which a direction is a mixture of those before it."""
