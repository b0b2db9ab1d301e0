"""docs/where-bytes-go.md: where each byte of a homomorphic sum goes, from its plan, and each millisecond, as measured.

    .venv/bin/python -m benchmarks.where_bytes_go [--measure]

Bytes follow from plans and are exact. Milliseconds are those that `--measure` stored (`where_milliseconds_go`).
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.where_milliseconds_go import STORED, Step, measure
from benchmarks.written_blocks import write_block
from secure_fl.secagg.budget import BfvPlan, HePlan, Plan
from secure_fl.secagg.budget.ckks import CkksPlan
from secure_fl.secagg.budget.rlwe import RlwePlan
from secure_fl.secagg.messages import HEADER_BYTES
from secure_fl.secagg.planning import plan
from secure_fl.secagg.schemes import called

PAGE = Path(__file__).parents[1] / "docs" / "where-bytes-go.md"
SCHEMES = ("bfv", "ckks", "rlwe")
BITS = 8
SIZES = ((10, 1_000_000), (3, 1_000_000), (3, 10_369))
"""Banks and parameters."""


def planned(scheme: str, banks: int, parameters: int) -> HePlan:
    found = plan(scheme, banks, parameters, BITS)
    assert isinstance(found, HePlan)
    return found


def parts(of: HePlan) -> dict[str, float]:
    """Bytes of one upload by what they are for; all together they are the upload."""
    first, second = of.words
    sent, packed = first.count * first.bits + second.count * second.bits, 8 * (first.nbytes + second.nbytes)
    digits = of.parameters * math.log2(of.field_base)
    message = of.slots * message_bits(of)
    bits = {
        f"values, {BITS} bits": of.parameters * BITS,
        "room for the sum of all banks": digits - of.parameters * BITS,
        "rest of a slot or coefficient": message - digits,
        "noise below the message": of.slots * first.bits - message,
        "first words that hold nothing": (first.count - of.slots) * first.bits,
        "second polynomials": second.count * second.bits,
        "packed rows filled up": packed - sent,
    }
    return {name: each / 8 for name, each in bits.items()} | {"envelope": HEADER_BYTES}


def message_bits(of: HePlan) -> float:
    """Of what a slot or a coefficient can hold, noise aside."""
    match of:
        case BfvPlan():
            return math.log2(of.plain_modulus)
        case RlwePlan():
            return of.message_bits
        case CkksPlan():
            return of.prime_bits - 1 - of.scale_bits
    raise AssertionError(of.scheme)


def left_out(of: HePlan) -> float:
    """Bytes of low bits that are not sent."""
    return sum(run.count * dropped for run, dropped in zip(of.words, of.dropped, strict=True)) / 8


def bits_per_bit(of: Plan) -> float:
    """What is sent for each bit that the sum of a parameter takes."""
    largest = of.banks * ((1 << BITS) - 1)
    return 8 * of.upload_bytes / (of.parameters * math.log2(largest + 1))


def bytes_tables() -> str:
    return "\n\n".join(_bytes_table(banks, parameters) for banks, parameters in SIZES)


def _bytes_table(banks: int, parameters: int) -> str:
    plans = [planned(scheme, banks, parameters) for scheme in SCHEMES]
    lines = [f"{banks} banks, {parameters:,} parameters:", "", _head("bytes a parameter")]
    found = [parts(each) for each in plans]
    lines += [_line(name, [f"{each[name] / parameters:.3f}" for each in found]) for name in found[0]]
    lines.append(_line("**all of the upload**", [f"**{sum(each.values()) / parameters:.3f}**" for each in found]))
    lines.append(_line("*not sent: low bits*", [f"*{left_out(each) / parameters:.3f}*" for each in plans]))
    lines.append(_line("bits sent for each bit of a sum", [f"{bits_per_bit(each):.2f}" for each in plans]))
    lines.append(_line("a sum fails with at most", [str(each.derived()["failure_probability"]) for each in plans]))
    return "\n".join(lines)


def floors() -> str:
    """What no scheme of a kind gets below, and what ours send."""
    banks, parameters = SIZES[0]
    lines = ["| | bits sent for each bit of a sum |", "|---|---|"]
    lines += [
        _line("floor: a mask or a share", ["1"]),
        _line("floor: Ring-LWE, one u for 15 messages", [f"{1 + 1 / 15:.2f}"]),
        _line("floor: Ring-LWE under a public key, one u for a message", ["2"]),
    ]
    for scheme in ("masked", "rlwe", "bfv", "ckks"):
        lines.append(_line(called(scheme), [f"{bits_per_bit(plan(scheme, banks, parameters, BITS)):.2f}"]))
    return "\n".join(lines)


def milliseconds(steps: Iterable[Step]) -> str:
    """Rows in the order in which they were measured."""
    found: dict[tuple[str, str], Mapping[str, float]] = {(step.party, step.step): step.milliseconds for step in steps}
    head = ["| party | step | " + " | ".join(map(called, SCHEMES)) + " |", "|---|---|" + "---|" * len(SCHEMES)]
    lines = []
    for party in dict.fromkeys(party for party, _ in found):
        rows = {step: row for (whose, step), row in found.items() if whose == party}
        for step, row in rows.items():
            lines.append(f"| {party} | {step} | {' | '.join(_ms(row.get(scheme)) for scheme in SCHEMES)} |")
        totals = [sum(row.get(scheme, 0) for row in rows.values()) for scheme in SCHEMES]
        lines.append(f"| {party} | **all** | {' | '.join(f'**{_ms(total)}**' for total in totals)} |")
    return "\n".join(head + lines)


def stored() -> list[Step]:
    return [Step(**row) for row in json.loads(STORED.read_text(encoding="utf-8"))["steps"]]


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _head(first: str) -> str:
    return f"| {first} | {' | '.join(map(called, SCHEMES))} |\n|---|" + "---|" * len(SCHEMES)


def _line(name: str, cells: Iterable[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--measure", action="store_true", help="measure milliseconds anew, and store them")
    if parser.parse_args().measure:
        STORED.write_text(json.dumps(measure(SCHEMES, *SIZES[0], BITS), indent=1) + "\n", encoding="utf-8")
    blocks = {"bytes": bytes_tables(), "floors": floors(), "milliseconds": milliseconds(stored())}
    for name, text in blocks.items():
        write_block(PAGE, name, text)
    print(f"{PAGE}: written")


if __name__ == "__main__":
    main()
