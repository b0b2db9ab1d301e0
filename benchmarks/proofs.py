"""What it costs to prove that an update lies in range and under a norm bound, beside additive shares without proofs.

    .venv/bin/python -m benchmarks.proofs --json proofs.json

One process for each case, one core; seconds are those of the processor, of one thread. A row is the median of all banks
(client) and of all rounds (holder, server). `holder_seconds` and `server_seconds` are for all banks of a round: all
that one share-holder computes, and all that the aggregator does, which verifies too. `answer_bytes` is what one
share-holder sends, verification and sum. `client_times` and `upload_times` are ratios to the row without proofs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from secure_fl.bench.schemes.measuring import peak_rss_bytes
from secure_fl.secagg import SCHEMES
from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.planning import plan_for
from secure_fl.secagg.proofs.deployment import proven_scheme
from secure_fl.secagg.protocol import run_protocol
from secure_fl.secagg.scheme import Scheme
from secure_fl.secagg.transcript import Transcript

BANKS, PARAMETERS = 10, 10_369
ROUNDS = 5
DEVIATION = 1 / 16
"""Of a value, as a part of the range."""
PLAIN, RANGE, NORM = "additive", "range", "range and norm"
CASES = ((PLAIN, 8), (RANGE, 8), (NORM, 8), (PLAIN, 16), (RANGE, 16), (NORM, 16))
MOST_SECONDS = 5.0
"""Of a bank, of a holder and of the aggregator, in one round at these sizes."""


@dataclass(frozen=True)
class Row:
    proved: str
    banks: int
    parameters: int
    bits: int
    client_seconds: float
    holder_seconds: float
    server_seconds: float
    upload_bytes: int
    answer_bytes: int
    forgery_bits: float | None
    forgery_bits_of_a_life: float | None
    peak_rss_bytes: int


def make_updates(banks: int, parameters: int, bits: int) -> IntVector:
    """Normal around the middle of the range; int64 [banks, parameters]."""
    middle, rng = 1 << (bits - 1), np.random.default_rng(0)
    drawn = rng.normal(middle, DEVIATION * (1 << bits), (banks, parameters))
    return np.clip(np.rint(drawn), 0, (1 << bits) - 1).astype(np.int64)


def chosen_scheme(proved: str, parameters: int, bits: int) -> Scheme:
    """With a bound twice as long as the updates are."""
    if proved == PLAIN:
        return SCHEMES["additive"]
    return proven_scheme(2 * DEVIATION * (1 << bits) * float(np.sqrt(parameters)) if proved == NORM else None)


def measure_here(proved: str, banks: int, parameters: int, bits: int, rounds: int) -> Row:
    """The medians, in this process; sums are checked."""
    scheme = chosen_scheme(proved, parameters, bits)
    plan = plan_for(scheme, banks, parameters, bits)
    updates, deployment = make_updates(banks, parameters, bits), scheme.deploy(plan)
    names = tuple(f"bank-{row + 1}" for row in range(banks))
    clients, holders, server, transcript = list[float](), list[float](), list[float](), Transcript()
    for round_ in range(1, rounds + 1):
        cohort, made = scheme.cohort(plan, round_, names), list[float]()
        parties = {}
        for name, row in zip(names, updates, strict=True):
            started = time.process_time()
            parties[name] = deployment.client(cohort, name, row)
            made.append(time.process_time() - started)
        parties |= deployment.trustees(cohort)
        outcome = run_protocol(cohort, deployment.server(cohort), parties, transcript, clock=time.process_time)
        assert (outcome.sum.total == updates.sum(axis=0)).all()
        clients += [outcome.party_seconds[name] + more for name, more in zip(names, made, strict=True)]
        holders += [outcome.party_seconds[name] for name in scheme.trustees]
        server.append(outcome.server_seconds)
    sent, figures = transcript.uploads(1), plan.derived()
    return Row(
        proved=proved,
        banks=banks,
        parameters=parameters,
        bits=bits,
        client_seconds=float(np.median(clients)),
        holder_seconds=float(np.median(holders)),
        server_seconds=float(np.median(server)),
        upload_bytes=sent[names[0]],
        answer_bytes=sent[scheme.trustees[0]],
        forgery_bits=figures.get("forgery_bits"),
        forgery_bits_of_a_life=figures.get("forgery_bits_of_a_life"),
        peak_rss_bytes=peak_rss_bytes(),
    )


def measure(proved: str, bits: int) -> dict[str, Any]:
    """The row of a case, measured in a child process with one thread."""
    arguments = [sys.executable, "-m", "benchmarks.proofs", "--here", proved, str(bits)]
    one_thread = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, env=one_thread)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def with_ratios(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with what they cost beside the row without proofs of as many bits."""
    plain = {row["bits"]: row for row in rows if row["proved"] == PLAIN}
    return [
        row
        | {
            "client_times": row["client_seconds"] / plain[row["bits"]]["client_seconds"],
            "upload_times": row["upload_bytes"] / plain[row["bits"]]["upload_bytes"],
        }
        for row in rows
    ]


def shown(row: Mapping[str, Any]) -> str:
    kept = max(row[f"{who}_seconds"] for who in ("client", "holder", "server")) <= MOST_SECONDS
    sound = "" if row["forgery_bits"] is None else f"; forged with 2**-{row['forgery_bits']:.0f}"
    return (
        f"{row['banks']} banks x {row['parameters']:,} x {row['bits']} bits, {row['proved']}: "
        f"client {row['client_seconds']:.4f} s, holder {row['holder_seconds']:.4f} s, "
        f"server {row['server_seconds']:.4f} s; up {row['upload_bytes']:,} B ({row['upload_times']:.1f} times), "
        f"holder's answers {row['answer_bytes']:,} B{sound}; peak {row['peak_rss_bytes'] / 1e9:.2f} GB; "
        + ("kept" if kept else "NOT KEPT")
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="What it costs to prove that updates are in range and under a bound.")
    parser.add_argument("--json", type=Path, help="where the rows go")
    parser.add_argument("--here", nargs=2, metavar=("PROVED", "BITS"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.here:
        row = measure_here(given.here[0], BANKS, PARAMETERS, int(given.here[1]), ROUNDS)
        print(json.dumps(asdict(row)))
        return
    rows = with_ratios([measure(*case) for case in CASES])
    for shown_row in rows:
        print(shown(shown_row))
    if given.json:
        given.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
