"""What all parties work out from the settings."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from secure_fl.secagg import simulate
from secure_fl.secagg.messages import AGGREGATOR
from secure_fl.secagg.planning import plan
from secure_fl.settings import Experiment
from secure_fl.transport.agreement import KEYS_AND_SHARES, Agreement


@pytest.mark.parametrize("scheme", ["plaintext", "additive", "masked", "ckks", "bfv", "rlwe"])
@pytest.mark.parametrize(("banks", "parameters"), [(3, 20_000), (40, 300)])
def test_no_honest_answer_is_larger_than_the_gateway_takes(scheme: str, banks: int, parameters: int) -> None:
    updates = np.random.default_rng(1).integers(0, 256, size=(banks, parameters))
    sent = [each for each in simulate(scheme, updates, bits=8).transcript if each.sender != AGGREGATOR]
    agreed = Agreement(Experiment(scheme=scheme, banks=banks, bits=8))
    agreed.plan = plan(scheme, banks, parameters, 8)
    largest = max(delivery.nbytes for delivery in sent)
    assert largest <= agreed.largest_answer
    assert agreed.largest_answer <= 3 * largest + 8 * parameters + 2 * KEYS_AND_SHARES


@pytest.mark.parametrize("scheme", ["ckks", "bfv", "rlwe"])
def test_no_honest_order_is_larger_than_who_it_is_for_takes(scheme: str) -> None:
    settings = Experiment(scheme=scheme, banks=30, bits=8, witnesses=1)
    agreed = Agreement(settings)
    agreed.plan = plan(scheme, 30, 50_000, 8, witnesses=1)
    updates = np.random.default_rng(1).integers(0, 256, size=(30, 50_000))
    sent = simulate(scheme, updates, bits=8, witnesses=1).transcript
    largest = {party: max(each.nbytes for each in sent if each.recipient == party) for party in agreed.scheme.trustees}
    assert largest["witness-1"] > agreed.largest_answer
    assert all(nbytes <= agreed.largest_order(party) for party, nbytes in largest.items())
    assert agreed.largest_order("bank-1") < largest["witness-1"]


@pytest.mark.parametrize("scheme", ["masked", "rlwe"])
def test_parties_are_warned_of_an_experimental_scheme_alone(scheme: str, caplog: pytest.LogCaptureFixture) -> None:
    Agreement(Experiment(scheme=scheme)).warn(logging.getLogger("secure_fl.party"))
    said = [(record.levelname, vars(record)["scheme"], vars(record)["warning"]) for record in caplog.records]
    warning = "experimental: the arithmetic is our own, and nobody has audited it"
    assert said == ([("WARNING", "rlwe", warning)] if scheme == "rlwe" else [])
