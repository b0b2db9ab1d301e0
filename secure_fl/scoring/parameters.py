"""CKKS parameters and what they are worth: ring degree, primes, security.

Rings have N = 2048 to 16384 and N/2 slots. The primes are given by their sizes: *data primes*, of which each division
uses up the last one and the first stays to the end, and one *special prime* where keys are switched (after squares and
rotations). All of them together are the modulus that counts for security.

Security is 128 bits against classical attacks for ternary secrets, as in Bossuat et al., "Security Guidelines for
Implementing Homomorphic Encryption" (2024), which is stricter than SEAL's own table (Albrecht et al., "Homomorphic
Encryption Standard", 2018). Nothing beyond it can be made: `CkksParameters` refuses, whoever asks. Without a special
prime only the data primes are ever used, and count.
"""

from __future__ import annotations

from dataclasses import dataclass

from secure_fl.errors import PlanError

MODULUS_BITS = {2048: 53, 4096: 106, 8192: 214, 16384: 430}
"""The guidelines of 2024: the largest modulus for each degree, in bits."""
SEAL_MODULUS_BITS = {2048: 54, 4096: 109, 8192: 218, 16384: 438}
"""The standard of 2018, which SEAL enforces."""
LARGEST_PRIME_BITS, SMALLEST_PRIME_BITS = 60, 20


@dataclass(frozen=True)
class CkksParameters:
    """What a key is made for; all of it public. Raises `PlanError` where 128 bits of security are not reached."""

    degree: int
    data_bits: tuple[int, ...]
    special_bits: int | None = None
    """None where no keys are switched."""

    def __post_init__(self) -> None:
        limit = MODULUS_BITS.get(self.degree) if type(self.degree) is int else None
        if limit is None:
            raise PlanError(f"a ring of degree {self.degree!r} is not planned for; use one of {list(MODULUS_BITS)}")
        sizes = self.coeff_mod_bit_sizes
        if not self.data_bits or not all(
            type(bits) is int and SMALLEST_PRIME_BITS <= bits <= LARGEST_PRIME_BITS for bits in sizes
        ):
            raise PlanError(f"primes have {SMALLEST_PRIME_BITS} to {LARGEST_PRIME_BITS} bits; plan again")
        if self.modulus_bits > limit:
            raise PlanError(
                f"a modulus of {self.modulus_bits} bits at degree {self.degree} is not secure: 128 bits of security "
                f"allow {limit}; use smaller primes or a larger ring"
            )

    @property
    def coeff_mod_bit_sizes(self) -> tuple[int, ...]:
        """Data primes, special prime."""
        return self.data_bits if self.special_bits is None else (*self.data_bits, self.special_bits)

    @property
    def modulus_bits(self) -> int:
        return sum(self.coeff_mod_bit_sizes)

    @property
    def security(self) -> str:
        """For people."""
        allowed = MODULUS_BITS[self.degree]
        return f"{self.modulus_bits} of {allowed} bits that 128-bit security allows (Bossuat et al., 2024)"

    @property
    def slots(self) -> int:
        return self.degree // 2
