"""Small parts of the drawings that must be right: label placement, cells, dumps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from secure_fl.federation.results import Result, RoundRecord
from secure_fl.report import exhibit
from secure_fl.report.figures import WIDE, bytes_per_bank, learning_curves, seconds_per_round, short_name, spread

MakeResult = Callable[..., Result]


def test_spread_keeps_distant_labels_and_parts_close_ones() -> None:
    assert spread([0.0, 10.0], gap=1.0) == [0.0, 10.0]
    assert spread([5.0, 5.0, 9.0], gap=2.0) == pytest.approx([4.0, 6.0, 9.0])
    moved = sorted(spread([0.5, 0.51, 0.52, 0.9, 0.1], gap=0.1))
    assert np.diff(moved).min() >= 0.1 - 1e-9


def test_short_names_are_printable_and_short() -> None:
    assert short_name("bank-1") == "bank-1"
    assert short_name("a\nb\u202e") == "a\ufffdb\ufffd"
    assert len(short_name("x" * 100)) == 16


def test_the_curves_are_the_scores_of_each_round(make_result: MakeResult) -> None:
    result = make_result(rounds=4)
    curves = [np.asarray(line.get_xydata()).tolist() for line in learning_curves(result, WIDE).axes[0].lines]
    expected = [baseline.auprc_by_round for baseline in (*result.local, result.central)]
    expected.append(tuple(record.auprc for record in result.rounds))
    assert curves == [[[n, score] for n, score in enumerate(scores, start=1)] for scores in expected]


def test_bytes_are_drawn_beside_plain_float32_and_banks_that_sent_nothing_are_named(make_result: MakeResult) -> None:
    (axes,) = bytes_per_bank(make_result(rounds=1, drop=("bank-2",)), 40_000, WIDE).axes
    said = [text.get_text() for text in axes.texts]
    assert "plain float32: 40.0 kB" in said
    assert sum("nothing arrived" in text for text in said) == 1
    assert [label.get_text() for label in axes.get_yticklabels()] == ["bank-1", "bank-2", "bank-3"]


def test_seconds_are_stacked_phase_by_phase(make_result: MakeResult) -> None:
    """What is drawn for a phase starts where the ones before it end, and is as high as what it took."""
    rounds = make_result(rounds=3).rounds
    whole, without_training = seconds_per_round(make_result(rounds=3), WIDE).axes
    for axes, skipped in ((whole, 0), (without_training, 1)):
        for place, record in enumerate(rounds):
            spent = [1000 * seconds for seconds in phases(record)[skipped:]]
            bars = [bar for bar in axes.patches[place :: len(rounds)] if isinstance(bar, Rectangle)]
            assert [bar.get_height() for bar in bars] == pytest.approx(spent)
            assert [bar.get_y() for bar in bars] == pytest.approx([0, *np.cumsum(spent)[:-1]])


def phases(record: RoundRecord) -> tuple[float, ...]:
    spent = record.seconds
    return spent.train, spent.client, spent.server, spent.decode


def test_hex_dump_shows_offset_pairs_and_characters() -> None:
    lines = exhibit.hex_dump(b"secure_fl\x00\xff" + bytes(300)).splitlines()
    assert lines[0].startswith("0000  73 65 63 75 72 65 5f 66 6c 00 ff 00")
    assert lines[0].endswith("  secure_fl.......")
    assert len(lines) == 16


def test_byte_grid_merges_equal_neighbours() -> None:
    grid = exhibit.byte_grid(bytes([255] * 40 + [0] * 24), "label <b>")
    assert 'viewBox="0 0 32 2"' in grid
    assert "M0 0h32v1h-32z" in grid
    assert "M0 1h8v1h-8z" in grid
    assert "&lt;b&gt;" in grid


def test_reading_error_in_words() -> None:
    update = np.array([0.1, 0.2], dtype=np.float32)
    assert exhibit.reading_error(update, update.copy()) == "bit for bit"
    assert exhibit.reading_error(update, update + np.float32(0.25)) == "to within 0.25"


def test_all_zero_and_empty_updates_can_be_drawn() -> None:
    for size in (0, 5):
        update = np.zeros(size, dtype=np.float32)
        assert "<path" not in exhibit.update_grid(update, exhibit.full_shade(update), "nothing")
