"""From the 128 features back to a transaction: what a rebuilt row says in the words of the bank's table.

Standardization is public and has an inverse, but for values beyond its clip of 8 standard deviations. Text columns come
back only as pseudonyms' positions, not as text: for them the keyed hash holds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from secure_fl.data import FeatureSchema
from secure_fl.data.behaviour import DAY


def undo(features: NDArray[np.floating], schema: FeatureSchema) -> Mapping[str, float]:
    """Column -> value of one row [128]: hour of the day, amount, and every other numeric column."""
    mean, std = (np.asarray(part) for part in (schema.standardization.mean, schema.standardization.std))
    values = dict(zip(schema.numeric, features[: len(mean)] * std + mean, strict=True))
    source, found = schema.source, {}
    if source.time is not None:
        angle = math.atan2(values[f"{source.time}: hour sin"], values[f"{source.time}: hour cos"]) % (2 * math.pi)
        found["hour"] = angle / (2 * math.pi) * DAY / 3600
    if source.amount is not None:
        signed_log = values[f"{source.amount}: log"]
        found[source.amount] = math.copysign(math.expm1(min(abs(signed_log), 50.0)), signed_log)
    return {**found, **{name: float(values[name]) for name in source.numeric}}
