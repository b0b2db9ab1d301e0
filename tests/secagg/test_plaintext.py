"""The scheme without secrecy, quantized and float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from secure_fl.errors import DropoutError, MessageError
from secure_fl.secagg import SCHEMES
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.plaintext import PlaintextClient, decode_values, encode_values, plaintext_server
from secure_fl.secagg.protocol import SecureSum, run_protocol
from secure_fl.secagg.transcript import Transcript

CohortFactory = Callable[..., Cohort[Any]]
Send = Callable[..., SecureSum]


def total_of(cohort: Cohort[Any], updates: Any) -> SecureSum:
    parties = {bank: PlaintextClient(cohort, bank, row) for bank, row in zip(cohort.banks, updates, strict=True)}
    return run_protocol(cohort, plaintext_server(cohort), parties, Transcript()).sum


def test_float32_updates_are_summed_in_float64(make_cohort: CohortFactory) -> None:
    updates = np.array([[1e8, 1.5], [1.0, -0.25], [-1e8, 1e-3]], dtype=np.float32)
    total = total_of(make_cohort("plaintext", 2, "float32"), updates).total
    assert total.dtype == np.float64
    assert total.tolist() == updates.astype(np.float64).sum(axis=0).tolist()


@pytest.mark.parametrize(("bits", "nbytes"), [("float32", 40_000), (8, 10_000), (12, 15_000), (4, 5_000)])
def test_an_upload_is_as_long_as_its_bits(make_cohort: CohortFactory, bits: int | str, nbytes: int) -> None:
    cohort = make_cohort("plaintext", 10_000, bits)
    values = np.zeros(10_000, dtype=np.float32 if bits == "float32" else np.int64)
    assert len(encode_values(cohort.plan, values)) == nbytes
    assert nbytes < cohort.plan.upload_bytes <= nbytes + 256


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_float32_upload_that_is_not_finite_is_refused(make_cohort: CohortFactory, value: float) -> None:
    updates = np.zeros((3, 5), dtype=np.float32)
    updates[1, 3] = value
    finished = total_of(make_cohort("plaintext", 5, "float32"), updates)
    assert finished.contributors == {"bank-1", "bank-3"}
    assert "not finite" in finished.refused["bank-2"]


@pytest.mark.parametrize("bits", ["float32", 8])
@pytest.mark.parametrize("length", [0, 4, 36, 44, 400])
def test_a_payload_of_another_length_is_refused(
    make_cohort: CohortFactory, send: Send, bits: int | str, length: int
) -> None:
    cohort = make_cohort("plaintext", 10, bits)
    server = plaintext_server(cohort)
    next(server)
    with pytest.raises(DropoutError) as caught:
        send(server, iter([("bank-1", seal(cohort, "upload", "bank-1", AGGREGATOR, bytes(length)))]))
    assert "bytes" in caught.value.refused["bank-1"]
    assert "bank-1" in str(caught.value)


def test_a_float32_payload_that_ends_within_a_number_is_refused(make_cohort: CohortFactory) -> None:
    with pytest.raises(MessageError):
        decode_values(make_cohort("plaintext", 10, "float32").plan, bytes(39))


def test_the_aggregator_reads_every_upload(make_cohort: CohortFactory) -> None:
    cohort, read = make_cohort("plaintext", 4), SCHEMES["plaintext"].read_upload
    assert read is not None
    request = next(plaintext_server(cohort)).requests["bank-2"]
    answer = PlaintextClient(cohort, "bank-2", np.array([1, 2, 3, 255])).respond(request)
    upload = open_message(cohort, answer, recipient=AGGREGATOR, sender="bank-2", stage="upload")
    assert read(cohort.plan, upload.payload).tolist() == [1, 2, 3, 255]


def test_a_client_answers_only_the_aggregator_of_its_cohort(make_cohort: CohortFactory) -> None:
    cohort = make_cohort("plaintext", 1)
    client = PlaintextClient(cohort, "bank-1", np.array([1]))
    for request in (b"", seal(cohort, "upload", "bank-2", "bank-1"), seal(cohort, "upload", AGGREGATOR, "bank-2")):
        with pytest.raises(MessageError):
            client.respond(request)


@pytest.mark.parametrize("value", [256, -1])
def test_a_bank_does_not_send_values_beyond_the_plan(make_cohort: CohortFactory, value: int) -> None:
    with pytest.raises(Exception, match=r"8 bits|2\*\*8|outside"):
        PlaintextClient(make_cohort("plaintext", 1), "bank-1", np.array([value]))
