"""Instances without what is hidden in them: a commitment stays, which tells right numbers from wrong ones.

They are made in a process of their own, which has ended before an answer runs. So no process and no file holds the
hidden numbers then: the grader has, for each instance, a salt and scrypt (RFC 7914; 4 MiB and some 10 ms) of all its
hidden numbers together. Whoever reads that can only try lists of numbers. It protects what cannot be guessed:
`labs.lab` asks for 40 bits and more. In `examples/labs` it is 8 numbers of 7 bits or more, also where the sum of
one with an unknown other is seen; a test measures how they are spread. A student who has understood a defect and is
left with a list of candidates can use it to choose among them. It is no protection of a single number of few values.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from secure_fl.errors import ConfigurationError
from secure_fl.labs.apart import EndedEarly, apart
from secure_fl.labs.lab import Instance


@dataclass(frozen=True)
class Sealed:
    """An instance as the grader holds it."""

    seen: Any
    places: int
    """How many numbers are hidden."""
    salt: str
    digest: str

    def opens_with(self, numbers: Sequence[int]) -> bool:
        """Whether these are the hidden numbers."""
        return len(numbers) == self.places and _digest(numbers, self.salt) == self.digest


def sealed_instances(make: Callable[[], Instance], instances: int) -> list[Sealed]:
    """Fresh ones. Raises `ConfigurationError` where the lab fails."""
    try:
        made = apart(lambda: [_seal(*make()) for _ in range(instances)])
    except EndedEarly:
        raise ConfigurationError("the lab made no instances; mend its file, where the lines above say") from None
    return [Sealed(*each) for each in made]


def _seal(seen: Any, hidden: Sequence[int]) -> tuple[Any, int, str, str]:
    salt = secrets.token_hex(16)
    return seen, len(hidden), salt, _digest(hidden, salt)


def _digest(numbers: Sequence[int], salt: str) -> str:
    text = " ".join(map(str, numbers)).encode()
    return hashlib.scrypt(text, salt=bytes.fromhex(salt), n=1 << 12, r=8, p=1, dklen=32).hex()
