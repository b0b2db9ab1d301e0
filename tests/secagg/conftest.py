"""What the tests of secure sums share: one round of each kind of message, moved by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

from secure_fl.secagg import SCHEMES, plan
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.protocol import Replies, SecureSum, ServerHalf, Stage

CohortFactory = Callable[..., Cohort[Any]]


@pytest.fixture(scope="session")
def make_cohort() -> CohortFactory:
    """A cohort of three banks: make_cohort(scheme, parameters, bits)."""

    def make(scheme: str, parameters: int = 10, bits: int | str = 8) -> Cohort[Any]:
        return SCHEMES[scheme].cohort(plan(scheme, 3, parameters, bits), 1, ("bank-1", "bank-2", "bank-3"))

    return make


@pytest.fixture(scope="session")
def send() -> Callable[[ServerHalf, Replies], Stage | SecureSum]:
    """Sends replies to a server half and returns what it answers: its next stage, or the finished sum."""

    def advance(server: ServerHalf, replies: Replies) -> Stage | SecureSum:
        try:
            return server.send(replies)
        except StopIteration as finished:
            return cast(SecureSum, finished.value)

    return advance


@pytest.fixture(scope="session")
def random_updates() -> Callable[..., IntVector]:
    """Integers in [0, 2**bits): random_updates(banks, parameters, bits)."""

    def draw(banks: int, parameters: int, bits: int, seed: int = 0) -> IntVector:
        return np.random.default_rng(seed).integers(0, 1 << bits, (banks, parameters))

    return draw
