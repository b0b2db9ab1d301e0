"""One upload overheard: all of it readable in plaintext, nothing of it in CKKS."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from secure_fl import Experiment, Result, run_federation
from secure_fl.codec.quantization import make_codec
from secure_fl.federation.exhibit import Overheard, make_exhibit, without_the_update
from secure_fl.federation.results import Exhibit
from secure_fl.secagg.planning import plan
from secure_fl.secagg.protocol import request
from secure_fl.secagg.schemes import SCHEMES

pytestmark = pytest.mark.slow

Run = Callable[..., Result]
Small = Callable[..., Experiment]


BANKS = ("bank-1", "bank-2", "bank-3")


def test_overhearing_changes_nothing_and_keeps_the_answer_of_one_stage() -> None:
    scheme = SCHEMES["plaintext"]
    cohort = scheme.cohort(plan("plaintext", 3, 2, 8), 1, BANKS)
    inner = scheme.deploy(cohort.plan).client(cohort, "bank-1", np.array([7, 9]))
    asked = request(cohort, "upload", ("bank-1",)).requests["bank-1"]
    overheard = Overheard(inner, cohort, "bank-1", "upload")
    assert overheard.answer == b""
    assert overheard.respond(asked) == inner.respond(asked) == overheard.answer
    assert bytes(overheard.payload) == bytes([7, 9])
    elsewhere = Overheard(inner, cohort, "bank-1", "another stage")
    elsewhere.respond(asked)
    assert elsewhere.answer == b""


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_bank_that_sent_nothing_shows_nothing(scheme: str) -> None:
    codec = make_codec(10, 8, clip=1.0, mean_examples=5.0)
    planned = plan(scheme, 3, codec.length)
    cohort = SCHEMES[scheme].cohort(planned, 1, BANKS)
    silent = SCHEMES[scheme].deploy(planned).client(cohort, "bank-2", np.zeros(codec.length, dtype=np.int64))
    overheard = Overheard(silent, cohort, "bank-2", SCHEMES[scheme].input_stage)
    exhibit = make_exhibit(SCHEMES[scheme], planned, codec, np.zeros(10), overheard)
    assert (exhibit.bank, exhibit.message, exhibit.message_bytes) == ("bank-2", b"", 0)
    assert exhibit.aggregator_reads is None


def test_of_a_masked_sum_the_masked_input_is_shown(run_small: Run) -> None:
    exhibit = run_small(scheme="masked").exhibit
    assert exhibit.message_bytes > 18 / 8 * 10_369, "a ring of 18 bits"
    assert len(set(exhibit.message)) == 256, "bytes of a mask"


@pytest.mark.parametrize("bits", [16, 8, "float32"])
def test_in_plaintext_the_aggregator_reads_the_update(bits: int | str, run_small: Run) -> None:
    result = run_small(scheme="plaintext", bits=bits)
    exhibit = result.exhibit
    assert exhibit.bank == "bank-1"
    assert exhibit.update.shape == (1024,)
    assert np.abs(exhibit.update).max() > 1e-4
    assert exhibit.aggregator_reads is not None
    step = result.rounds[0].quantization_step or 0.0
    error = np.abs(exhibit.aggregator_reads - exhibit.update).max()
    assert error <= step * 1.001 + 1e-6 * np.abs(exhibit.update).max()


def test_in_ckks_the_aggregator_reads_nothing(run_small: Run) -> None:
    exhibit = run_small().exhibit
    assert exhibit.aggregator_reads is None
    assert len(exhibit.message) == 4096
    assert exhibit.message_bytes == run_small().rounds[0].upload_bytes["bank-1"]


def correlation(exhibit: Exhibit) -> float:
    """The largest correlation of the values with any byte of 2, 4 or 8 that would stand for each of them."""

    def of(width: int, place: int) -> float:
        column: NDArray[np.uint8] = np.frombuffer(exhibit.message, dtype=np.uint8)[place::width]
        shown = min(len(column), len(exhibit.update))
        return float(abs(np.corrcoef(column[:shown], exhibit.update[:shown])[0, 1]))

    return max(of(width, place) for width in (2, 4, 8) for place in range(width))


def test_ciphertext_bytes_do_not_correlate_with_the_update(run_small: Run) -> None:
    """512 values or more: a deviation of 1/sqrt(512) = 0.044, and 0.3 is out of reach of chance."""
    assert correlation(run_small().exhibit) < 0.3
    assert correlation(run_small(scheme="plaintext").exhibit) > 0.8


def test_the_same_update_is_encrypted_differently_each_time(run_small: Run, small: Small) -> None:
    first, again = run_small().exhibit, run_federation(small()).exhibit
    assert np.array_equal(first.update, again.update)
    same = np.mean(np.frombuffer(first.message, np.uint8) == np.frombuffer(again.message, np.uint8))
    assert same < 0.1


def test_it_shows_a_bank_that_did_not_drop_out(run_small: Run) -> None:
    result = run_small(drop=("bank-1@1:upload",), scheme="plaintext")
    assert result.exhibit.bank == "bank-2"
    assert result.exhibit.aggregator_reads is not None


def test_neither_update_nor_message_shows_in_its_repr(run_small: Run) -> None:
    shown = repr(run_small(scheme="plaintext").exhibit)
    assert "update" not in shown
    assert "message=" not in shown


def test_the_first_round_is_shown_however_many_follow(run_small: Run) -> None:
    one, two = (run_small(scheme="plaintext", rounds=rounds).exhibit for rounds in (1, 2))
    assert np.array_equal(one.update, two.update)


@pytest.mark.parametrize("reads", [None, np.zeros(2, dtype=np.float32)])
def test_where_only_the_sum_protects_a_readable_message_is_left_out(reads: NDArray[np.float32] | None) -> None:
    whole = Exhibit("bank-1", np.ones(2, dtype=np.float32), b"sent", 99, reads)
    left = without_the_update(whole)
    assert len(left.update) == 0
    assert left.aggregator_reads is None
    assert left.message == (b"sent" if reads is None else b""), "what can be read holds one share of the noise"
    assert (left.bank, left.message_bytes) == ("bank-1", 99)
