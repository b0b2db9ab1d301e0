"""What commands write into documents is what they make of stored figures; here, of figures made up."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest

from benchmarks import privacy_utility, quantization_curve
from benchmarks.privacy_utility import DATASETS, EPSILONS, PAGE, VARIANTS, Stored, write_page
from benchmarks.quantization_curve import SETTINGS, kilobytes
from benchmarks.written_blocks import read_block
from secure_fl.data.metrics import Scores
from secure_fl.secagg import plan


@pytest.fixture
def private() -> Stored:
    curve = {
        dataset: {epsilon: [Scores(0.1 * seed, 0.9, 1_000 * seed) for seed in (1, 2, 6)] for epsilon in EPSILONS}
        for dataset in DATASETS
    }
    return Stored(curve, [[0.5, 0.6 + 0.01 * place] for place in range(len(VARIANTS))])


def test_figures_of_privacy_are_read_back_as_they_were(tmp_path: Path, private: Stored) -> None:
    private.save(tmp_path / "p.json")
    assert Stored.load(tmp_path / "p.json") == private
    assert math.inf in private.curve["ulb"]


def test_the_tables_of_privacy_are_written_where_the_page_has_them(
    tmp_path: Path, private: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "privacy.md"
    shutil.copy(PAGE, page)
    monkeypatch.setattr(privacy_utility, "PAGE", page)
    monkeypatch.setattr(privacy_utility, "PICTURE", tmp_path / "privacy.svg")
    write_page(private)
    assert {name: read_block(page, name) for name in ("curve", "settings")} == private.blocks()
    # 0.3 +- t(0.975, 2) x sd / sqrt(3), sd of 0.1, 0.2, 0.6
    assert "| ulb | 3 | 0.300 [-0.357, 0.957] | 0.000 [0.000, 0.000] | 2,000 (1,000 to 6,000) |" in page.read_text()
    assert "| none | 0.550 | 0.500, 0.600 |" in page.read_text()
    assert (tmp_path / "privacy.svg").read_text().count("<path") > 8


def test_only_what_was_measured_is_written(private: Stored) -> None:
    assert set(Stored(settings=private.settings).blocks()) == {"settings"}
    assert Stored().blocks() == {}


def test_a_kilobyte_of_the_documents_is_a_thousand_bytes() -> None:
    for scheme in ("plaintext", "masked", "bfv", "ckks"):
        nbytes = plan(scheme, 3, quantization_curve.PARAMETERS, 8).upload_bytes
        assert abs(1_000 * int(kilobytes(scheme, 8)) - nbytes) <= 500
    assert quantization_curve.kilobytes_sent({"bits": 8}) == plan("plaintext", 3, 10_379, 8).upload_bytes / 1_000


def test_the_page_of_bits_shows_means_and_what_is_planned() -> None:
    figures = {quantization_curve.name(s): {"ulb": [0.7, 0.8, 0.9], "simulated": [0.5] * 3} for s in SETTINGS}
    page = quantization_curve.render(json.loads(json.dumps(figures)))
    sizes = [kilobytes(scheme, 8) for scheme in ("plaintext", "masked", "bfv", "ckks")]
    assert f"| 8 | 0.800 ± 0.100 | 0.500 ± 0.000 | {' | '.join(sizes)} |" in page
    assert page.count("\n| ") == 1 + len(SETTINGS)
