"""What a person should look at before believing a result: columns that were read without an error, and oddly.

Nothing here refuses a table: unusual ones exist. Warnings name columns and counts, never a value.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from secure_fl.data.transactions import UNITS, Schema, Transactions, quoted

FEWEST_ROWS = 100
"""Below, nothing is said: examples and tests are short."""
SHORTEST_SPAN, LONGEST_SPAN = 3_600.0, 50 * 365.25 * UNITS["days"]
"""Seconds."""
LARGEST_NUMBER = 1e9
"""Whole numbers from here on are rather numbers of cards, or seconds since 1970, than quantities."""
MOSTLY_DISTINCT = 0.5


def warnings_about(table: Transactions) -> tuple[str, ...]:
    """A line for each column that is read in a way that is hardly meant."""
    if len(table) < FEWEST_ROWS:
        return ()
    lines = [_span(table, table.schema)] if table.schema.time is not None else []
    lines += [_number(name, table.numeric[name]) for name in table.schema.numeric]
    lines += [_category(name, table.text[name]) for name in table.schema.categorical]
    return tuple(line for line in lines if line is not None)


def _span(table: Transactions, schema: Schema) -> str | None:
    span = float(np.ptp(table.when))
    what = f"{len(table):,} transactions lie within"
    advice = f"check column {quoted([schema.time or ''])}, and --time-unit (minutes, hours, days or months)"
    if span < SHORTEST_SPAN:
        return f"all {what} {span:,.0f} seconds; {advice}"
    if span > LONGEST_SPAN:
        return f"all {what} {span / UNITS['days'] / 365.25:,.0f} years; {advice}"
    return None


def _number(name: str, values: NDArray[np.float64]) -> str | None:
    known = values[~np.isnan(values)]
    if known.size and np.all(known == np.floor(known)) and float(np.median(np.abs(known))) >= LARGEST_NUMBER:
        return (
            f"column {quoted([name])} is used as a quantity and holds whole numbers of ten digits or more; if they "
            "name something, declare it with --identifiers, if they are times, leave it out"
        )
    return None


def _category(name: str, texts: NDArray[np.object_]) -> str | None:
    different = len(set(texts))
    if different > MOSTLY_DISTINCT * len(texts):
        return (
            f"column {quoted([name])} is used as a category and has {different:,} different texts in {len(texts):,} "
            "rows; declare it with --identifiers, or leave it out"
        )
    return None
