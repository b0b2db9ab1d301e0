"""Products of ciphertexts, for training: what `public.Evaluation` does, and sums of products on top of it.

A product has three polynomials and sums of such are cheap, so keys are switched and a prime is divided away once a sum.
"""

from __future__ import annotations

from collections.abc import Iterable

from tenseal import sealapi

from secure_fl.scoring.hazmat.public import Encrypted, Evaluation


class Products(Evaluation):
    """Arithmetic on ciphertexts of one key, products included; `keys` must hold relinearization keys."""

    def sum_of_products(self, pairs: Iterable[tuple[Encrypted, Encrypted]], plus: Encrypted | None = None) -> Encrypted:
        """Two polynomials again, one prime less. Primes of a pair may differ: the product is under the fewer.

        `plus`: is added before the division, at the scale of the products, under any primes.
        """
        total = self._added_up(self._product_of(left, right) for left, right in pairs)
        if plus is not None:
            self._evaluator.add_inplace(total, self._lowered(plus, total))
        self._evaluator.relinearize_inplace(total, self._relinearization)
        self.rescale(total)
        return total

    def _product_of(self, left: Encrypted, right: Encrypted) -> Encrypted:
        """Of three polynomials."""
        product = sealapi.Ciphertext()
        self._evaluator.multiply(self._lowered(left, right), self._lowered(right, left), product)
        return product

    def _lowered(self, value: Encrypted, like: Encrypted) -> Encrypted:
        """The value under no more primes than `like` has."""
        if value.coeff_modulus_size() <= like.coeff_modulus_size():
            return value
        lowered = sealapi.Ciphertext()
        self._evaluator.mod_switch_to(value, like.parms_id(), lowered)
        return lowered
