"""A member of the committee: it has some parts of the key, and opens one sum in an attempt with them.

It adds up second polynomials itself, of uploads that their banks committed to and signed (`secagg.committed`).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import NoReturn

import numpy as np
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from secure_fl.errors import ConfigurationError
from secure_fl.secagg.budget.threshold import ThresholdPlan
from secure_fl.secagg.committed.checking import checked
from secure_fl.secagg.hazmat.collective import data_moduli
from secure_fl.secagg.hazmat.collective_secret import KeyPart, smudging
from secure_fl.secagg.hazmat.prg import SEED_BYTES
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.packing import Words
from secure_fl.secagg.threshold.wire import (
    OPEN,
    ciphertexts_of,
    cut_of,
    in_use,
    pack_first,
    read_request,
    sum_of_seconds,
)
from secure_fl.secagg.turns import OneAnswer


class MemberKey:
    """A member's parts, the key of its noise, and its memory of its answers."""

    def __init__(
        self,
        name: str,
        parts: Mapping[int, KeyPart],
        answers: OneAnswer | None = None,
        noise_key: bytes | None = None,
    ) -> None:
        """`noise_key`: as `keep_noise` gave it, where the member's memory is to outlive its process."""
        self.name, self.parts, self.answers = name, parts, answers or OneAnswer()
        self._noise = secrets.token_bytes(SEED_BYTES) if noise_key is None else noise_key
        if len(self._noise) != SEED_BYTES:
            raise ConfigurationError(f"the key of noise of {name} has {len(self._noise)} bytes; give {SEED_BYTES}")

    def __repr__(self) -> str:
        return f"MemberKey({self.name!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a MemberKey is never pickled; keep() of its parts and keep_noise() write it down")

    def keep_noise(self) -> bytes:
        """A secret: whoever has it takes the noise off this member's answers."""
        return self._noise

    def noise_for(self, asked: bytes, part: int) -> bytes:
        """The seed of a noise: for the same request in the same attempt it is the same.

        So asking again averages nothing away. In another attempt banks encrypt anew, and the noise is another.
        """
        return HKDF(SHA256(), SEED_BYTES, salt=None, info=b"secure_fl smudging" + bytes([part]) + asked).derive(
            self._noise
        )


class Member:
    """One member in one attempt. The difference of two sums could be one bank's update, so it opens one."""

    def __init__(self, cohort: Cohort[ThresholdPlan], key: MemberKey, directory: Mapping[str, bytes]) -> None:
        """`directory`: the banks' identity keys, which it knows by a way that the aggregator does not control."""
        self._cohort, self._key, self._directory = cohort, key, directory

    def respond(self, request: bytes) -> bytes:
        cohort, plan, name = self._cohort, self._cohort.plan, self._key.name
        message = open_message(cohort, request, recipient=name, sender=AGGREGATOR, stage=OPEN)
        wanted, uploads = read_request(cohort, name, message.payload)
        found = checked(cohort, cut_of(plan), self._directory, uploads, name)
        self._key.answers.answer(cohort, name, found.digest, lambda: found.digest)
        second = ciphertexts_of(plan, sum_of_seconds(plan, found.shown))
        given = [pack_first(plan, self._opened(found.digest, part, second)) for part in wanted]
        return seal(cohort, OPEN, name, AGGREGATOR, given)

    def _opened(self, asked: bytes, part: int, second: Words) -> Words:
        plan = self._cohort.plan
        seed = self._key.noise_for(self._cohort.digest + asked, part)
        found = in_use(plan, self._key.parts[part].times(second))
        found = found + smudging(plan.ring, seed, plan.smudging, plan.coefficients)
        reduced: Words = np.remainder(found, data_moduli(plan.ring).reshape(-1))
        return reduced
