"""Sums of proven inputs: those of `additive`, exactly, with whoever drops out left out; honest banks always pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.errors import ConfigurationError, DropoutError, MessageError
from secure_fl.secagg import SCHEMES, simulate
from secure_fl.secagg.additive.deployment import HOLDERS
from secure_fl.secagg.additive.wire import SUM_SHARES, UPLOAD
from secure_fl.secagg.attempts import attempt_sum
from secure_fl.secagg.messages import AGGREGATOR, Cohort, seal
from secure_fl.secagg.proofs.client import ProvingClient
from secure_fl.secagg.proofs.deployment import CUSTODY, proven_scheme
from secure_fl.secagg.proofs.wire import VERIFY
from secure_fl.secagg.protocol import Outcome, run_protocol
from secure_fl.secagg.transcript import Transcript
from tests.secagg.proofs.scene import Scene, drawn


@pytest.mark.parametrize(("bits", "bound"), [(4, None), (8, None), (8, 100.0), (16, None), (16, 30_000.0), (24, None)])
def test_the_sum_is_that_of_additive_shares(bits: int, bound: float | None) -> None:
    updates = drawn(5, 33, bits)
    outcome = Scene(updates, bits, bound).run()
    assert outcome.sum.total.dtype == np.int64
    assert outcome.sum.total.tolist() == simulate("additive", updates, bits).total.tolist()
    assert outcome.sum.contributors == {f"bank-{row}" for row in range(1, 6)}
    assert outcome.refused == {}


@given(st.data())
@settings(max_examples=10)
def test_extremes_and_anything_in_range_are_summed(data: st.DataObject) -> None:
    bits, parameters = data.draw(st.integers(4, 24)), data.draw(st.integers(1, 9))
    values = st.one_of(st.sampled_from([0, 1, 2 ** (bits - 1), 2**bits - 1]), st.integers(0, 2**bits - 1))
    rows = st.lists(st.lists(values, min_size=parameters, max_size=parameters), min_size=3, max_size=3)
    updates = np.array(data.draw(rows))
    assert Scene(updates, bits).run().sum.total.tolist() == updates.sum(axis=0).tolist()


def test_an_update_as_long_as_the_bound_is_accepted_and_a_longer_one_is_not_even_shared() -> None:
    updates = np.full((3, 4), 128)
    updates[0] = 128 + np.array([3, -4, 0, 12])  # 13 steps long
    scene = Scene(updates, norm_bound=13.0)
    assert scene.run().sum.total.tolist() == scene.total(range(3))
    updates[0, 2] = 129
    with pytest.raises(ConfigurationError, match="update of bank-1 is longer than the norm bound of 13 "):
        scene.client(0)
    with pytest.raises(ConfigurationError, match="outside"):
        scene.client(0, values=np.array([0, 256, 0, 0]))


def test_banks_that_drop_out_are_not_in_the_sum() -> None:
    scene = Scene(drawn(5, 10), norm_bound=100.0)
    outcome = scene.run(drop={"bank-2": UPLOAD}, left_out=["bank-5"])
    assert outcome.sum.contributors == {"bank-1", "bank-3", "bank-4"}
    assert outcome.sum.total.tolist() == scene.total([0, 2, 3])
    with pytest.raises(DropoutError, match="threshold is 3"):
        scene.run(drop=dict.fromkeys(("bank-1", "bank-2", "bank-3"), UPLOAD), cohort=scene.cohort(attempt=2))


def test_a_failed_attempt_is_made_again_with_the_same_values() -> None:
    scene, cohorts = Scene(drawn(4, 10), norm_bound=200.0), []

    def once(cohort: Cohort[Any], left_out: Mapping[str, str]) -> Outcome:
        cohorts.append(cohort)
        liar = {"bank-2": scene.liar(1, {0: 2}, cohort)}
        return scene.run(liar, {HOLDERS[1]: SUM_SHARES} if len(cohorts) == 1 else None, tuple(left_out), cohort)

    done = attempt_sum(scene.cohort(), once)
    assert [cohort.attempt for cohort in cohorts] == [1, 2]
    assert done.outcome.sum.total.tolist() == scene.total([0, 2, 3])
    assert set(done.refused) == {"bank-2"}


@pytest.mark.parametrize("stage", [VERIFY, SUM_SHARES])
@pytest.mark.parametrize("holder", HOLDERS)
def test_without_a_share_holder_there_is_no_sum(holder: str, stage: str) -> None:
    with pytest.raises(DropoutError, match=f"^{holder} did not answer"):
        Scene(drawn(3, 4)).run(drop={holder: stage})


def test_a_deployment_serves_many_rounds_and_lengths() -> None:
    scene = Scene(drawn(4, 50), norm_bound=200.0)
    deployed = scene.deployment
    for round_, length in enumerate((50, 50, 3, 7)):
        cohort = replace(scene.cohort(round_=round_), plan=scene.plan.resized(length))
        clients = {
            bank: deployed.client(cohort, bank, row[:length])
            for bank, row in zip(scene.banks, scene.updates, strict=True)
        }
        parties = {**clients, **deployed.trustees(cohort)}
        finished = run_protocol(cohort, deployed.server(cohort), parties, Transcript())
        assert finished.sum.total.tolist() == scene.updates[:, :length].sum(axis=0).tolist()
    assert scene.plan.resized(2).circuit.squared_bound is None, "two values are never longer than 182"


def test_uploads_are_as_long_as_planned_and_seeds_save_two_of_three_shares() -> None:
    scene, transcript = Scene(drawn(3, 1000), norm_bound=1000.0), Transcript()
    cohort = scene.cohort()
    run_protocol(cohort, scene.deployment.server(cohort), scene.parties(cohort), transcript)
    sent = transcript.uploads(1)["bank-1"]
    assert 0 <= scene.plan.upload_bytes - sent < 256
    assert sent < 8 * (scene.plan.circuit.inputs + scene.plan.proof_elements) + 800


@pytest.mark.slow
@pytest.mark.parametrize("bound", [None, 120.0])
def test_ten_thousand_honest_banks_are_never_refused(bound: float | None) -> None:
    """Half of them with a bound."""
    scene = Scene(drawn(100, 6), norm_bound=bound)
    for attempt in range(1, 51):
        scene.updates = drawn(100, 6, seed=attempt)
        outcome = scene.run(cohort=scene.cohort(attempt))
        assert outcome.refused == {}
        assert outcome.sum.total.tolist() == scene.total(range(100))


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "bound"), [(8, None), (8, 2000.0), (16, 500_000.0)])
def test_whole_updates_are_never_refused(bits: int, bound: float | None) -> None:
    scene = Scene(drawn(10, 10_369, bits), bits, bound)
    for attempt in range(1, 3):
        outcome = scene.run(cohort=scene.cohort(attempt))
        assert outcome.refused == {}
        assert outcome.sum.total.tolist() == scene.total(range(10))


def test_the_scheme_stands_beside_the_table_and_says_who_can_decrypt_what() -> None:
    scheme = proven_scheme(3.0)
    assert scheme.name == CUSTODY.scheme == "additive-proofs"
    assert scheme.name not in SCHEMES
    assert {"banks", AGGREGATOR, "observer", *scheme.trustees} == set(scheme.custody.can_decrypt)
    assert scheme.stages == (UPLOAD,)


def test_nobody_answers_what_belongs_to_another_stage_or_attempt() -> None:
    scene = Scene(drawn(3, 4))
    with pytest.raises(MessageError, match="belongs to stage 'verify' instead of 'upload'"):
        scene.client(0).respond(seal(scene.cohort(), VERIFY, AGGREGATOR, "bank-1"))
    with pytest.raises(MessageError, match="attempt 2 instead of"):
        scene.client(0).respond(seal(scene.cohort(2), UPLOAD, AGGREGATOR, "bank-1"))


def test_nothing_secret_is_shown() -> None:
    scene = Scene(drawn(3, 4))
    client = scene.client(0)
    assert repr(client) == "ProvingClient('bank-1')"
    for holder, party in scene.deployment.trustees(scene.cohort()).items():
        assert repr(party) == f"ProofHolder({holder!r})"
        assert repr(scene.deployment._holders[holder]) == f"ProofHolderKey({holder!r})"
    assert repr(scene.uploads()[0]) == "Upload(share=Share())"
    scene.verify(0, scene.uploads())
    verified = scene.deployment._holders[HOLDERS[0]].verified
    assert repr(verified) == f"Verified(cohort={scene.cohort().digest!r})"


def test_every_upload_has_seeds_blinds_and_wire_seeds_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn_: list[bytes] = []
    scene = Scene(drawn(3, 4))
    original = ProvingClient.respond.__globals__["secrets"].token_bytes

    def watched(count: int) -> bytes:
        drawn_.append(original(count))
        return drawn_[-1]

    monkeypatch.setattr("secure_fl.secagg.proofs.client.secrets.token_bytes", watched)
    client = scene.client(0)
    for _ in range(2):
        client.respond(seal(scene.cohort(), UPLOAD, AGGREGATOR, "bank-1"))
    each = len(HOLDERS) + 1 + scene.plan.proofs
    assert len(drawn_) == 2 * each
    assert {len(seed) for seed in drawn_} == {32}
    assert len({half for seed in drawn_ for half in (seed[:16], seed[16:])}) == 4 * each
