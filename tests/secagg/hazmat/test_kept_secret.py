"""A homomorphic key that outlives its process: what `keep` gave opens what the first one could."""

from __future__ import annotations

import numpy as np
import pytest

from secure_fl.secagg import plan
from secure_fl.secagg.budget import HePlan
from secure_fl.secagg.he.encoding import decode_slots
from secure_fl.secagg.he.public_keys import load_public_key
from secure_fl.secagg.he.secret_keys import new_secret_key, secret_key_again


@pytest.mark.parametrize("scheme", ["ckks", "bfv", "rlwe"])
def test_a_kept_key_is_the_same_key(scheme: str) -> None:
    planned = plan(scheme, 3, 100, 16)
    assert isinstance(planned, HePlan)
    parameters = planned.parameters_of_context
    first = new_secret_key(parameters)
    again = secret_key_again(parameters, first.keep())
    assert again.public_key() == first.public_key()
    values = np.arange(100, dtype=np.int64)
    encrypted = load_public_key(first.public_key(), parameters).encrypt(planned, values)
    assert np.array_equal(decode_slots(planned, again.decrypt(planned, encrypted), 1), values)
    assert "keep" not in repr(again)
    assert repr(again).endswith("(...)")
