"""What one bank spends on a CKKS upload of 1,000,000 parameters, beside TenSEAL with its tutorial's parameters.

    .venv/bin/python -m pytest benchmarks/test_ckks_client.py

Ours: quantize to 8 bits for 10 banks, pack, encrypt, serialize into one message. Theirs: the same float64 update, cut
into vectors of 4,096 slots, encrypted at poly_modulus_degree 8192, coeff_mod_bit_sizes [60, 40, 40, 60], scale 2**40.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import pytest
import tenseal as ts
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from secure_fl.codec.quantization import Contribution, QuantizedCodec
from secure_fl.secagg import SCHEMES, plan
from secure_fl.secagg.protocol import request

PARAMETERS, BANKS, BITS = 1_000_000, 10, 8
EXAMPLES = 10_000

Upload = Callable[[], int]


@pytest.fixture(scope="module")
def update() -> NDArray[np.float64]:
    return np.random.default_rng(0).normal(scale=0.01, size=PARAMETERS)


@pytest.fixture(scope="module")
def ours(update: NDArray[np.float64]) -> Upload:
    codec = QuantizedCodec(PARAMETERS, BITS, clip=0.06, mean_examples=EXAMPLES)
    scheme = SCHEMES["ckks"]
    planned = plan("ckks", BANKS, codec.length, BITS)
    cohort = scheme.cohort(planned, 1, tuple(f"bank-{n}" for n in range(BANKS)))
    deployed = scheme.deploy(planned)
    ask = request(cohort, "upload", ("bank-0",)).requests["bank-0"]

    def upload() -> int:
        values = codec.encode(Contribution(update, EXAMPLES), np.random.default_rng(1))
        return len(deployed.client(cohort, "bank-0", values).respond(ask))

    return upload


@pytest.fixture(scope="module")
def tutorial(update: NDArray[np.float64]) -> Upload:
    context = ts.context(ts.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=[60, 40, 40, 60], n_threads=1)
    context.global_scale = 2**40
    slots = 4096

    def upload() -> int:
        parts = (update[start : start + slots].tolist() for start in range(0, len(update), slots))
        return sum(len(ts.ckks_vector(context, part).serialize()) for part in parts)

    return upload


@pytest.mark.benchmark(group="one bank's CKKS upload, 1,000,000 parameters")
@pytest.mark.parametrize("who", ["ours", "tutorial"])
def test_upload(benchmark: BenchmarkFixture, request: pytest.FixtureRequest, who: str) -> None:
    upload: Upload = request.getfixturevalue(who)
    nbytes: int = benchmark.pedantic(upload, rounds=3, warmup_rounds=1)  # type: ignore[no-untyped-call]  # untyped there
    benchmark.extra_info["bytes_per_parameter"] = round(nbytes / PARAMETERS, 2)


def test_at_least_twice_as_fast_and_five_times_smaller(ours: Upload, tutorial: Upload) -> None:
    """Both in turn, so that a slow moment of the machine hits both; the median of the ratios counts."""

    def seconds(upload: Upload) -> float:
        started = time.perf_counter()
        upload()
        return time.perf_counter() - started

    faster = statistics.median(seconds(tutorial) / seconds(ours) for _ in range(5))
    smaller = tutorial() / ours()
    print(f"\n{faster:.1f} x faster, {smaller:.1f} x smaller, {ours() / PARAMETERS:.2f} bytes per parameter")
    assert faster >= 2
    assert smaller >= 5
    assert ours() / PARAMETERS <= 10.3
