"""The page and picture of the claims from the stored figures of each seed, when only their words have changed.

    .venv/bin/python -m benchmarks.claims_page

`secure-fl bench claims` measures, and writes all three; this measures nothing.
"""

from __future__ import annotations

from pathlib import Path

from secure_fl.bench.claims.page import draw, render
from secure_fl.bench.claims.store import load_claims

DOCS = Path(__file__).parents[1] / "docs"
FIGURES, PAGE, PICTURE = DOCS / "figures" / "claims.json", DOCS / "claims.md", DOCS / "claims.svg"


def main() -> None:
    claims = load_claims(FIGURES)
    PAGE.write_text(render(claims, PICTURE.name), encoding="utf-8")
    PICTURE.write_text(draw(claims), encoding="utf-8")


if __name__ == "__main__":
    main()
