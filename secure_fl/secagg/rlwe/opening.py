"""The secret half of Ring-LWE, for key authorities alone: keys, and the opening of sums."""

from __future__ import annotations

import secrets
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from secure_fl.secagg.budget import HePlan, RlweParameters, RlwePlan
from secure_fl.secagg.hazmat.prg import SEED_BYTES
from secure_fl.secagg.he.halves import Halves
from secure_fl.secagg.packing import Words
from secure_fl.secagg.rlwe.encryption import RlwePublicKey
from secure_fl.secagg.rlwe.ring import DEGREE, MODULUS, Small, product, reduced, small_spectrum, spectrum
from secure_fl.secagg.rlwe.sampling import errors, ternary, uniform


class RlweSecretKey:
    """Ternary s_1 ... s_L, and the public key that belongs to them."""

    def __init__(self, s: Small, public: RlwePublicKey) -> None:
        """`s`: [L, N]."""
        self._s, self._spectra, self._public = s, small_spectrum(s), public

    def __repr__(self) -> str:
        return "RlweSecretKey(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an RlweSecretKey is never pickled; keep() is the one way to write it down")

    @classmethod
    def generate(cls, parameters: RlweParameters) -> RlweSecretKey:
        seed, s = secrets.token_bytes(SEED_BYTES), ternary(parameters.keys)
        noise = errors(s.size).reshape(s.shape)
        noise -= product(spectrum(uniform(seed)), small_spectrum(s)).view(np.int64)
        return cls(s, RlwePublicKey(seed, reduced(noise)))

    def keep(self) -> bytes:
        """The secret key and all else, for a key authority whose process does not last as long as its key."""
        return self._s.astype(np.int8).tobytes() + self._public.serialize()

    @classmethod
    def again(cls, parameters: RlweParameters, kept: bytes) -> RlweSecretKey:
        """The key that `keep` wrote down."""
        border = parameters.keys * DEGREE
        s = np.frombuffer(kept[:border], dtype=np.int8).astype(np.int64).reshape(parameters.keys, DEGREE)
        return cls(s, RlwePublicKey.load(kept[border:], parameters))

    def public_key(self) -> bytes:
        return self._public.serialize()

    def decrypt(self, plan: HePlan, total: Halves) -> NDArray[np.float64]:
        """All (d_i + c s_i) t / q: the messages, with noise below 1/2, in [-1/2, t - 1/2).

        In floating point, with a relative error of at most 2**-52: the plan's bound leaves room for that.
        """
        assert isinstance(plan, RlwePlan)
        t = float(1 << plan.message_bits)
        found = self.phases(plan, total).astype(np.float64)
        found *= t / MODULUS
        found[found >= t - 0.5] -= t
        return found

    def phases(self, plan: RlwePlan, total: Halves) -> Words:
        """All d_i + c s_i modulo q."""
        c = (total.second % np.uint64(MODULUS)).reshape(plan.ciphertexts, 1, DEGREE)
        products = np.concatenate([product(spectrum(each), self._spectra) for each in c]).reshape(-1)[: plan.slots]
        products += total.first
        products %= np.uint64(MODULUS)
        return products
