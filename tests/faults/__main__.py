"""Plant the listed faults and say which ones the tests do not notice.

    python -m tests.faults                           # all of them
    python -m tests.faults --family data --family he
    python -m tests.faults --fault data/late-row-accepted
    python -m tests.faults --list
    python -m tests.faults --json faults.json

Exit status: 0 if every fault was found, 1 if one survived, 2 if one is stale (its text is gone, or is there twice).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.faults.plant import Fault, Outcome, plant, read_lists


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    faults = _chosen(read_lists(), options.family, options.fault)
    if options.list:
        _say("\n".join(f"{fault.name:50} {fault.file}" for fault in faults))
        return 0
    outcomes = plant(faults, _report, options.limit)
    found = sum(outcome.result == "found" for outcome in outcomes)
    _say(f"{found} of {len(outcomes)} found ({found / max(1, len(outcomes)):.1%})")
    for outcome in outcomes:
        if outcome.result != "found":
            _say(f"{outcome.result}: {outcome.fault.name}")
    if options.json is not None:
        document = {"found": found, "of": len(outcomes), "faults": [outcome.to_dict() for outcome in outcomes]}
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 2 if any(o.result == "stale" for o in outcomes) else int(found < len(outcomes))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Plant faults; see which survive.")
    parser.add_argument("--family", action="append", default=[], help="only this list; may be repeated")
    parser.add_argument("--fault", action="append", default=[], metavar="FAMILY/ID", help="only this one; repeatable")
    parser.add_argument("--list", action="store_true", help="say what there is, and run nothing")
    parser.add_argument("--json", type=Path, help="a file for all outcomes")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds for the tests of one fault")
    return parser


def _chosen(faults: tuple[Fault, ...], families: list[str], names: list[str]) -> tuple[Fault, ...]:
    known = {fault.family for fault in faults} | {fault.name for fault in faults}
    unknown = [name for name in (*families, *names) if name not in known]
    if unknown:
        raise SystemExit(f"there is no {unknown[0]}; see --list")
    everything = not families and not names
    return tuple(f for f in faults if everything or f.family in families or f.name in names)


def _report(outcome: Outcome) -> None:
    _say(f"{outcome.result:9} {outcome.fault.name:50} {outcome.seconds:5.1f} s  {outcome.by}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
