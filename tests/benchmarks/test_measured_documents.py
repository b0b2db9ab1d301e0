"""What commands write into documents is what they make of stored figures; here, of figures made up."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from xml.etree import ElementTree

import pytest

from benchmarks import privacy_utility, quantization_curve, round_picture, settings_page
from benchmarks.privacy_utility import DATASETS, DOCS, EPSILONS, PAGE, VARIANTS, Stored, score_cell, write_page
from benchmarks.quantization_curve import SETTINGS, kilobytes
from benchmarks.written_blocks import read_block
from secure_fl import Experiment, Result
from secure_fl.data.metrics import Scores
from secure_fl.secagg import plan

HONEST = {"ulb": [85_335] * 3, "simulated": [59_001, 59_003, 59_002]}


@pytest.fixture
def private() -> Stored:
    curve = {
        dataset: {epsilon: [Scores(0.1 * seed, 0.9, 1_000 * seed) for seed in (1, 2, 6)] for epsilon in EPSILONS}
        for dataset in DATASETS
    }
    return Stored(curve, [[0.5, 0.6 + 0.01 * place] for place in range(len(VARIANTS))], HONEST)


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
    assert (
        "| ulb | 3 | 0.300 [-0.357, 0.957] | 0.000 [0.000, 0.000] | 2,000 (1,000 to 6,000) of 85,335 |"
        in page.read_text()
    )
    assert "2,000 (1,000 to 6,000) of 59,001 to 59,003 |" in page.read_text()
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


def test_the_page_of_bits_is_what_its_stored_figures_say() -> None:
    figures = json.loads(quantization_curve.STORED.read_text(encoding="utf-8"))
    assert quantization_curve.PAGE.read_text(encoding="utf-8") == quantization_curve.render(figures)


def test_the_page_of_settings_is_what_is_declared() -> None:
    assert settings_page.PAGE.read_text(encoding="utf-8") == settings_page.render()


def test_the_page_of_privacy_is_what_its_stored_figures_say() -> None:
    stored = Stored.load(privacy_utility.STORED)
    assert stored.blocks() == {name: read_block(PAGE, name) for name in ("curve", "settings")}
    readme = " ".join((PAGE.parents[1] / "README.md").read_text(encoding="utf-8").split())
    private, plain = stored.curve["ulb"][3.0], stored.curve["ulb"][math.inf]
    cell, usual = score_cell([s.auprc for s in private]), mean(s.auprc for s in plain)
    alarms = [f"{median(s.false_positives_at_80_recall for s in found):,.0f}" for found in (private, plain)]
    (honest,) = set(stored.honest["ulb"])
    assert (
        f"an AUPRC of {cell} instead of {usual:.3f}, and {alarms[0]} false alarms of {honest:,} instead of {alarms[1]}"
        in readme
    )


def test_the_drawing_of_a_round_is_that_of_the_default_run() -> None:
    assert round_picture.PICTURE.read_text(encoding="utf-8") == round_picture.draw(Experiment())
    drawn = ElementTree.fromstring(round_picture.draw(Experiment(banks=5, bits=8)))
    boxes = [text.text or "" for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    for step in ("trains on its own rows", "quantizes its update to 8 bits", "encrypts and sends it"):
        assert boxes.count(step) == 5


def test_the_bytes_of_the_drawing_are_those_that_travel(run_small: Callable[..., Result]) -> None:
    """Ciphertexts are compressed, so their size varies, and the plan leaves some room."""
    result = run_small()
    drawn = round_picture.PICTURE.read_text(encoding="utf-8")
    sizes = [float(size) for size in re.findall(r"([\d.]+) kB", drawn)]
    stages = [
        ("upload", "bank-1"),
        ("decrypt", "aggregator"),
        ("decrypt", "key-authority"),
        ("broadcast", "aggregator"),
    ]
    for size, (stage, sender) in zip(sizes, stages, strict=True):
        sent = [d.nbytes for d in result.transcript if (d.round, d.stage, d.sender) == (1, stage, sender)]
        assert size == pytest.approx(max(sent) / 1_000, abs=0.5 + 0.003 * size)


def test_readme_opens_with_a_picture_that_loads_quickly_and_figures_that_stand_in_its_tables() -> None:
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    first_screen = readme.partition("## Use it")[0]
    assert "docs/report.png" in first_screen
    picture = (DOCS / "report.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 200_000
    tables = readme.partition("## What it costs")[2]
    rows = {row[1].strip(" *"): row[2:-1] for row in (line.split("|") for line in tables.splitlines()) if len(row) == 7}
    for start in ("masked, 8 bits", "bfv, 8 bits", "Flower SecAgg+", "NVFlare HE"):
        upload, seconds = next(
            [cell.strip() for cell in cells[2:]] for name, cells in rows.items() if name.startswith(start)
        )
        assert upload in first_screen
        assert seconds.removesuffix(" s") in first_screen
