"""A bound on the error of a logit, for all rows of the clip range: what the planner refuses or allows by.

Followed through the network, per neuron, in units of the value itself:

    reach       the largest |z| over all inputs (`network.reach`)
    fixed       what encodings and rounded weights can add at worst, and what squares make of it
    spread      the absolute weight of every independent noise: a column for each input's encryption error, and for each
                neuron's rounding after a square; |noise| <= tail x the Euclidean norm of the row

    linear      fixed' = |W| fixed + |W_rounded - W| h + bias / 2;   spread' = |W| spread
    square      (z + e)**2 - z**2 = 2 z e + e**2, e complex:  fixed' = 2 |z| fixed + 2 T**2;   spread' = 2 |z| spread,
                with T = fixed + tail x norm, and the noise of switching keys on top of fixed
    rescale     a new column for each neuron

Weights are constants of a polynomial, so their rounding is known to the model owner exactly. Given the inputs, noise is
a linear form up to T**2; its worst weights over all inputs are taken. Everything must stay below half the modulus.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import NamedTuple

import numpy as np

from secure_fl.scoring.network import Linear, Matrix, Reach, SquareNetwork, Vector, alike
from secure_fl.scoring.noise import FLOAT_ERROR, Noise
from secure_fl.scoring.pairs import rounded_pairs

ENCODING_ROOM = 8
"""SEAL encodes no number whose bits, and two more, reach those of the modulus."""
_OF_PAIRS = math.sqrt(2)
"""The largest slot with two features, beside the larger of both."""
_DOUBLE_ERROR = 2.0**-52
"""Of a bias times its scale."""

_ALIKE = 9
"""Digits of a bias: neurons that differ in later ones only count as the same, z being about 1 at most."""


@dataclass(frozen=True)
class Chain:
    """The primes themselves."""

    degree: int
    data: tuple[int, ...]
    special: int | None


@dataclass(frozen=True)
class Scales:
    """Powers of two that real numbers are multiplied by before they are rounded to integers."""

    inputs: int
    weights: tuple[int, ...]
    """Of each layer."""


@dataclass(frozen=True, eq=False)
class _Signal:
    """Neurons, and what is wrong with them."""

    largest: Vector
    fixed: Vector
    spread: Matrix
    scale: float


def rounded(layer: Linear, bits: int) -> Matrix:
    """The weights as they are multiplied with."""
    weights: Matrix = np.rint(layer.weights * 2.0**bits) / 2.0**bits
    return weights


@dataclass(frozen=True, eq=False)
class Weighing:
    """How one layer is computed: its weights as they are multiplied with, and what that adds."""

    size: Matrix
    """Absolute values of the multipliers."""
    difference: Matrix
    """Absolute values of what they differ from the weights by."""
    bits: int
    bias: float
    """The largest absolute value that is added to a sum."""
    vanishes: bool
    """Whether a sum has no weight left, also of equal ciphertexts: SEAL refuses a result that encrypts nothing."""
    rotations: int = 0
    """How often noise of switched keys is added up in a sum over slots."""
    elsewhere: float = 1.0
    """How many times larger than z other slots, which nobody reads, may be."""
    rescaled: bool = False
    """Whether a prime is divided away before the square."""
    divisions: int = 1
    """How many are divided away after it."""


def batched_weighings(
    network: SquareNetwork, scales: Scales, divisions: int = 1, paired: bool = False
) -> list[Weighing]:
    """Weights are constants: their rounding is a number."""
    found, same = [], np.eye(network.widths[0])
    for layer, bits in zip(network.linears, scales.weights, strict=True):
        multipliers = rounded_pairs(layer.weights, bits) if paired else rounded(layer, bits)
        difference = np.abs(multipliers - layer.weights)
        vanishes = _vanishes(multipliers, same)
        same = alike(np.column_stack([multipliers @ same, np.round(layer.bias, _ALIKE)]))
        bias = float(np.abs(layer.bias).max())
        elsewhere = _OF_PAIRS if paired else 1.0
        found.append(
            Weighing(np.abs(multipliers), difference, bits, bias, vanishes, elsewhere=elsewhere, divisions=divisions)
        )
    return found


def _vanishes(multipliers: Matrix, same: Matrix) -> bool:
    """Whether a sum encrypts nothing, at its end or on the way; `same`: which of its terms are alike."""
    begun = np.cumsum(multipliers != 0, axis=1) > 0
    if not begun[:, -1].all():
        return True
    if same.shape[0] == same.shape[1]:
        return False
    sums = np.cumsum(multipliers[:, :, None] * same, axis=1)
    return not (sums.any(axis=2) | ~begun).all()


def logit_error(
    network: SquareNetwork, chain: Chain, scales: Scales, reached: Reach, paired: bool = False
) -> float | None:
    """The bound in a batch, but for 2**-FAILURE_BITS; None where a value can leave the modulus, or weights vanish.

    `paired`: whether two features share a slot, x + i y under the weight v - i w. The real part of noise times that
    deviates by no more than v and w times noises of their own; the slot itself is up to sqrt(2) times as large.
    """
    neurons = sum(network.widths[1:])
    noise = Noise(chain.degree, neurons, sum(range(2, 2 + network.depth)), neurons)
    weighings = batched_weighings(network, scales, paired=paired)
    return followed(weighings, chain, scales.inputs, reached, noise)


def followed(weighings: list[Weighing], chain: Chain, inputs: int, reached: Reach, noise: Noise) -> float | None:
    """The same for any way of computing the layers."""
    sums = _sums(weighings, chain, _encrypted(inputs, reached, noise), reached.neurons, noise)
    return None if sums is None else float(_error(sums[-1], noise)[0] + _OF_PAIRS * FLOAT_ERROR * sums[-1].largest[0])


class Deviations(NamedTuple):
    """Of an encrypted logit, each part of a slot, from what it could be compared with."""

    plain: float
    """The logit of the model itself on the rows themselves."""
    rounded: float
    """That of the model with its weights and biases as they are multiplied and added, on rows as they were encoded.
    That is a function of weights and rows; what it is off by tells more of the weights."""


def deviations(weighings: list[Weighing], chain: Chain, inputs: int, reached: Reach, noise: Noise) -> Deviations | None:
    """Bounds in a batch, but for 2**-noise.failure_bits; None as for `logit_error`."""
    first = _encrypted(inputs, reached, noise)
    sums = _sums(weighings, chain, first, reached.neurons, noise)
    if sums is None:
        return None
    # Neurons of the rounded model are no further from the plain ones than encrypted ones can be: T in each part.
    neurons = [signal.largest + 2 * _error(signal, noise) for signal in sums]
    exact = [replace(weighing, difference=np.zeros_like(weighing.difference), bias=0.0) for weighing in weighings]
    again = _sums(exact, chain, replace(first, fixed=np.zeros_like(first.fixed)), neurons, noise)
    if again is None:
        return None
    plain = _error(sums[-1], noise)[0] + FLOAT_ERROR * sums[-1].largest[0]
    return Deviations(float(plain), float(_error(again[-1], noise)[0]))


def _encrypted(inputs: int, reached: Reach, noise: Noise) -> _Signal:
    """Rows as they arrive."""
    return _Signal(
        reached.inputs,
        noise.encoding / 2.0**inputs + _OF_PAIRS * FLOAT_ERROR * np.full(len(reached.inputs), reached.inputs.max()),
        noise.fresh / 2.0**inputs * np.eye(len(reached.inputs)),
        2.0**inputs,
    )


def _sums(
    weighings: list[Weighing], chain: Chain, signal: _Signal, neurons: Sequence[Vector], noise: Noise
) -> list[_Signal] | None:
    """The weighted sums of each layer; None where a value can leave the modulus, or weights vanish."""
    primes, found = list(chain.data), []
    if signal.largest.max() * signal.scale * ENCODING_ROOM > prod(primes):
        return None
    for place, (weighing, largest) in enumerate(zip(weighings, neurons, strict=True)):
        last = place == len(weighings) - 1
        if weighing.vanishes:
            return None
        signal = _weighed(signal, weighing, largest, noise, (tuple(primes), chain.special))
        found.append(signal)
        if not _fits(signal, noise, primes, 1, weighing.elsewhere):
            return None
        if max(weighing.size.max() * 2.0**weighing.bits, weighing.bias * signal.scale) * ENCODING_ROOM > prod(primes):
            return None
        if not last:
            signal = _rescaled(signal, noise, primes.pop()) if weighing.rescaled else signal
            if not _fits(signal, noise, primes, 2, weighing.elsewhere):
                return None
            signal = _squared(signal, noise, _switching(noise, (tuple(primes), chain.special)))
            for _ in range(weighing.divisions):
                signal = _rescaled(signal, noise, primes.pop())
    return found


def _weighed(
    signal: _Signal, weighing: Weighing, largest: Vector, noise: Noise, primes: tuple[tuple[int, ...], int | None]
) -> _Signal:
    scale = signal.scale * 2.0**weighing.bits
    added = 1 / scale + _DOUBLE_ERROR * weighing.bias
    fixed = weighing.size @ signal.fixed + weighing.difference @ signal.largest + added
    if weighing.rotations:
        fixed = fixed + weighing.rotations * _switching(noise, primes) / scale
    return _Signal(largest, fixed, weighing.size @ signal.spread, scale)


def _switching(noise: Noise, primes: tuple[tuple[int, ...], int | None]) -> float:
    data, special = primes
    assert special is not None
    return noise.switching(data, special)


def _squared(signal: _Signal, noise: Noise, switching: float) -> _Signal:
    scale, twice = signal.scale**2, 2 * signal.largest
    fixed = twice * signal.fixed + 2 * _error(signal, noise) ** 2 + switching / scale
    return _Signal(signal.largest**2, fixed, twice[:, None] * signal.spread, scale)


def _rescaled(signal: _Signal, noise: Noise, prime: int) -> _Signal:
    scale = signal.scale / prime
    new = noise.rounding / scale * np.eye(len(signal.fixed))
    return _Signal(signal.largest, signal.fixed, np.hstack([signal.spread, new]), scale)


def _error(signal: _Signal, noise: Noise) -> Vector:
    """T of each neuron."""
    error: Vector = signal.fixed + noise.tail * np.sqrt((signal.spread**2).sum(axis=1))
    return error


def _fits(signal: _Signal, noise: Noise, primes: list[int], power: int, elsewhere: float) -> bool:
    """No coefficient exceeds the largest slot, whose parts are off by T each; powers of it below half the modulus.

    The scale itself must be, too, however small the values are: SEAL takes no other.
    """
    with np.errstate(over="ignore"):
        slots = np.maximum((signal.largest + 2 * _error(signal, noise)) * elsewhere, 1.0)
        largest = (slots * signal.scale) ** power
    return bool((largest < prod(primes) / 2.01).all())
