"""The floors of the project against other libraries, all measured in this process in turn.

    .venv/bin/python -m pytest benchmarks/test_against_peers.py -s

Quantization counts on both sides. Timings need a quiet machine; sizes do not.
"""

from __future__ import annotations

from collections.abc import Callable

from secure_fl.bench.measured import Subject
from secure_fl.bench.schemes.cases import Case

Ratios = Callable[[Case, Case, int], dict[str, float]]
SubjectOf = Callable[[Case], Subject]

MILLION = 1_000_000
NVFLARE = Case("nvflare-he", True, 10, MILLION, 40)
FLOWER = Case("flower-secaggplus", True, 10, MILLION, 22)


def _ours(scheme: str, banks: int = 10, parameters: int = MILLION) -> Case:
    return Case(scheme, False, banks, parameters, 8)


def test_masked_against_flowers_secaggplus(ratios: Ratios, subject_of: SubjectOf) -> None:
    found = ratios(FLOWER, _ours("masked"), 5)
    upload = subject_of(_ours("masked")).measure_round(20).upload_bytes
    assert upload / MILLION <= 2.1
    assert found["client_seconds"] >= 4
    assert found["server_seconds"] >= 20


def test_bfv_against_nvflare(ratios: Ratios) -> None:
    found = ratios(NVFLARE, _ours("bfv"), 3)
    assert found["client_seconds"] >= 4
    assert found["upload_bytes"] >= 11
    assert found["server_seconds"] >= 12


def test_ckks_against_nvflare(ratios: Ratios) -> None:
    found = ratios(NVFLARE, _ours("ckks"), 3)
    assert found["client_seconds"] >= 2
    assert found["upload_bytes"] >= 5.5
    assert found["server_seconds"] >= 6


def test_bfv_for_the_fraud_model_against_nvflare_tensor_by_tensor(ratios: Ratios, subject_of: SubjectOf) -> None:
    ours = _ours("bfv", banks=3, parameters=10_369)
    found = ratios(Case("nvflare-he", True, 3, 10_369, 40), ours, 7)
    assert subject_of(ours).measure_round(20).upload_bytes <= 64_000
    assert found["server_seconds"] >= 100


def test_bfv_is_smaller_than_float32_plaintext(subject_of: SubjectOf) -> None:
    for banks in (3, 4):
        upload = subject_of(_ours("bfv", banks=banks)).measure_round(1).upload_bytes
        print(f"\n{banks} banks: {upload / MILLION:.2f} bytes a parameter")
        assert upload / MILLION <= 3.9
