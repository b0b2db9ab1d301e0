"""A member of the committee: it has some parts of the key, and opens one sum in an attempt with them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import numpy as np
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from secure_fl.errors import DropoutError
from secure_fl.secagg.budget.threshold import ThresholdPlan
from secure_fl.secagg.hazmat.collective import data_moduli
from secure_fl.secagg.hazmat.collective_secret import KeyPart, smudging
from secure_fl.secagg.hazmat.prg import SEED_BYTES
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.packing import Words
from secure_fl.secagg.threshold.wire import (
    OPEN,
    Asked,
    ciphertexts_of,
    in_use,
    pack_first,
    read_request,
    unpack_words,
)
from secure_fl.secagg.turns import OneAnswer


class MemberKey:
    """A member's parts, the key of its noise, and its memory of its answers."""

    def __init__(self, name: str, parts: Mapping[int, KeyPart], answers: OneAnswer | None = None) -> None:
        self.name, self.parts, self.answers = name, parts, answers or OneAnswer()
        self._noise = secrets.token_bytes(SEED_BYTES)

    def __repr__(self) -> str:
        return f"MemberKey({self.name!r})"

    def noise_for(self, asked: bytes, part: int) -> bytes:
        """The seed of a noise: for the same request it is the same, so that asking again averages nothing away."""
        return HKDF(SHA256(), SEED_BYTES, salt=None, info=b"secure_fl smudging" + bytes([part]) + asked).derive(
            self._noise
        )


class Member:
    """One member in one attempt. The difference of two sums could be one bank's update, so it opens one."""

    def __init__(self, cohort: Cohort[ThresholdPlan], key: MemberKey) -> None:
        self._cohort, self._key = cohort, key

    def respond(self, request: bytes) -> bytes:
        cohort, plan, name = self._cohort, self._cohort.plan, self._key.name
        message = open_message(cohort, request, recipient=name, sender=AGGREGATOR, stage=OPEN)
        asked = read_request(cohort, name, message.payload)
        if not plan.threshold <= asked.contributors <= plan.banks:
            raise DropoutError(
                f"{name} was asked to open a sum of {asked.contributors} banks and opens sums of {plan.threshold} to "
                f"{plan.banks}; wait for more banks or plan again"
            )
        second = ciphertexts_of(plan, unpack_words(plan.ring, plan.second, memoryview(asked.summed)))
        self._key.answers.answer(cohort, name, asked.digest, lambda: asked.digest)
        given = [pack_first(plan, self._opened(asked, part, second)) for part in asked.wanted]
        return seal(cohort, OPEN, name, AGGREGATOR, given)

    def _opened(self, asked: Asked, part: int, second: Words) -> Words:
        plan = self._cohort.plan
        seed = self._key.noise_for(self._cohort.digest + asked.digest, part)
        found = in_use(plan, self._key.parts[part].times(second))
        found = found + smudging(plan.ring, seed, plan.smudging, plan.coefficients)
        reduced: Words = np.remainder(found, data_moduli(plan.ring).reshape(-1))
        return reduced
