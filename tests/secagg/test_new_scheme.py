"""A scheme of one's own: what this file holds is all that it takes, but for a line in `schemes`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from secure_fl import Experiment, Result
from secure_fl.cli import words
from secure_fl.errors import ConfigurationError, PlanError
from secure_fl.report.wording import scheme_text
from secure_fl.secagg import SCHEMES, plan, simulate
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.custody import Custody
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.packing import pack_bits, unpack_bits
from secure_fl.secagg.protocol import Attendance, Party, ServerHalf, Values, request, require_values
from secure_fl.secagg.scheme import Scheme
from secure_fl.secagg.transcript import Transcript
from secure_fl.settings import Summing

STAGE = "mirrored"


class MirrorClient:
    """Sends the distance of each value to the largest one. No secrecy at all; a toy."""

    def __init__(self, cohort: Cohort[Plan], bank: str, values: Values) -> None:
        require_values(cohort.plan, values)
        self._cohort, self._bank, self._values = cohort, bank, values

    def respond(self, request: bytes) -> bytes:
        open_message(self._cohort, request, recipient=self._bank, sender=AGGREGATOR, stage=STAGE)
        bits = self._cohort.plan.bits
        assert bits is not None
        mirrored = 2**bits - 1 - self._values.astype(np.int64)
        return seal(self._cohort, STAGE, self._bank, AGGREGATOR, pack_bits(mirrored, bits))


def mirror_server(cohort: Cohort[Plan]) -> ServerHalf:
    bits = cohort.plan.bits
    assert bits is not None
    total = np.zeros(cohort.plan.parameters, dtype=np.int64)
    contributors, attendance = set(), Attendance(cohort)
    asked = request(cohort, STAGE, cohort.banks)
    replies = yield asked
    for bank, values in attendance.answers(
        asked, replies, lambda _, payload: unpack_bits(payload, bits, cohort.plan.parameters)
    ):
        total += 2**bits - 1 - values
        contributors.add(bank)
    attendance.require_threshold(contributors)
    return attendance.finish(total, contributors)


class MirrorDeployment:
    def setup(self, cohort: Cohort[Plan], transcript: Transcript) -> None:
        """Nothing is exchanged."""

    def client(self, cohort: Cohort[Plan], bank: str, values: Values) -> Party:
        return MirrorClient(cohort, bank, values)

    def trustees(self, cohort: Cohort[Plan]) -> Mapping[str, Party]:
        return {}

    def server(self, cohort: Cohort[Plan]) -> ServerHalf:
        return mirror_server(cohort)


def plan_mirror(banks: int, parameters: int, bits: int | None, threshold: int) -> Plan:
    return Plan(scheme="mirror", banks=banks, parameters=parameters, bits=bits, threshold=threshold)


SCHEME = Scheme(
    name="mirror",
    title="mirrored values",
    stages=(STAGE,),
    input_stage=STAGE,
    trustees=(),
    custody=Custody("mirror", "A toy.", {AGGREGATOR: ("every update",)}, ("the aggregator alone",), (), ()),
    plan=plan_mirror,
    deploy=lambda plan: MirrorDeployment(),
)


@pytest.fixture(autouse=True)
def mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(SCHEMES, dict)
    monkeypatch.setitem(SCHEMES, SCHEME.name, SCHEME)


def test_it_sums_with_dropouts() -> None:
    updates = np.random.default_rng(1).integers(0, 256, (4, 30))
    done = simulate("mirror", updates, bits=8, drop={2: STAGE})
    assert done.contributors == {0, 1, 3}
    assert done.total.tolist() == updates[[0, 1, 3]].sum(axis=0).tolist()


@pytest.mark.slow
def test_it_trains_a_federation_to_the_same_weights(run_small: Callable[..., Result]) -> None:
    result = run_small(scheme="mirror", rounds=1)
    assert result.custody.scheme == "mirror"
    assert result.model.weights.tobytes() == run_small(scheme="plaintext", rounds=1).model.weights.tobytes()


def test_planner_and_settings_know_it() -> None:
    assert plan("mirror", 5, 100, bits=8).threshold == 3
    assert scheme_text("mirror") == "mirrored values"
    refused: list[tuple[type[Exception], Callable[[], Any]]] = [
        (PlanError, lambda: plan("mirror", 5, 100, bits="float32")),
        (ConfigurationError, lambda: Experiment(scheme="mirror", bits="float32")),
        (ConfigurationError, lambda: Experiment(scheme="mirror", drop=("bank-1@1:upload",))),
    ]
    for error, attempt in refused:
        with pytest.raises(error, match=r"float32|mirrored"):
            attempt()


def test_help_names_every_scheme() -> None:
    """Written out where looking them up would take half a second."""
    for name in SCHEMES.keys() - {"mirror"}:
        assert name in words.SCHEMES
        assert name in str(Summing.model_fields["scheme"].description)
