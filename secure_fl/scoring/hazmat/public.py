"""CKKS without a secret key: what the model owner computes with. The secret half is `secret`.

`Evaluation` holds the public parameters and evaluation keys, and cannot decrypt. Sums come first and each square is
rescaled once: a weighted sum costs no prime, whatever its length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
from tenseal import sealapi

from secure_fl.errors import MessageError
from secure_fl.scoring.hazmat.objects import SealObject, context, loaded
from secure_fl.scoring.network import Vector
from secure_fl.scoring.parameters import CkksParameters
from secure_fl.secagg.hazmat.he_layout import unreadable

Encrypted: TypeAlias = SealObject
"""One of SEAL's ciphertexts."""


def galois_elements(degree: int, steps: Sequence[int]) -> tuple[int, ...]:
    """3**step modulo 2N: the automorphism that rotates slots by so many steps."""
    return tuple(pow(3, step, 2 * degree) for step in steps)


def encoding_error(parameters: CkksParameters, slots: Vector, bits: int) -> Vector:
    """How far each slot is from what it should be once it is encoded at a scale of 2**bits, in absolute value."""
    encoder, plain = sealapi.CKKSEncoder(context(parameters)), sealapi.Plaintext()
    encoder.encode(slots.tolist(), 2.0**bits, plain)
    error: Vector = np.abs(np.array(encoder.decode_complex(plain)) - slots)
    return error


class Evaluation:
    """Arithmetic on ciphertexts of one key. `keys`: serialized, those for squares and then those for rotations,
    if there are any.
    """

    def __init__(self, parameters: CkksParameters, keys: Sequence[memoryview], steps: Sequence[int]) -> None:
        """Raises `MessageError` or `SecretExposureError`; `steps`: the rotations that Galois keys must allow."""
        self._parameters = parameters
        self._context = context(parameters)
        self._evaluator, self._encoder = sealapi.Evaluator(self._context), sealapi.CKKSEncoder(self._context)
        self._plain = sealapi.Plaintext()
        squaring = len(keys) > bool(steps)
        self._relinearization = loaded("relinearization keys", parameters, keys[0]) if squaring else None
        self._galois = loaded("galois keys", parameters, keys[-1], keys=len(steps)) if steps else None
        if self._galois is not None and not all(
            self._galois.has_key(element) for element in galois_elements(parameters.degree, steps)
        ):
            raise MessageError("the keys for rotations are others than the plan's; ask the data owner for them again")

    def load(self, data: memoryview, scale: float) -> Encrypted:
        """A new ciphertext at this scale. Raises `MessageError`."""
        made = loaded("new ciphertext", self._parameters, data)
        whole = made.size() == 2 and made.is_ntt_form() and made.scale == scale and not made.is_transparent()
        if not whole or tuple(made.parms_id()) != tuple(self._context.first_parms_id()):
            raise unreadable()
        return made

    def weighted_sum(self, values: Sequence[Encrypted], weights: Vector, scale: float, bias: float) -> Encrypted:
        """Sum of weights x values, plus the bias. Weights are whole numbers / `scale`; zeros are left out."""
        total = self._added_up(self._weighed(values, weights, scale))
        self.add_constant(total, bias)
        return total

    def _weighed(self, values: Sequence[Encrypted], weights: Vector, scale: float) -> Iterator[Encrypted]:
        for value, weight in zip(values, weights.tolist(), strict=True):
            if weight != 0:
                self._encoder.encode(weight, value.parms_id(), scale, self._plain)
                yield self._product(value, self._plain)

    def _product(self, value: Encrypted, plain: SealObject) -> Encrypted:
        product = sealapi.Ciphertext()
        self._evaluator.multiply_plain(value, plain, product)
        return product

    def _added_up(self, products: Iterable[Encrypted]) -> Encrypted:
        """One after the other, into the first."""
        rest = iter(products)
        total = next(rest)
        for product in rest:
            self._evaluator.add_inplace(total, product)
        return total

    def add_constant(self, value: Encrypted, constant: float) -> None:
        """To every slot, in place."""
        self._encoder.encode(constant, value.parms_id(), value.scale, self._plain)
        self._evaluator.add_plain_inplace(value, self._plain)

    def encode(self, slots: Vector, like: Encrypted, scale: float) -> SealObject:
        """A plaintext that can be multiplied with, or added to, ciphertexts under the same primes."""
        plain = sealapi.Plaintext()
        self._encoder.encode(slots.tolist(), like.parms_id(), scale, plain)
        return plain

    def encode_constant(self, number: complex, like: Encrypted, scale: float) -> SealObject:
        """The same number in every slot; exact where `pairs` says so."""
        plain = sealapi.Plaintext()
        self._encoder.encode(number, like.parms_id(), scale, plain)
        return plain

    def inner_product(self, values: Sequence[Encrypted], weights: Sequence[SealObject]) -> Encrypted:
        """Sum of products, slot by slot."""
        return self._added_up(self._product(*pair) for pair in zip(values, weights, strict=True))

    def add_rotated(self, value: Encrypted, steps: Sequence[int]) -> None:
        """In place, for each step: the value plus itself rotated by so many slots to the left."""
        for step in steps:
            turned = sealapi.Ciphertext()
            self._evaluator.rotate_vector(value, step, self._galois, turned)
            self._evaluator.add_inplace(value, turned)

    def add_plain(self, value: Encrypted, plain: SealObject) -> None:
        self._evaluator.add_plain_inplace(value, plain)

    def rescale(self, value: Encrypted) -> None:
        """In place: one prime is divided away."""
        self._evaluator.rescale_to_next_inplace(value)

    def square(self, value: Encrypted) -> None:
        """In place; two polynomials again."""
        self._evaluator.square_inplace(value)
        self._evaluator.relinearize_inplace(value, self._relinearization)

    def shrink(self, value: Encrypted, primes: int) -> None:
        """In place: only the first primes are kept."""
        while value.coeff_modulus_size() > primes:
            self._evaluator.mod_switch_to_next_inplace(value)
