"""Rows hold what SURFACE promises, and what is measured is right."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from secure_fl.bench.peers import PEERS
from secure_fl.bench.schemes import measuring
from secure_fl.bench.schemes.benchmark import Settings, run_benchmark
from secure_fl.bench.schemes.cases import CLIP, Case, list_cases, make_updates
from secure_fl.bench.schemes.measuring import cannot_measure, measure_case, measure_here
from secure_fl.bench.schemes.rows import Row
from secure_fl.bench.schemes.subject import SchemeSubject, stage_bytes
from secure_fl.errors import ConfigurationError, PlanError, ProtocolError, SecureFLError
from secure_fl.secagg import SCHEMES
from secure_fl.secagg.transcript import Delivery

SURFACE: dict[str, type | tuple[type, ...]] = {
    "scheme": str,
    "peer": bool,
    "banks": int,
    "parameters": int,
    "bits": int,
    "client_seconds": float,
    "server_seconds": float,
    "decode_seconds": float,
    "upload_bytes": int,
    "download_bytes": int,
    "max_abs_error": float,
    "peak_rss_bytes": int,
    "round_seconds_at": dict,
}


def _case(scheme: str = "plaintext", **changes: Any) -> Case:
    return replace(Case(scheme, False, 3, 200, 8, repeat=1), **changes)


@pytest.mark.parametrize("scheme", [*SCHEMES, "tenseal-tutorial"])
def test_every_scheme_gives_the_row_of_the_surface(scheme: str) -> None:
    row = measure_here(_case(scheme, peer=scheme in PEERS)).to_dict()
    assert row["status"] == "measured", row["note"]
    assert {name: type(row[name]) for name in SURFACE} == SURFACE
    assert list(row["round_seconds_at"]) == ["10Mbps", "100Mbps", "1Gbps"]
    assert all(row[f"{phase}_seconds"] > 0 for phase in ("client", "server", "decode"))
    assert row["max_abs_error"] <= 2 * CLIP / 255
    assert row["upload_bytes"] >= 200


def test_an_experimental_scheme_is_called_so() -> None:
    titles = {scheme: Row.of(_case(scheme), "refused").title for scheme in SCHEMES}
    assert titles["rlwe"] == "rlwe (experimental) 8-bit"
    assert [scheme for scheme, title in titles.items() if "experimental" in title] == ["rlwe"]


def test_all_schemes_get_the_same_updates_and_the_same_error() -> None:
    errors = {scheme: measure_here(_case(scheme)).max_abs_error for scheme in SCHEMES}
    assert len(set(errors.values())) == 1, errors


def test_float32_is_nearly_exact() -> None:
    row = measure_here(_case(bits="float32"))
    assert row.bits == "float32"
    assert row.max_abs_error is not None
    assert row.max_abs_error < 1e-8


def test_a_row_from_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "peak_rss_bytes", lambda: 1)  # in this process
    row = measure_case(_case())
    assert row.status == "measured", row.note
    assert row.peak_rss_bytes is not None
    assert row.peak_rss_bytes > 10_000_000


def test_a_process_that_dies_makes_a_row_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring.sys, "executable", "/bin/false")  # type: ignore[attr-defined]
    assert measure_case(_case()).status == "failed"


def test_a_scheme_that_fails_makes_a_row_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: SchemeSubject, number: int) -> None:
        raise ProtocolError("something broke; repeat the round")

    monkeypatch.setattr(SchemeSubject, "measure_round", fail)
    row = measure_here(_case())
    assert (row.status, row.note) == ("failed", "something broke; repeat the round")


def test_a_refused_plan_is_a_row_with_the_planners_reason() -> None:
    row = measure_case(_case("masked", bits=24, banks=1_000))
    assert row.status == "refused"
    assert "fewer banks" in str(row.note)
    assert row.to_dict()["client_seconds"] is None
    assert Row.from_dict(row.to_dict()) == row


def test_refused_rows_stand_beside_measured_ones() -> None:
    settings = Settings(["plaintext"], [(2, 50), (3, 50)], 8, repeat=1, peers=False)
    rows = run_benchmark(settings, "").rows
    assert [row.status for row in rows] == ["refused", "refused", "measured", "measured"]


def test_when_all_rows_are_refused_the_planner_speaks() -> None:
    with pytest.raises(PlanError, match="use 3 to"):
        run_benchmark(Settings(["masked"], [(2, 50)], 8, repeat=1, peers=False), "")


def test_when_nothing_can_be_measured_that_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring.sys, "executable", "/bin/false")  # type: ignore[attr-defined]
    with pytest.raises(SecureFLError, match="nothing could be measured"):
        run_benchmark(Settings(["plaintext"], [(3, 50)], 8, repeat=1, peers=False), "")


@pytest.mark.parametrize("peer", [name for name, peer in PEERS.items() if peer.library != "tenseal"])
def test_a_peer_that_is_missing_is_a_row_that_says_how_to_install_it(
    peer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, PEERS[peer].library, None)
    row = cannot_measure(_case(peer, peer=True))
    assert row is not None
    fields = row.to_dict()
    assert fields["installed"] is False
    assert "pip install 'secure-fl[peers]'" in fields["note"]
    assert fields["upload_bytes"] is None


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.slow
def test_an_installed_peer_checks_its_own_result(peer: str) -> None:
    if not PEERS[peer].installed:
        pytest.skip(f"{PEERS[peer].library} is not installed")
    row = measure_case(_case(peer, peer=True))
    assert row.status == "measured", row.note
    assert row.max_abs_error is not None
    assert row.max_abs_error < 1e-4


def test_updates_depend_on_seed_and_size_only() -> None:
    first, again = make_updates(_case("masked")), make_updates(_case("ckks", bits=4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, make_updates(_case(seed=1)))
    assert np.abs(first).max() <= CLIP


def test_plaintext_is_measured_as_float32_too() -> None:
    cases = list_cases(["plaintext", "masked"], [(3, 10)], 8, 1, peers=True)
    assert [(c.scheme, c.bits) for c in cases[:3]] == [("plaintext", 8), ("plaintext", "float32"), ("masked", 8)]
    assert [c.scheme for c in cases[3:]] == list(PEERS)


def test_a_size_that_fits_no_memory_is_refused_before_anything_runs() -> None:
    with pytest.raises(ConfigurationError, match="do not fit in memory"):
        run_benchmark(Settings(["masked"], [(1_000, 10**7)], 8, repeat=1, peers=False), "")


def test_stage_bytes_are_those_of_the_busiest_party_in_both_directions() -> None:
    def delivery(stage: str, sender: str, recipient: str, nbytes: int) -> Delivery:
        return Delivery(1, 1, stage, sender, recipient, nbytes, "")

    deliveries = [
        delivery("a", "aggregator", "bank-1", 10),
        delivery("a", "bank-1", "aggregator", 100),
        delivery("a", "aggregator", "bank-2", 50),
        delivery("b", "aggregator", "key-authority", 1_000),
        delivery("b", "key-authority", "aggregator", 1),
    ]
    assert stage_bytes(deliveries) == (110, 1_001)
