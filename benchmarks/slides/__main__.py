"""Draw all slides."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.slides import ciphertexts, parties, record, sums

SLIDES = Path(__file__).parents[2] / "docs" / "slides"
DRAWINGS: Mapping[str, Callable[[dict[str, Any]], str]] = {
    "1-one-round": sums.one_round,
    "2-additive-shares": sums.additive_shares,
    "3-pairwise-masks": sums.pairwise_masks,
    "4-dropout": sums.dropout,
    "5-ckks": ciphertexts.ckks,
    "6-packing": ciphertexts.packing,
    "7-who-reads-what": parties.custody,
    "8-krum": parties.krum,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the slides of docs/slides.")
    parser.add_argument("--record", action="store_true", help="run what depends on fresh keys again")
    if parser.parse_args().record:
        record.write()
    for name, draw in DRAWINGS.items():
        (SLIDES / f"{name}.svg").write_text(draw(record.stored()), encoding="utf-8")


if __name__ == "__main__":
    main()
