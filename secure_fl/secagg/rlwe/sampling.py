"""The three distributions of Ring-LWE. All randomness is the operating system's, or AES-256's under a key from it.

*Ternary*: -1, 0 and 1 with equal probability, by rejection of bytes from 252 on. *Errors*: centred binomial, the
difference of two sums of 21 fair bits: variance 10.5, deviation 3.24, at most 21 (Alkim, Ducas, Poeppelmann, Schwabe,
"Post-quantum key exchange: a new hope", USENIX Security 2016, section 4.2; SEAL draws its errors in the same way).
*Uniform* modulo q: 54 bits of each word, by rejection.
"""

from __future__ import annotations

import secrets

import numpy as np

from secure_fl.secagg.hazmat.prg import SEED_BYTES, words
from secure_fl.secagg.rlwe.ring import DEGREE, MODULUS, MODULUS_BITS, Polynomials, Small

ERROR_BITS = 21
_BELOW = 252
"""The largest multiple of 3 that a byte can reach, so that each remainder is as likely."""
_ERROR_MASK = np.uint64((1 << ERROR_BITS) - 1)


def ternary(count: int) -> Small:
    """[count, N]."""
    wanted, drawn = count * DEGREE, np.empty(0, dtype=np.uint8)
    while len(drawn) < wanted:
        fresh = np.frombuffer(secrets.token_bytes(wanted + wanted // 16), dtype=np.uint8)
        drawn = np.concatenate([drawn, fresh[fresh < _BELOW]])
    return (drawn[:wanted] % 3).astype(np.int64).reshape(count, DEGREE) - 1


def errors(count: int) -> Small:
    """[count], each with a word of its own."""
    drawn = words(secrets.token_bytes(SEED_BYTES), count)
    heads, tails = drawn & _ERROR_MASK, drawn >> np.uint64(ERROR_BITS)
    tails &= _ERROR_MASK
    drawn_errors: Small = np.bitwise_count(heads).astype(np.int64)
    drawn_errors -= np.bitwise_count(tails)
    return drawn_errors


def uniform(seed: bytes) -> Polynomials:
    """[N], the same for everybody who has the seed."""
    candidates = words(seed, 2 * DEGREE) >> np.uint64(64 - MODULUS_BITS)
    return candidates[candidates < MODULUS][:DEGREE]  # of 2N, all but about 2**-37 are below q
