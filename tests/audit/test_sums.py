"""Sums of an audit are made as the run's were: by the same scheme, and by the same committee or witnesses."""

from __future__ import annotations

import numpy as np
import pytest

from secure_fl.audit.sums import SecureSums
from secure_fl.secagg.budget import Committee
from secure_fl.settings import Experiment


@pytest.mark.parametrize(("holders", "quorum"), [(3, 2), (5, 4)])
def test_an_audit_sums_with_the_committee_of_its_run(holders: int, quorum: int) -> None:
    sums = SecureSums.of(Experiment(scheme="additive", holders=holders, quorum=quorum))
    assert sums.committee == Committee(holders, quorum)
    assert f"share-holder-{holders}" in sums.custody.can_decrypt
    vectors = [np.array([bank, -bank], dtype=np.int64) for bank in (1, 2, 3)]
    assert sums.add("counts", vectors).tolist() == [6, -6]
    alone = SecureSums("additive")
    alone.add("counts", vectors)
    assert sums.made[0].upload_bytes > alone.made[0].upload_bytes, "more seeds travel"


def test_an_audit_sums_with_the_witnesses_of_its_run() -> None:
    sums = SecureSums.of(Experiment(scheme="rlwe", witnesses=2))
    assert (sums.witnesses, sums.custody.scheme) == (2, "rlwe-witnessed")
    vectors = [np.array([bank, -bank], dtype=np.int64) for bank in (1, 2, 3)]
    assert sums.add("counts", vectors).tolist() == [6, -6]
    alone = SecureSums("rlwe")
    alone.add("counts", vectors)
    assert sums.made[0].upload_bytes > alone.made[0].upload_bytes, "a commitment and a signature travel"
