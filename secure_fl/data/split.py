"""Dealing one table to several banks, to study what a federation gains and where it struggles.

- "even": equal shares. "size": shares of 1, 1/2, 1/3, ... A customer, with all payments, has one bank.
- "pattern": each fraud pattern is dealt by a Dirichlet(alpha) draw (Hsu, Qi, Brown, "Measuring the Effects of
  Non-Identical Data Distribution for Federated Visual Classification", 2019), so that a bank may hardly know a
  kind of fraud that hits the others. Here single payments are dealt, not customers: if a fraud moved to a bank
  without its customer's honest payments, the missing past alone would give it away.

Rules: every row goes to exactly one bank and keeps its place in time. A draw may leave a bank without fraud, as
happens to small banks; it is never drawn again in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from secure_fl.data.transactions import Transactions, codes_of
from secure_fl.errors import ConfigurationError, DataError

Split = Literal["even", "size", "pattern"]


def bank_name(index: int) -> str:
    """The name of the bank at a position: "bank-1" for 0."""
    return f"bank-{index + 1}"


def split_among_banks(
    transactions: Transactions, banks: int, how: Split = "even", *, alpha: float = 1.0, seed: int = 0
) -> tuple[Transactions, ...]:
    """One table per bank, each in the order of `transactions`. As `banks_of_rows` says."""
    owner = banks_of_rows(transactions, banks, how, alpha=alpha, seed=seed)
    return tuple(transactions.take(np.flatnonzero(owner == bank)) for bank in range(banks))


def banks_of_rows(
    transactions: Transactions, banks: int, how: Split = "even", *, alpha: float = 1.0, seed: int = 0
) -> NDArray[np.int64]:
    """int64 [n]: the place of the bank, from 0, that each row is dealt to.

    alpha: only for "pattern"; small values make banks differ more. The same seed gives the same split. Raises
    ConfigurationError on settings out of range, DataError if a bank would be empty.
    """
    if how not in get_args(Split):
        raise ConfigurationError(f"there is no split {how!r}; choose one of {', '.join(get_args(Split))}")
    if banks < 1:
        raise ConfigurationError(f"{banks} banks cannot share transactions; choose at least 1")
    if not (np.isfinite(alpha) and alpha > 0.0):
        raise ConfigurationError(f"alpha is {alpha}; choose a number above 0, for instance 1.0")
    rng = np.random.default_rng(seed)
    if how == "pattern":
        owner = _by_pattern(transactions.pattern, banks, alpha, rng)
    else:
        shares = np.ones(banks) if how == "even" else 1.0 / np.arange(1, banks + 1)
        owner = _by_customer(transactions, shares / shares.sum(), rng)
    empty = np.flatnonzero(np.bincount(owner, minlength=banks) == 0)
    if empty.size:
        raise DataError(f"{bank_name(int(empty[0]))} got no transaction; use fewer banks or more transactions")
    return owner


def require_trainable(name: str, part: Transactions) -> None:
    """Raise DataError, naming the bank, if its training part has no rows or nothing but fraud.

    Honest rows alone teach a model too, as long as another bank has fraud (`require_fraud`).
    """
    if len(part) == 0:
        raise DataError(f"{name} has no transaction to train on; use fewer banks or a smaller test fraction")
    if part.fraud.all():
        raise DataError(f"{name} has nothing but fraud to train on; use fewer banks, a larger alpha or another split")


def require_fraud(parts: Sequence[NDArray[np.bool_]]) -> None:
    """Raise DataError if no bank's training labels hold a fraud."""
    if not any(fraud.any() for fraud in parts):
        raise DataError("no bank has fraud to train on; use more transactions or a smaller test fraction")


def _by_customer(
    transactions: Transactions, shares: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """int64 [n]: the bank of each row; whole customers where the first identifier names them, else single rows."""
    n = len(transactions)
    if not transactions.schema.identifiers:
        return _deal(n, shares, rng)
    levels, customer = codes_of(transactions.text[transactions.schema.identifiers[0]])
    line = rng.permutation(len(levels))
    rows = np.bincount(customer, minlength=len(levels))[line]
    middles = np.cumsum(rows) - rows / 2
    bank = np.empty(len(levels), dtype=np.int64)
    bank[line] = np.searchsorted(np.cumsum(shares)[:-1] * n, middles)
    return bank[customer]


def _by_pattern(pattern: NDArray[np.int8], banks: int, alpha: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """int64 [n]: the bank of each row; honest rows evenly, each pattern by a Dirichlet draw of its own."""
    owner = np.empty(pattern.shape[0], dtype=np.int64)
    for kind in np.unique(pattern):
        rows = np.flatnonzero(pattern == kind)
        shares = np.full(banks, 1 / banks) if kind == 0 else rng.dirichlet(np.full(banks, alpha))
        owner[rows] = _deal(rows.shape[0], shares, rng)
    return owner


def _deal(n: int, shares: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """int64 [n]: banks in random order, each as often as its share says, up to rounding."""
    ends = np.round(np.cumsum(shares)[:-1] * n)
    return rng.permutation(np.searchsorted(ends, np.arange(n), side="right"))
