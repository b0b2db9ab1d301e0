"""A homomorphic key that outlives its process: what `keep` gave opens what the first one could."""

from __future__ import annotations

import numpy as np
import pytest

from secure_fl.secagg import plan
from secure_fl.secagg.budget import HePlan
from secure_fl.secagg.hazmat.he_public import PublicContext
from secure_fl.secagg.hazmat.he_secret import SecretContext


@pytest.mark.parametrize("scheme", ["ckks", "bfv"])
def test_a_kept_key_is_the_same_key(scheme: str) -> None:
    planned = plan(scheme, 3, 100, 16)
    assert isinstance(planned, HePlan)
    parameters = planned.parameters_of_context
    first = SecretContext(parameters)
    again = SecretContext.again(parameters, first.keep())
    assert again.public_key() == first.public_key()
    slots = np.arange(parameters.slots, dtype=np.int64)
    ciphertext = PublicContext.load(first.public_key(), parameters).encrypt(slots)
    assert np.array_equal(np.rint(again.decrypt(ciphertext)), slots)
    assert "keep" not in repr(again)
