"""Which strategies of Flower can work with a mean alone, and how one gets it: as the only reply of a round."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAdagrad, FedAdam, FedAvg, FedAvgM, FedProx, FedYogi, Strategy

from secure_fl.averaging.arrays import LARGEST, array_type
from secure_fl.errors import ConfigurationError
from secure_fl.transport.flower.terms import Arrays

SOUND = (FedAvg, FedProx, FedAvgM, FedAdagrad, FedAdam, FedYogi)
"""They begin with the weighted mean of the replies, and use nothing else of them."""


def require_sound(strategy: Strategy, *, own_aggregation: bool) -> FedAvg:
    """Raises `ConfigurationError` for a strategy that looks at single updates."""
    if not isinstance(strategy, FedAvg):
        raise ConfigurationError(f"{type(strategy).__name__} is no FedAvg; wrap one of {_names()}, or a class of these")
    ways = [cls for cls in type(strategy).__mro__ if "aggregate_train" in vars(cls) and cls is not Strategy]
    aggregating = next((cls for cls in ways if cls not in SOUND and cls.__module__.startswith("flwr.")), ways[0])
    if aggregating not in SOUND and not (own_aggregation and not aggregating.__module__.startswith("flwr.")):
        raise ConfigurationError(
            f"{aggregating.__name__} aggregates in a way of its own, and nobody sees single updates here; wrap one "
            f"of {_names()}, or say own_aggregation=True for a class of yours that needs no more than their mean"
        )
    return strategy


def reply_of_all(
    strategy: FedAvg, like: Message, arrays: Arrays, metrics: Mapping[str, Any], contributors: int
) -> Message:
    """The mean, as if one node had sent it. `like`: a reply of the round."""
    content = RecordDict(
        {
            strategy.arrayrecord_key: array_record(arrays),
            "metrics": MetricRecord({**metrics, strategy.weighted_by_key: contributors}),
        }
    )
    return Message(content, reply_to=like)


def array_record(arrays: Arrays) -> ArrayRecord:
    return ArrayRecord(
        {name: Array(np.ascontiguousarray(array).reshape(array.shape)) for name, array in arrays.items()}
    )


def typed(made: ArrayRecord, mean: Arrays) -> ArrayRecord:
    """What a strategy made of the mean, in the types of the model. Integers are the mean's own: no optimizer moves
    a counter.
    """
    result: dict[str, Any] = {}
    for name, exact in mean.items():
        kind = array_type(exact, name)
        moved = np.asarray(made[name].numpy())
        limit = LARGEST.get(kind.dtype)
        result[name] = (
            exact if limit is None else np.clip(moved, -limit, limit).astype(exact.dtype).reshape(exact.shape)
        )
    return array_record(result)


def mean_metrics(records: Iterable[MetricRecord]) -> dict[str, float]:
    """The plain mean of each metric over whoever sent it as one number."""
    found: dict[str, list[float]] = {}
    for record in records:
        for name, value in record.items():
            if isinstance(value, (int, float)):
                found.setdefault(name, []).append(float(value))
    return {name: float(np.mean(values)) for name, values in found.items()}


def _names() -> str:
    return ", ".join(cls.__name__ for cls in SOUND)
