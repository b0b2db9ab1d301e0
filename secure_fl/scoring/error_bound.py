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

from dataclasses import dataclass
from math import prod

import numpy as np

from secure_fl.scoring.network import Linear, Matrix, Reach, SquareNetwork, Vector
from secure_fl.scoring.noise import FLOAT_ERROR, Noise


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


def noise_of(network: SquareNetwork, chain: Chain) -> Noise:
    """Of one batch of this network."""
    return Noise(chain.degree, sum(network.widths[1:]), sum(range(2, 2 + network.depth)))


def logit_error(network: SquareNetwork, chain: Chain, scales: Scales, reached: Reach) -> float | None:
    """The bound, but for 2**-FAILURE_BITS a batch; None where a value can leave the modulus, or weights vanish."""
    noise = noise_of(network, chain)
    inputs = len(reached.inputs)
    signal = _Signal(
        reached.inputs,
        noise.encoding / 2.0**scales.inputs + FLOAT_ERROR * np.full(inputs, reached.inputs.max()),
        noise.fresh / 2.0**scales.inputs * np.eye(inputs),
        2.0**scales.inputs,
    )
    primes = list(chain.data)
    for place, (layer, bits) in enumerate(zip(network.linears, scales.weights, strict=True)):
        weighed = _weighed(signal, layer, bits, reached.neurons[place])
        if weighed is None or not _fits(weighed, noise, primes, power=1):
            return None
        signal = weighed
        if place < network.depth:
            if not _fits(signal, noise, primes, power=2):
                return None
            assert chain.special is not None
            signal = _squared(signal, noise, noise.switching(tuple(primes), chain.special))
            signal = _rescaled(signal, noise, primes.pop())
    return float(_error(signal, noise)[0] + FLOAT_ERROR * signal.largest[0])


def _weighed(signal: _Signal, layer: Linear, bits: int, largest: Vector) -> _Signal | None:
    weights = rounded(layer, bits)
    if not weights.any(axis=1).all():
        return None
    size, scale = np.abs(weights), signal.scale * 2.0**bits
    fixed = size @ signal.fixed + np.abs(weights - layer.weights) @ signal.largest + 1 / scale
    return _Signal(largest, fixed, size @ signal.spread, scale)


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


def _fits(signal: _Signal, noise: Noise, primes: list[int], power: int) -> bool:
    """No coefficient exceeds the largest slot, whose parts are off by T each; powers of it below half the modulus."""
    with np.errstate(over="ignore"):
        largest = ((signal.largest + 2 * _error(signal, noise)) * signal.scale) ** power
    return bool((largest < prod(primes) / 2.01).all())
