"""Hashed positions in the terms of the text columns that they stand for.

All text columns share the positions behind the numeric features (`data.features`), so a position has no meaning of its
own. In one row it is known which columns fell on it, and what the position adds to the score is theirs in equal parts.
On a position that no column of the row fell on, the row differs from the background by what it lacks, and that goes to
the columns by how often they fell on it there. So the parts still add up to the score.

Which value of a column it was stays unknown where two values share a position: `collisions` counts those.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from secure_fl.data import DIMENSION, FeatureSchema, RawFeatures

_SIGN_BIT = np.uint64(1 << 63)


def positions(hashed: NDArray[np.uint64], schema: FeatureSchema) -> NDArray[np.int64]:
    """Pseudonyms [n, columns] -> the hashed position of each, from 0."""
    return ((hashed & ~_SIGN_BIT) % np.uint64(_room(schema))).astype(np.int64)


def by_column(
    values: NDArray[np.float64], hashed: NDArray[np.uint64], background: NDArray[np.uint64], schema: FeatureSchema
) -> NDArray[np.float64]:
    """SHAP values [n, features] -> [n, M + text columns]: numeric features, then each text column as a whole.

    `hashed`, `background`: pseudonyms, [n, columns] and [b, columns].
    """
    numeric, columns = len(schema.numeric), len(schema.hashed)
    if columns == 0:
        return values[:, :numeric]  # nothing falls on the other positions
    there, room = positions(hashed, schema), _room(schema)
    usual = _usual_shares(positions(background, schema), room)
    shares = np.zeros((len(hashed), room, columns))
    rows = np.arange(len(hashed))
    for column in range(columns):
        shares[rows, there[:, column], column] = 1.0
    fallen = shares.sum(axis=2, keepdims=True)
    shares = np.where(fallen > 0, shares / np.maximum(fallen, 1.0), usual)
    parts = np.einsum("np,npc->nc", values[:, numeric:], shares)
    return np.hstack([values[:, :numeric], parts])


def _usual_shares(places: NDArray[np.int64], room: int) -> NDArray[np.float64]:
    """[room, columns]: how often each column falls on a position, of all that fall there."""
    counts = np.stack([np.bincount(column, minlength=room) for column in places.T], axis=1).astype(np.float64)
    total = counts.sum(axis=1, keepdims=True)
    shares: NDArray[np.float64] = np.where(total > 0, counts / np.maximum(total, 1.0), 1.0 / counts.shape[1])
    return shares


def collisions(raw: RawFeatures, schema: FeatureSchema) -> NDArray[np.int64]:
    """int64 [positions + 1]: whether two values share each position at this bank; and its rows that fall twice on one.

    Added over banks: at how many of them values collide, and how many rows cannot tell two of their columns apart.
    """
    room = _room(schema)
    if not schema.hashed:
        return np.zeros(1, dtype=np.int64)
    there = positions(raw.hashed, schema)
    values = {(column, int(value)) for column, part in enumerate(raw.hashed.T) for value in np.unique(part)}
    shared = np.bincount([value % (1 << 63) % room for _, value in values], minlength=room) > 1
    twice = (np.diff(np.sort(there, axis=1), axis=1) == 0).any(axis=1)
    return np.concatenate([shared, [twice.sum()]]).astype(np.int64)


def _room(schema: FeatureSchema) -> int:
    """Hashed positions."""
    return DIMENSION - len(schema.numeric)
