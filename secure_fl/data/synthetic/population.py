"""Who can be hit: the customers, terminals and the period of the table that synthetic fraud is drawn for.

Rules: the table is the training part of one bank, and stays with it; nothing of a population is ever put into a
prompt. Only tables with the columns of the simulator can be described by a pattern; others are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secure_fl.data.simulator import SCHEMA
from secure_fl.data.transactions import Schema, Transactions, codes_of
from secure_fl.errors import ConfigurationError, DataError


@dataclass(frozen=True, eq=False, repr=False)
class Population:
    """Customers, terminals by merchant category, and the period, of one table."""

    begin: int
    end: int
    """First and last whole second of the table."""
    customers: NDArray[np.object_]
    """str [customers]"""
    mean_amount: NDArray[np.float64]
    """float64 [customers]: over the customer's honest payments, or over everybody's for one who has none."""
    terminals: Mapping[str, NDArray[np.object_]]
    """str [terminals of that category] per merchant category."""


def require_describable(schema: Schema) -> None:
    """Raise ConfigurationError unless patterns can say something about every column."""
    if schema != SCHEMA:
        raise ConfigurationError(
            "synthetic fraud describes time, amount, category, customer and terminal of the simulated transactions; "
            "this table has other columns (V1 to V28 of ULB are principal components, which no pattern can describe): "
            "use the simulated dataset, or no synthetic fraud"
        )


def population(host: Transactions) -> Population:
    """Of a table with the columns of the simulator. Raises ConfigurationError for others, DataError if it is empty."""
    require_describable(host.schema)
    honest = ~host.fraud
    if not honest.any():
        raise DataError("there are no honest rows that synthetic fraud could be drawn for; provide some")
    names, customer = codes_of(host.text["customer"])
    count = np.bincount(customer[honest], minlength=len(names))
    total = np.bincount(customer[honest], weights=host.numeric["amount"][honest], minlength=len(names))
    overall = float(total.sum() / count.sum())
    places, first = np.unique(host.text["terminal"].astype(np.str_), return_index=True)
    category = host.text["category"][first]
    return Population(
        begin=int(np.ceil(host.when.min())),
        end=int(np.floor(host.when.max())),
        customers=np.array(names, dtype=np.object_),
        mean_amount=np.where(count > 0, total / np.maximum(count, 1), overall),
        terminals={str(kind): places[category == kind].astype(np.object_) for kind in np.unique(category)},
    )
