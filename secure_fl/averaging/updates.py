"""The updates of all banks, checked: whatever would make a mean meaningless is refused by the name of its place."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.averaging.arrays import ArrayType, array_type, comes_back_as_numpy, like, read
from secure_fl.averaging.encoding import Mean, MeanCodec, Range, Weight
from secure_fl.averaging.structures import Path, arrays_in, place, rebuilt, require_same_paths
from secure_fl.codec.quantization import FloatVector
from secure_fl.errors import ConfigurationError


class Updates:
    """One update for each bank, all of one structure."""

    def __init__(self, rows: list[Any]) -> None:
        """Raises `ConfigurationError`; values are looked at later, in `codec`."""
        self._first = rows[0]
        self._arrays = [arrays_in(row) for row in rows]
        self._types = _common_types(self._arrays)
        filled = [path for path, kind in self._types.items() if math.prod(kind.shape)]
        self._floats = [path for path in filled if not self._types[path].integer]
        self._integers = [path for path in filled if self._types[path].integer]
        if not filled:
            raise ConfigurationError("the updates hold no numbers; give arrays that are not empty")
        if not self._floats:
            raise ConfigurationError(
                "the updates hold integers only, whose mean would be rounded; convert them to floats, or use secure_sum"
            )

    def __len__(self) -> int:
        return len(self._arrays)

    @property
    def size(self) -> int:
        """Numbers in one update."""
        return sum(self._sizes(self._floats)) + sum(self._sizes(self._integers))

    def codec(self, bits: int, clip: float | None, weights: list[Weight] | None) -> MeanCodec:
        """How they are encoded: without `clip`, ranges are read off all updates.

        Raises `ConfigurationError` for NaN and infinity.
        """
        factors = [1.0] * len(self) if weights is None else [weight.value for weight in weights]
        own = [
            max(
                (Range.around(self._largest(row, path), factor) for row, factor in enumerate(factors)),
                key=lambda around: around.rank,
            )
            for path in self._floats
        ]
        return MeanCodec(
            bits=bits,
            sizes=self._sizes(self._floats),
            ranges=tuple(own if clip is None else [Range.exactly(clip)] * len(own)),
            clips=clip is not None,
            weighted=weights is not None,
            integer_sizes=self._sizes(self._integers),
            integer_bits=tuple(
                max(_magnitude(self._read(row, path)) for row in range(len(self))) for path in self._integers
            ),
        )

    def floats(self, row: int) -> list[FloatVector]:
        """One bank's arrays of floats, flat, as float64."""
        return [self._read(row, path) for path in self._floats]

    def integers(self, row: int) -> list[NDArray[Any]]:
        """One bank's arrays of integers and booleans, flat."""
        return [self._read(row, path) for path in self._integers]

    def rebuilt(self, mean: Mean) -> tuple[Any, Any, float]:
        """The mean in the structure of the updates; in the same structure its error bounds; the largest of these."""
        empty = [path for path, kind in self._types.items() if not math.prod(kind.shape)]
        values = {path: like(self._arrays[0][path], self._types[path], np.zeros(0)) for path in empty}
        bounds = dict.fromkeys(self._types, 0.0)
        for path, floats, bound in zip(self._floats, mean.floats, mean.float_bounds, strict=True):
            kind = self._types[path]
            values[path] = like(self._arrays[0][path], kind, floats)
            rounding = float(np.abs(read(values[path], kind) - floats).max())
            bounds[path] = math.nextafter(bound + rounding, math.inf) if bound else 0.0
        for path, integers, bound in zip(self._integers, mean.integers, mean.integer_bounds, strict=True):
            values[path] = like(self._arrays[0][path], self._types[path], integers)
            bounds[path] = bound
        return rebuilt(self._first, values), rebuilt(self._first, bounds), max(bounds.values())

    @property
    def notes(self) -> list[str]:
        """What happened to some of the arrays that one might not expect."""
        converted = [path for path, array in self._arrays[0].items() if comes_back_as_numpy(array)]
        notes = []
        if self._integers:
            notes.append(f"Integers have their exact mean, rounded, halves to the even one: {_listed(self._integers)}.")
        if converted:
            notes.append(f"Arrays came back as numpy: {_listed(converted)}.")
        return notes

    def _read(self, row: int, path: Path) -> NDArray[Any]:
        return read(self._arrays[row][path], self._types[path])

    def _sizes(self, paths: Iterable[Path]) -> tuple[int, ...]:
        return tuple(math.prod(self._types[path].shape) for path in paths)

    def _largest(self, row: int, path: Path) -> float:
        """The largest magnitude in one array of floats."""
        largest = float(np.abs(self._read(row, path)).max())
        if not math.isfinite(largest):
            raise ConfigurationError(
                f"updates[{row}]{place(path)} holds NaN or infinity; leave that bank out, or train it again"
            )
        return largest


def _common_types(arrays: list[dict[Path, Any]]) -> Mapping[Path, ArrayType]:
    """The type at each path. Raises `ConfigurationError` unless all updates have the same paths and types."""
    first: dict[Path, ArrayType] = {}
    for row, update in enumerate(arrays):
        require_same_paths(row, update, arrays[0])
        for path, array in update.items():
            kind = array_type(array, f"updates[{row}]{place(path)}")
            if first.setdefault(path, kind) != kind:
                raise ConfigurationError(
                    f"updates[{row}]{place(path)} is {kind} and updates[0]{place(path)} is {first[path]}; give updates "
                    "of the same shapes and types"
                )
    return first


def _magnitude(integers: NDArray[Any]) -> int:
    """The smallest m for which all lie within +-2**m."""
    largest = max(abs(int(integers.min())), abs(int(integers.max())))
    return max(largest - 1, 0).bit_length()


def _listed(paths: list[Path]) -> str:
    shown = ", ".join(place(path) or "the update" for path in paths[:_SHOWN])
    return shown if len(paths) <= _SHOWN else f"{shown} and {len(paths) - _SHOWN} more"


_SHOWN = 3
"""Arrays that a note lists."""
