"""docs/where-bytes-go.md says what plans say: its parts are all of an upload, and an upload is as long as that."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks import where_bytes_go
from benchmarks.where_bytes_go import PAGE, SCHEMES, SIZES, bits_per_bit, left_out, parts, planned
from benchmarks.where_milliseconds_go import AUTHORITY, CLIENT, SERVER, Step, measure
from benchmarks.written_blocks import read_block
from secure_fl.secagg import simulate
from secure_fl.secagg.budget.plans import ENVELOPE_BYTES
from secure_fl.secagg.messages import HEADER_BYTES
from secure_fl.secagg.planning import plan


def test_the_page_is_what_plans_and_stored_figures_say() -> None:
    assert read_block(PAGE, "bytes") == where_bytes_go.bytes_tables()
    assert read_block(PAGE, "floors") == where_bytes_go.floors()
    assert read_block(PAGE, "milliseconds") == where_bytes_go.milliseconds(where_bytes_go.stored())


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", [*SIZES, (3, 1), (100, 5_000)])
def test_parts_are_never_negative_and_add_up_to_the_upload(scheme: str, size: tuple[int, int]) -> None:
    found = planned(scheme, *size)
    each = parts(found)
    assert all(part >= 0 for part in each.values()), each
    assert math.isclose(sum(each.values()), found.upload_bytes - ENVELOPE_BYTES + HEADER_BYTES)
    assert each["values, 8 bits"] == size[1]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_upload_is_as_long_as_its_parts(scheme: str) -> None:
    updates = np.random.default_rng(2).integers(0, 256, (3, 10_369))
    uploads = [d for d in simulate(scheme, updates, bits=8).transcript if d.sender == "bank-1"]
    (sent,) = (d.nbytes for d in uploads)
    assert math.isclose(sent, sum(parts(planned(scheme, 3, 10_369)).values()))


def test_what_is_left_out_is_what_words_lack_of_the_modulus() -> None:
    for scheme in SCHEMES:
        found = planned(scheme, 10, 1_000_000)
        whole = sum(run.count * found.modulus_bits for run in found.words) / 8
        assert math.isclose(whole - left_out(found), sum(run.count * run.bits for run in found.words) / 8)
    assert left_out(planned("ckks", 10, 1_000_000)) == 0


def test_no_scheme_sends_less_than_its_floor() -> None:
    floor = {"masked": 1, "additive": 1, "rlwe": 1 + 1 / 15, "bfv": 2, "ckks": 2}
    for scheme, least in floor.items():
        for banks, parameters in SIZES:
            assert bits_per_bit(plan(scheme, banks, parameters, 8)) > least


def test_steps_are_those_of_each_party_and_make_an_exact_sum() -> None:
    steps = [Step(**step) for step in measure(SCHEMES, 3, 5_000, 8, repeat=1)["steps"]]
    for party in (CLIENT, SERVER, AUTHORITY):
        mine = [step for step in steps if step.party == party]
        assert all(set(SCHEMES) >= set(step.milliseconds) for step in mine)
        assert all(any(scheme in step.milliseconds for step in mine) for scheme in SCHEMES)
    (out,) = [step for step in steps if step.step == "out of SEAL"]
    assert set(out.milliseconds) == {"bfv", "ckks"}
    table = where_bytes_go.milliseconds(steps).splitlines()
    assert len(table) == 2 + len(steps) + 3
    assert table[2].startswith("| a bank | digits into")
