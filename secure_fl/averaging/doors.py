"""`secure_mean` and `secure_sum`: every message goes through the scheme's client and server halves (`simulate`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.averaging.arrays import array_type, read
from secure_fl.averaging.encoding import MeanCodec, Weight, relative_weights
from secure_fl.averaging.outcomes import SecureMean, SecureTotal
from secure_fl.averaging.updates import Updates
from secure_fl.codec.quantization import FloatVector, require_clip
from secure_fl.errors import ConfigurationError
from secure_fl.secagg import Simulation, plan, simulate
from secure_fl.secagg.budget import MAX_BITS


@dataclass(frozen=True)
class _Asked:
    """Which sum."""

    scheme: str
    bits: int
    threshold: int | None
    holders: int | None
    quorum: int | None
    witnesses: int

    def require_plan(self, banks: int, parameters: int) -> None:
        """Raises `PlanError` or `ConfigurationError` for a sum that cannot be."""
        planned = plan(
            self.scheme,
            banks,
            parameters,
            self.bits,
            self.threshold,
            holders=self.holders,
            quorum=self.quorum,
            witnesses=self.witnesses,
        )
        if planned.bits is None:
            raise ConfigurationError(
                "nothing but whole numbers is summed here; give bits as a whole number, not float32"
            )

    def simulate(self, encoded: NDArray[Any], bits: int, drop: Mapping[int, str] | None) -> Simulation:
        return simulate(
            self.scheme,
            encoded,
            bits,
            self.threshold,
            drop,
            holders=self.holders,
            quorum=self.quorum,
            witnesses=self.witnesses,
        )


def secure_mean(
    updates: Iterable[Any],
    weights: Sequence[float] | NDArray[Any] | None = None,
    scheme: str = "ckks",
    bits: int = 16,
    clip: float | None = None,
    threshold: int | None = None,
    drop: Mapping[int, str] | None = None,
    seed: int | None = None,
    *,
    holders: int | None = None,
    quorum: int | None = None,
    witnesses: int = 0,
) -> SecureMean:
    """The mean of what several banks hold, summed under a scheme: `custody` says who then can read what.

    `updates`: one for each bank, three or more, all of one structure: an array, or a mapping (such as a `state_dict`),
    list or tuple of such. Arrays are numpy's, torch's (of any device and memory layout; gradients are ignored), or
    whatever else has `__array__`, of type float16, bfloat16, float32, float64, integer or bool. The mean has the first
    update's structure, order of keys, types, devices and dtypes; arrays of other libraries come back as numpy.

    `weights`: numbers from zero, such as numbers of examples, for a weighted mean. They travel like the updates, which
    each bank multiplies by its own; all parties see their total over the contributors. `bits`: of a quantized number.
    `threshold`: the fewest banks whose sum may be opened. `drop`: for a row number, the first stage that this bank no
    longer answers. `seed`: repeats the draws of stochastic rounding, which are no secret; keys are never seeded.
    `holders`, `quorum`: how many share what opens the sum (additive, ckks, bfv), and how many of them open it.
    `witnesses`: how many vouch to a key authority for what it opens.

    *Integers and booleans* (batch norm counts batches in one) get their exact mean over the contributors, weighted as
    all else, rounded to the nearest integer, halves to the even one: a counter that is the same everywhere stays, and a
    flag becomes what most say. They cost more fields than floats do.

    *Ranges are public.* By default each array of floats has as its range the smallest power of two that no number in
    it, times its bank's weight, exceeds at any bank, so that nothing is clipped; so have integers, and the weights. In
    this process they are read off the updates. Where banks are apart, they must agree on these powers of two first: so
    much of the largest number of each array becomes known, if not whose it is, and says the more the smaller the array.
    With `clip`, all arrays of floats have the range [-clip, clip] instead, which says nothing: numbers beyond it count
    as its edge, how many there are is added up in the sum, and the error bound is towards the mean of what is left.

    Two means over nearly the same banks differ by one bank's update, and the mean itself is not protected: that is a
    matter for differential privacy.

    Raises `ConfigurationError` or `PlanError` for what cannot be averaged, before anything is encrypted, and
    `DropoutError` where fewer banks than the threshold are left, or only some without weight.
    """
    rng = np.random.default_rng(seed)
    asked = _Asked(scheme, bits, threshold, holders, quorum, witnesses)
    return _mean(_rows(updates, "updates"), weights, asked, clip, drop, rng)


def _mean(
    rows: list[Any],
    weights: Sequence[float] | NDArray[Any] | None,
    asked: _Asked,
    clip: float | None,
    drop: Mapping[int, str] | None,
    rng: np.random.Generator,
) -> SecureMean:
    """As `secure_mean`, of one entry for each bank."""
    asked.require_plan(len(rows), 1)
    checked = Updates(rows)
    asked.require_plan(len(rows), checked.size)
    shares = None if weights is None else _weights(weights, len(rows))
    codec = checked.codec(int(asked.bits), None if clip is None else _clip(clip), shares)
    asked.require_plan(len(rows), codec.length)

    encoded = _encoded(checked, codec, shares, rng)
    simulation = asked.simulate(encoded, codec.bits, drop)
    mean = codec.decode(simulation.total, len(simulation.contributors))

    value, error_bounds, error_bound = checked.rebuilt(mean)
    notes = [*checked.notes, *_two_banks(simulation, shares)]
    if clip is not None:
        notes.append(
            f"The error bound is towards the mean of the clipped updates. Numbers that were clipped: {mean.clipped:,}."
        )
    return SecureMean(value, error_bounds, error_bound, simulation=simulation, notes=tuple(notes))


def secure_sum(
    integers: Iterable[Any],
    scheme: str = "masked",
    bits: int = 8,
    threshold: int | None = None,
    drop: Mapping[int, str] | None = None,
    *,
    holders: int | None = None,
    quorum: int | None = None,
    witnesses: int = 0,
) -> SecureTotal:
    """The exact sum over banks of integers in [0, 2**bits), under any scheme.

    `integers`: [banks, ...], an array, a list with one array (or nested lists of numbers) for each bank, all of one
    shape. `total` is int64 of shape [...]. `threshold`, `drop`, `holders`, `quorum` and `witnesses` are those of
    `secure_mean`.

    Raises `ConfigurationError` or `PlanError` for what cannot be added, and `DropoutError` where fewer banks than the
    threshold are left.
    """
    rows = _rows(integers, "integers")
    asked = _Asked(scheme, bits, threshold, holders, quorum, witnesses)
    asked.require_plan(len(rows), 1)
    arrays = [_integers(row, number, int(bits)) for number, row in enumerate(rows)]
    shapes = [array.shape for array in arrays]
    for number, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise ConfigurationError(
                f"integers[{number}] has the shape {list(shape)} and integers[0] {list(shapes[0])}; give one shape"
            )
    if arrays[0].size == 0:
        raise ConfigurationError("the arrays of integers are empty; give some that hold numbers")
    simulation = asked.simulate(np.stack([array.ravel() for array in arrays]), int(bits), drop)
    return SecureTotal(
        simulation.total.reshape(shapes[0]), simulation=simulation, notes=tuple(_two_banks(simulation, None))
    )


def _rows(banks: Iterable[Any], name: str) -> list[Any]:
    """What each bank gives. Raises `ConfigurationError` for anything that is not one thing after another."""
    if isinstance(banks, Mapping):
        raise ConfigurationError(f"{name} is one mapping; give a list with one entry for each bank")
    try:
        return list(banks)
    except TypeError:
        raise ConfigurationError(
            f"{name} is of type {type(banks).__name__}; give a list with one entry for each bank"
        ) from None


def _encoded(
    updates: Updates, codec: MeanCodec, weights: list[Weight] | None, rng: np.random.Generator
) -> NDArray[np.int32]:
    """All banks' vectors, [banks, codec.length]. Raises `ConfigurationError` where they do not fit into memory."""
    try:
        encoded = np.empty((len(updates), codec.length), dtype=np.int32)
        for row in range(len(updates)):
            weight = None if weights is None else weights[row]
            encoded[row] = codec.encode(updates.floats(row), updates.integers(row), weight, rng)
    except MemoryError:
        raise ConfigurationError(
            f"{len(updates)} updates of {codec.length:,} fields do not fit into memory; average them in parts"
        ) from None
    return encoded


def _weights(weights: Sequence[float] | NDArray[Any], banks: int) -> list[Weight]:
    """Raises `ConfigurationError`."""
    try:
        numbers: FloatVector = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        raise ConfigurationError("the weights are not plain numbers; give a list with one for each bank") from None
    if numbers.shape != (banks,):
        raise ConfigurationError(
            f"weights of shape {list(numbers.shape)} do not fit {banks} updates; give one for each bank"
        )
    wrong = np.flatnonzero(~(np.isfinite(numbers) & (numbers >= 0)))
    if len(wrong):
        raise ConfigurationError(f"weights[{wrong[0]}] is negative or not finite; give numbers from zero")
    if not numbers.any():
        raise ConfigurationError("all weights are zero; give at least three banks a weight above it")
    return relative_weights(numbers)


def _clip(clip: object) -> float:
    """Raises `ConfigurationError`."""
    if isinstance(clip, bool) or not isinstance(clip, Real):
        raise ConfigurationError(f"a clip range of type {type(clip).__name__} is refused; give a positive number")
    require_clip(float(clip))
    return float(clip)


def _integers(row: Any, number: int, bits: int) -> NDArray[np.int32]:
    """One bank's integers. Raises `ConfigurationError` unless each lies in [0, 2**bits)."""
    where = f"integers[{number}]"
    if isinstance(row, Mapping):
        raise ConfigurationError(f"{where} is a mapping; give an array of integers")
    if isinstance(row, (list, tuple, int)):
        try:
            row = np.asarray(row)
        except ValueError:
            raise ConfigurationError(f"{where} has rows of several lengths; give one shape") from None
    kind = array_type(row, where)
    if not kind.integer:
        raise ConfigurationError(f"{where} is {kind}; use secure_mean for floats")
    if kind.dtype == "bool":
        raise ConfigurationError(f"{where} holds booleans; convert them to integers to have them counted")
    values = read(row, kind)
    if values.size and values.min() < 0:
        raise ConfigurationError(
            f"{where} holds negative numbers; add an offset to all, and subtract it from the total once for each of "
            "the contributors"
        )
    if values.size and values.max() >= 1 << bits:
        raise ConfigurationError(f"{where} holds numbers from 2**{bits} on; use more bits, up to {MAX_BITS}")
    return values.astype(np.int32).reshape(kind.shape)


def _two_banks(simulation: Simulation, weights: list[Weight] | None) -> list[str]:
    """A warning where so few banks are in a sum that they know each other's part."""
    counted = [row for row in simulation.contributors if weights is None or weights[row].numerator]
    if len(counted) > 2:
        return []
    if len(counted) == 1:
        return ["Only one bank in it has a weight above zero: this is its update."]
    return ["Only two banks count in it: each can subtract its own part, and has the other's."]
