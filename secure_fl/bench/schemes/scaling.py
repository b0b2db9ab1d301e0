"""How cost grows: the exponent a of cost ~ size**a, by least squares on logarithms."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from secure_fl.bench.schemes.rows import Row

Against = Literal["banks", "parameters"]

SCALE_BANKS = (3, 10, 30, 100, 300, 1_000)
SCALE_BANKS_PARAMETERS = 10_369
SCALE_PARAMETERS = (10_000, 100_000, 1_000_000, 10_000_000)
SCALE_PARAMETERS_BANKS = 3


@dataclass(frozen=True)
class Fit:
    """Exponents of one scheme or peer against one size, the other held fixed."""

    scheme: str
    peer: bool
    bits: int | str
    title: str
    against: Against
    fixed: int
    """The size that did not change: parameters where `against` is banks, and the reverse."""
    sizes: tuple[int, ...]
    client_seconds: float
    server_seconds: float
    upload_bytes: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def scale_sizes() -> list[tuple[int, int]]:
    """The sizes of `--scale`: (banks, parameters)."""
    by_banks = [(banks, SCALE_BANKS_PARAMETERS) for banks in SCALE_BANKS]
    return by_banks + [(SCALE_PARAMETERS_BANKS, parameters) for parameters in SCALE_PARAMETERS]


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The slope of log(cost) over log(size)."""
    x, y = [math.log(size) for size in sizes], [math.log(cost) for cost in costs]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    covariance = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return covariance / sum((a - mean_x) ** 2 for a in x)


def series(rows: Sequence[Row], against: Against) -> list[list[Row]]:
    """Measured rows that differ in one size only, smallest first; at least two in each list."""
    groups: defaultdict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        if row.measured:
            groups[row.scheme, row.peer, row.bits, _other(row, against)].append(row)
    ordered = [sorted(group, key=lambda row: _size(row, against)) for group in groups.values()]
    return [group for group in ordered if len({_size(row, against) for row in group}) > 1]


def fit_all(rows: Sequence[Row]) -> tuple[Fit, ...]:
    """Every fit that the rows allow."""
    sides: tuple[Against, ...] = ("banks", "parameters")
    return tuple(_fit(group, against) for against in sides for group in series(rows, against))


def _fit(group: Sequence[Row], against: Against) -> Fit:
    sizes = tuple(_size(row, against) for row in group)

    def against_size(figure: str) -> float:
        return round(exponent(sizes, [max(getattr(row, figure), 1e-9) for row in group]), 3)

    first = group[0]
    return Fit(
        scheme=first.scheme,
        peer=first.peer,
        bits=first.bits,
        title=first.title,
        against=against,
        fixed=_other(first, against),
        sizes=sizes,
        client_seconds=against_size("client_seconds"),
        server_seconds=against_size("server_seconds"),
        upload_bytes=against_size("upload_bytes"),
    )


def _size(row: Row, against: Against) -> int:
    return row.banks if against == "banks" else row.parameters


def _other(row: Row, against: Against) -> int:
    return row.parameters if against == "banks" else row.banks
