"""What the ledgers say on the terminal: by bank, set of rows and unit."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table

from secure_fl.errors import ConfigurationError
from secure_fl.privacy.lifetime.log import Note
from secure_fl.privacy.lifetime.spending import Unit
from secure_fl.privacy.lifetime.store import Account, LedgerStore
from secure_fl.progress import plain_console
from secure_fl.settings.privacy import require_delta


@dataclass(frozen=True)
class Spending:
    """What one bank's set of rows has spent, or the bank that held it."""

    bank: str
    rows: str
    """The set, by its name in the store."""
    unit: Unit
    runs: int
    """That released something of this very bank and set."""
    releases: int
    epsilon: float
    """Of all runs that share a row with it."""
    delta: float
    limit: float | None
    left: float | None
    """Of the limit; None where there is none."""


def spending(store: LedgerStore, delta: float | None = None, limit: float | None = None) -> Iterator[Spending]:
    """Every bank and set that something was released of, in the order of their first release."""
    releases = store.releases()
    for bank, rows, unit in dict.fromkeys((r.bank, r.rows, r.unit) for r in releases):
        own = [r for r in releases if (r.bank, r.rows, r.unit) == (bank, rows, unit)]
        at, allowed = delta or own[-1].delta, own[-1].limit if limit is None else limit
        epsilon = Account("", bank, rows, unit, at, None, store).epsilon
        left = None if allowed is None else max(0.0, allowed - epsilon)
        yield Spending(bank, rows, unit, len({r.run for r in own}), len(own), epsilon, at, allowed, left)


def print_statement(*, as_json: bool, delta: float | None, limit: float | None, noted: Path | None) -> None:
    """Print it. Raises `ConfigurationError`, or `PrivacyError` where the ledgers cannot be relied on."""
    if delta is not None:
        require_delta(delta)
    store = LedgerStore.of_user()
    if noted is not None:
        store.require(_noted_in(noted))
    rows = list(spending(store, delta, limit))
    if as_json:
        print_json = {"schema": 1, "store": str(store.folder), "ledger": asdict(store.end)}
        plain_console().print_json(json.dumps(print_json | {"banks": [_plain(row) for row in rows]}))
        return
    console = plain_console()
    if rows:
        console.print(_table(rows))
    console.print(
        f"{store.folder}: {store.end.lines} releases; epsilon adds up all runs that share rows, at their delta",
        soft_wrap=True,
    )


def _plain(row: Spending) -> dict[str, object]:
    return asdict(row) | {"epsilon": row.epsilon if row.epsilon < math.inf else None}


def _table(rows: list[Spending]) -> Table:
    table = Table("bank", "rows", "unit", "runs", "releases", "epsilon for life", "delta", "limit", "left")
    for column in table.columns[3:]:
        column.justify = "right"
    for row in rows:
        limits = ("-" if value is None else f"{value:.3f}" for value in (row.limit, row.left))
        figures = (str(row.runs), str(row.releases), f"{row.epsilon:.3f}", f"{row.delta:g}")
        table.add_row(row.bank, row.rows[:12], row.unit, *figures, *limits)
    return table


def _noted_in(results: Path) -> Note:
    try:
        privacy = json.loads((results / "metrics.json").read_text(encoding="utf-8"))["privacy"]
        return Note(int(privacy["ledger"]["lines"]), str(privacy["ledger"]["head"]))
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        pass
    raise ConfigurationError(f"{results} holds no note of the ledgers; name the folder of a private run's results")
