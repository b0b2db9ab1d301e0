"""What README and docs say of an epsilon is what the code computes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from secure_fl.report.promise import guesses_text, largest_share_of_right_guesses

ROOT = Path(__file__).parents[2]


def test_readme_says_what_epsilon_3_allows() -> None:
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert guesses_text(3.0, 1e-5) in text
    assert "no better than guessing. `--epsilon 3 --delta 1e-5` promises that" not in text


@pytest.mark.parametrize("path", [ROOT / "README.md", ROOT / "docs" / "privacy.md"], ids=lambda path: path.name)
def test_every_share_of_right_guesses_belongs_to_an_epsilon_beside_it(path: Path) -> None:
    """Wherever "right at most X %" stands, the last epsilon before it gives that X at delta 1e-5."""
    text = path.read_text(encoding="utf-8")
    said = list(re.finditer(r"right\s+at\s+most\s+([\d.]+)\s+%", text))
    assert said
    for share in said:
        before = re.findall(r"epsilon[ `]+([\d.]*\d)", text[: share.start()])
        right = largest_share_of_right_guesses(float(before[-1]), 1e-5)
        assert share[1] == f"{100 * right:.1f}"
