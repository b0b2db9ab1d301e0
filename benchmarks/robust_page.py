"""docs/robust.md: which rule goes with which scheme, as the settings say, and what Multi-Krum on ciphertexts costs.

.venv/bin/python -m benchmarks.robust_page

The costs are those that `python -m benchmarks.krum --json docs/figures/krum.json` stored, and `benchmarks.proofs`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.written_blocks import write_block
from secure_fl.errors import ConfigurationError
from secure_fl.secagg.schemes import SCHEMES, called
from secure_fl.settings.robust import LEAST_BANKS, way_of

PAGE = Path(__file__).parents[1] / "docs" / "robust.md"
REFUSED = (
    ("median", "masked", False),
    ("fltrust", "bfv", False),
    ("krum", "ckks", False),
    ("norm-clip", "masked", True),
)
FIGURES = PAGE.parent / "figures"


def matrix() -> str:
    """What each rule sees under each scheme, without groups and with them, and how many it needs."""
    head = ["rule", "holds for n", *map(called, SCHEMES), "with --group-size, any scheme"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for rule, (factor, more) in LEAST_BANKS.items():
        needed = " + ".join(part for part in (f"{factor} f" if factor > 1 else "f", str(more) if more else "") if part)
        cells = [_way(rule, scheme, grouped=False) for scheme in SCHEMES]
        lines.append(f"| {rule} | >= {needed} | {' | '.join(cells)} | {_way(rule, 'masked', grouped=True)} |")
    return "\n".join(lines)


def _way(rule: str, scheme: str, *, grouped: bool) -> str:
    try:
        return way_of(rule, scheme, grouped=grouped)
    except ConfigurationError:
        return "-"


def refusals() -> str:
    """One example of each reason for which a rule and a scheme do not go together."""
    return "\n".join(f"    {why}" for why in dict.fromkeys(_refusals()))


def _refusals() -> Iterator[str]:
    for rule, scheme, grouped in REFUSED:
        try:
            way_of(rule, scheme, grouped=grouped)
        except ConfigurationError as error:
            yield f"error: {error}"


def costs(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line a size."""
    lines = [
        "| banks x parameters | a bank encrypts | distances, all of it | of this the key authority | sum of the chosen "
        "| the rule in plaintext | upload | totals | memory |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['banks']} x {row['parameters']:,} | {row['encrypt_seconds'] * 1e3:,.1f} ms "
        f"| {row['distances_seconds']:.3f} s | {row['choose_seconds'] * 1e3:,.1f} ms "
        f"| {row['sum_seconds'] * 1e3:,.1f} ms "
        f"| {row['plaintext_seconds'] * 1e3:,.2f} ms | {row['upload_bytes'] / 1e3:,.0f} kB "
        f"| {row['totals_bytes'] / 1e6:.1f} MB | {row['peak_rss_bytes'] / 1e6:,.0f} MB |"
        for row in rows
    ]
    return "\n".join(lines)


def proofs(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line for each thing that is proved."""
    lines = [
        "| bits | proved | a bank | a share-holder, all banks | the aggregator | upload |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['bits']} | {row['proved']} | {row['client_seconds'] * 1e3:,.1f} ms "
        f"| {row['holder_seconds'] * 1e3:,.1f} ms | {row['server_seconds'] * 1e3:,.1f} ms "
        f"| {row['upload_bytes'] / 1e3:,.0f} kB |"
        for row in rows
    ]
    return "\n".join(lines)


def stored(name: str) -> list[dict[str, Any]]:
    """The rows of a benchmark."""
    rows: list[dict[str, Any]] = json.loads((FIGURES / f"{name}.json").read_text(encoding="utf-8"))["rows"]
    return rows


def main() -> None:
    write_block(PAGE, "matrix", matrix())
    write_block(PAGE, "refusals", refusals())
    write_block(PAGE, "costs", costs(stored("krum")))
    write_block(PAGE, "proofs", proofs(stored("proofs")))


if __name__ == "__main__":
    main()
