"""Exponents on exact data, and which rows belong together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from secure_fl.bench.schemes.rows import Row
from secure_fl.bench.schemes.scaling import exponent, fit_all, scale_sizes

MakeRow = Callable[..., Row]


@pytest.mark.parametrize("a", [0, 0.5, 1, 2])
def test_the_exponent_of_an_exact_power(a: float) -> None:
    sizes = [3, 10, 100, 1_000]
    assert exponent(sizes, [7 * size**a for size in sizes]) == pytest.approx(a)


def test_fits_hold_the_other_size_fixed(make_row: MakeRow) -> None:
    rows = [make_row(banks=n, server_seconds=n / 100, upload_bytes=500) for n in (3, 10, 30)]
    rows += [make_row(banks=3, parameters=d, client_seconds=d**2 / 1e9) for d in (10_000, 100_000)]
    by_banks, by_parameters = fit_all(rows[::-1])
    assert (by_banks.against, by_banks.fixed, by_banks.sizes) == ("banks", 1_000, (3, 10, 30))
    assert (by_banks.server_seconds, by_banks.upload_bytes, by_banks.client_seconds) == (1, 0, 0)
    assert (by_parameters.against, by_parameters.fixed, by_parameters.sizes) == (
        "parameters",
        3,
        (1_000, 10_000, 100_000),
    )


def test_schemes_precisions_and_rows_without_figures_stay_apart(make_row: MakeRow) -> None:
    rows = [make_row(), make_row("ckks", banks=30), replace(make_row("ckks", banks=300), peer=True)]
    rows += [replace(make_row(banks=3_000), bits=bits) for bits in (4, "float32")]
    rows += [replace(make_row(banks=n), status="failed") for n in (10, 100)]
    assert fit_all(rows) == ()


def test_one_size_measured_twice_has_no_exponent(make_row: MakeRow) -> None:
    assert fit_all([make_row(), make_row()]) == ()


def test_the_preset_sizes_are_those_of_the_issue() -> None:
    sizes = scale_sizes()
    assert (1_000, 10_369) in sizes
    assert (3, 10_000_000) in sizes
    assert len(set(sizes)) == len(sizes)
