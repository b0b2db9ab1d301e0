"""`simulate`: what it returns, and everything it refuses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from secure_fl.errors import ConfigurationError, DropoutError, PlanError, RequestError
from secure_fl.secagg import SCHEMES, simulate, simulation
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.protocol import run_protocol

ONES = np.ones((3, 5), dtype=np.int64)
every_scheme = pytest.mark.parametrize("scheme", SCHEMES)


@every_scheme
@pytest.mark.parametrize("bits", [4, 8, 11, 24])
def test_every_scheme_returns_the_identical_sum(
    scheme: str, bits: int, random_updates: Callable[..., IntVector]
) -> None:
    updates = random_updates(5, 3000, bits)
    result = simulate(scheme, updates, bits=bits, drop={2: SCHEMES[scheme].input_stage})
    assert result.total.dtype == np.int64
    assert result.total.tolist() == (updates.sum(axis=0) - updates[2]).tolist()
    assert result.names == ("bank-1", "bank-2", "bank-4", "bank-5")
    assert {message.sender for message in result.transcript} >= set(result.names)
    assert result.contributors == {0, 1, 3, 4}
    assert (result.plan.scheme, result.plan.threshold) == (scheme, 3)


@every_scheme
def test_updates_are_not_changed(scheme: str, random_updates: Callable[..., IntVector]) -> None:
    updates = random_updates(3, 20, 8)
    before = updates.copy()
    simulate(scheme, updates)
    assert (updates == before).all()


@every_scheme
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64])
def test_other_integers_are_welcome(scheme: str, dtype: type[np.integer[Any]]) -> None:
    assert simulate(scheme, np.full((3, 4), 255, dtype=dtype)).total.tolist() == [765] * 4


@every_scheme
def test_the_transcript_names_every_message(scheme: str) -> None:
    result = simulate(scheme, ONES, drop={1: SCHEMES[scheme].input_stage})
    stage = SCHEMES[scheme].input_stage
    uploads = [(d.sender, d.recipient) for d in result.transcript if d.stage == stage and d.sender != "aggregator"]
    assert uploads == [("bank-1", "aggregator"), ("bank-3", "aggregator")]
    assert all(d.nbytes > 0 and len(d.sha256) == 64 and d.round == 1 for d in result.transcript)


@every_scheme
@pytest.mark.parametrize(
    ("updates", "problem"),
    [
        (ONES.astype(float), "not integers"),
        (ONES[0], "not integers of shape"),
        (ONES[None], "not integers of shape"),
        (ONES > 0, "not integers"),
        (ONES - 2, "outside"),
        (ONES * 256, r"outside \[0, 2\*\*8\)"),
    ],
    ids=["float", "vector", "cube", "bool", "negative", "too large"],
)
def test_updates_that_cannot_be_summed_are_refused(scheme: str, updates: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        simulate(scheme, updates)


@every_scheme
@pytest.mark.parametrize(
    ("banks", "settings", "problem"),
    [
        (2, {}, "3 to 10000 banks"),
        (0, {}, "0 banks"),
        (5, {"threshold": 2}, "use 3 to 5"),
        (6, {"threshold": 3}, "use 4 to 6"),
        (5, {"threshold": 6}, "use 3 to 5"),
        (3, {"bits": 3}, "use 4 to 24"),
        (3, {"bits": 25}, "use 4 to 24"),
        (3, {"bits": True}, "not a whole number"),
        (3, {"bits": 8.0}, "not a whole number"),
    ],
)
def test_sums_that_cannot_be_planned_are_refused(
    scheme: str, banks: int, settings: dict[str, Any], problem: str
) -> None:
    with pytest.raises(PlanError, match=problem):
        simulate(scheme, np.ones((banks, 5), dtype=np.int64), **settings)


@every_scheme
def test_updates_without_parameters_are_refused(scheme: str) -> None:
    with pytest.raises(PlanError, match="0 parameters"):
        simulate(scheme, ONES[:, :0])


def test_float32_is_not_for_ckks() -> None:
    with pytest.raises(PlanError, match="not float32; use 4 to 24 bits or plaintext"):
        simulate("ckks", ONES, bits="float32")  # type: ignore[arg-type]


def test_float32_is_refused_for_integers() -> None:
    with pytest.raises(RequestError):
        simulate("plaintext", ONES, bits="float32")  # type: ignore[arg-type]


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(PlanError, match=r"no scheme 'rot13'; choose one of .*ckks, .*plaintext"):
        simulate("rot13", ONES)


@every_scheme
@pytest.mark.parametrize("stage", ["decrypt", "no such stage", ""])
def test_a_stage_that_asks_nothing_of_a_bank_is_refused(scheme: str, stage: str) -> None:
    with pytest.raises(ConfigurationError, match="no stage"):
        simulate(scheme, ONES, drop={0: stage})


@every_scheme
@pytest.mark.parametrize(("lost", "threshold"), [(2, None), (1, 3), (3, None)])
def test_below_the_threshold_there_is_no_sum(scheme: str, lost: int, threshold: int | None) -> None:
    with pytest.raises(DropoutError, match="threshold"):
        simulate(scheme, ONES, threshold=threshold, drop=dict.fromkeys(range(lost), SCHEMES[scheme].input_stage))


@pytest.mark.parametrize("row", [3, 99, -1])
def test_a_drop_of_no_such_row_is_refused(row: int) -> None:
    with pytest.raises(RequestError):
        simulate("plaintext", ONES, drop={row: "upload"})


def test_numpy_integers_do_as_thresholds() -> None:
    assert simulate("plaintext", ONES, threshold=np.int64(2)).total.tolist() == [3] * 5  # type: ignore[arg-type]


def test_every_simulation_is_a_session_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions: list[bytes] = []

    def watched(cohort: Cohort[Any], *rest: Any) -> Any:
        sessions.append(cohort.session)
        return run_protocol(cohort, *rest)

    monkeypatch.setattr(simulation, "run_protocol", watched)
    for _ in range(2):
        simulate("plaintext", np.ones((3, 5), dtype=np.int64))
    assert len(set(sessions)) == 2


def test_nothing_can_be_seeded() -> None:
    """What a scheme draws is key material."""
    with pytest.raises(TypeError, match="seed"):
        simulate("masked", ONES, seed=1)  # type: ignore[call-arg]


@every_scheme
def test_the_transcript_holds_the_setup_and_every_message_of_the_sum(scheme: str) -> None:
    chosen, banks = SCHEMES[scheme], [f"bank-{row}" for row in (1, 2, 3)]
    setup = [("key-authority", "aggregator"), *(("aggregator", bank) for bank in banks)]
    expected = Counter(("public_key", *way) for way in setup if "key-authority" in chosen.trustees)
    asked = [(stage, bank) for stage in chosen.stages for bank in banks]
    asked += [("sum_shares" if scheme == "additive" else "decrypt", trustee) for trustee in chosen.trustees]
    for stage, party in asked:
        expected.update([(stage, "aggregator", party), (stage, party, "aggregator")])
    transcript = simulate(scheme, ONES).transcript
    assert Counter((d.stage, d.sender, d.recipient) for d in transcript) == expected
    assert {(d.round, d.attempt) for d in transcript} == {(1, 1)}


@every_scheme
def test_who_misses_the_input_stage_or_one_before_is_not_in_the_sum_and_who_misses_a_later_one_is(scheme: str) -> None:
    chosen, updates = SCHEMES[scheme], np.arange(20).reshape(4, 5)
    place = chosen.stages.index(chosen.input_stage)
    for number, stage in enumerate(chosen.stages):
        result = simulate(scheme, updates, drop={2: stage})
        rows = [0, 1, 2, 3] if number > place else [0, 1, 3]
        assert result.contributors == set(rows), stage
        assert result.total.tolist() == updates[rows].sum(axis=0).tolist()


@every_scheme
def test_rows_keep_their_numbers_among_more_than_ten_banks(scheme: str) -> None:
    """By name, bank-10 comes before bank-2."""
    result = simulate(scheme, np.eye(12, dtype=np.int64), drop={9: SCHEMES[scheme].input_stage})
    assert result.contributors == set(range(12)) - {9}
    assert result.total.tolist() == [int(row != 9) for row in range(12)]


@every_scheme
def test_a_refused_stage_leads_to_those_that_there_are(scheme: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{scheme} has no stage 'tea'") as refused:
        simulate(scheme, ONES, drop={0: "tea"})
    assert str(refused.value).endswith("choose one of " + ", ".join(SCHEMES[scheme].stages))
