"""Noise that drowns what an answer would tell of the weights: a uniform integer for each coefficient.

Who decrypts an answer sees a polynomial of N integers, P = F + e. F is what the rounded model gives for rows as they
were encoded: a function of their scores alone. (Not of those of the rows themselves: encoding is done in float64, and
what it makes of a number, a complex one 2**-50 away, shows in F beyond the flood.) e is all else: noise of the inputs,
multiplied by weights; rounding after squares; switched keys; a new encryption of zero. The model owner adds f, uniform
in [-2**(b-1), 2**(b-1)), to each coefficient, and

    distance(P + f, round(F) + f)  <=  sum over i of |P_i - round(F_i)| / 2**b           two intervals, shifted
                                   <=  (|e|_1 + N/2) / 2**b  <=  (sqrt(N) E + N/2) / 2**b

where E bounds |e| in every slot, since |e|_1 <= sqrt(N) |e|_2 and, over the N/2 slots, |e|_2**2 = 2/N sum |e(slot)|**2
<= E**2. Distance is statistical (total variation); round(F) + f can be drawn from the scores, without the weights.
Distances of several answers add up, also where rows depend on answers before. This is the smudging lemma of Asharov,
Jain, Lopez-Alt, Tromer, Vaikuntanathan, Wichs, "Multiparty Computation with Low Communication, Computation and
Interaction via Threshold FHE", EUROCRYPT 2012. Gaussian noise would need some 6 bits less for the same distance;
uniform noise is exact, whatever its width, and as fast as the operating system's randomness.
"""

from __future__ import annotations

import math
import secrets

from secure_fl.scoring.noise import Noise

HIDING_BITS = 40
"""What an answer's holder sees is within 2**-HIDING_BITS of what scores of encoded rows alone would give it."""
SHARE_BITS = HIDING_BITS + 1
"""Half of that distance is for flooding, half for bounds of noise that fail."""


def distance(bits: int, degree: int, deviation: float) -> float:
    """The largest statistical distance of one answer; `deviation`: E, the largest |e| in a slot, before any scale."""
    return (math.sqrt(degree) * deviation + degree / 2) / 2.0**bits


def flooding_bits(degree: int, deviation: float) -> int:
    """The smallest b for a distance of 2**-SHARE_BITS."""
    return SHARE_BITS + ceil_log2(distance(0, degree, deviation))


def ceil_log2(number: float) -> int:
    """The smallest e with number <= 2**e, exactly."""
    mantissa, exponent = math.frexp(number)
    return exponent - (mantissa == 0.5)


def flooding_error(bits: int, noise: Noise) -> float:
    """A bound on the flood in a slot, each part, in units of integers: uniform numbers are strictly subgaussian."""
    deviation = 2.0**bits * math.sqrt(noise.degree / 2 / 12)
    return noise.tail * deviation + noise.encoding  # the middle of the interval is at -1/2


def draw_flood(bits: int, count: int) -> list[int]:
    """Integers in [-2**(bits-1), 2**(bits-1)), from the operating system."""
    size = -(-bits // 8)
    drawn, spare, middle = secrets.token_bytes(size * count), 8 * size - bits, 1 << (bits - 1)
    return [
        (int.from_bytes(drawn[start : start + size], "little") >> spare) - middle
        for start in range(0, size * count, size)
    ]
