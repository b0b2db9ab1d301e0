"""Wrong answers to the exercises of lesson 3. A name is EXERCISE__WHAT_IS_WRONG; the test puts each in place."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from secure_fl.secagg.hazmat.prg import add_mask, subtract_mask

Vector = NDArray[np.uint16]


def masked__always_added(me: int, values: Vector, seeds: Mapping[int, bytes]) -> Vector:
    upload = values.copy()
    for seed in seeds.values():
        add_mask(upload, seed)
    return upload


def masked__signs_by_the_order_of_arrival(me: int, values: Vector, seeds: Mapping[int, bytes]) -> Vector:
    upload = values.copy()
    for place, seed in enumerate(seeds.values()):
        (add_mask if place % 2 else subtract_mask)(upload, seed)
    return upload


def masked__with_neighbours_only(me: int, values: Vector, seeds: Mapping[int, bytes]) -> Vector:
    upload = values.copy()
    for other, seed in seeds.items():
        if abs(other - me) == 1:
            (add_mask if me < other else subtract_mask)(upload, seed)
    return upload


def masked__not_at_all(me: int, values: Vector, seeds: Mapping[int, bytes]) -> Vector:
    return values.copy()


def masked__in_place(me: int, values: Vector, seeds: Mapping[int, bytes]) -> Vector:
    for other, seed in seeds.items():
        (add_mask if me < other else subtract_mask)(values, seed)
    return values
