"""Small parts of the drawings that must be right: label placement, cells, dumps."""

from __future__ import annotations

import numpy as np
import pytest

from secure_fl.report import exhibit
from secure_fl.report.figures import short_name, spread


def test_spread_keeps_distant_labels_and_parts_close_ones() -> None:
    assert spread([0.0, 10.0], gap=1.0) == [0.0, 10.0]
    assert spread([5.0, 5.0, 9.0], gap=2.0) == pytest.approx([4.0, 6.0, 9.0])
    moved = sorted(spread([0.5, 0.51, 0.52, 0.9, 0.1], gap=0.1))
    assert np.diff(moved).min() >= 0.1 - 1e-9


def test_short_names_are_printable_and_short() -> None:
    assert short_name("bank-1") == "bank-1"
    assert short_name("a\nb\u202e") == "a\ufffdb\ufffd"
    assert len(short_name("x" * 100)) == 16


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
