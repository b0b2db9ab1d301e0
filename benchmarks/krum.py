"""What Multi-Krum on ciphertexts costs, beside Multi-Krum on plaintexts: one process for each size, one core.

    .venv/bin/python -m benchmarks.krum --json docs/figures/krum.json

Seconds are those of the processor, of one thread: on a machine with nothing else to do they are those of the clock. A
row is the round of the median. `distances_seconds` is all that the choice takes: the aggregator's squares,
totals and masks, the key authority's opening of them, checks and rule. Loading and checking uploads, encrypting them at
the banks, and the sum of the chosen ones are apart from it. `plaintext_seconds` is the same rule on the same updates in
float64, without any encryption; both choose the same banks, or the row says that they do not. The peers' own figures
are theirs, on their machines: `PEERS` says where they stand.
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
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from secure_fl.bench.schemes.measuring import peak_rss_bytes
from secure_fl.federation.checked_sums import choose
from secure_fl.robust.multi_krum import multi_krum
from secure_fl.secagg.budget.krum import KrumPlan
from secure_fl.secagg.he.words import KEY_AUTHORITY
from secure_fl.secagg.krum.deployment import KrumDeployment, krum_scheme
from secure_fl.secagg.krum.wire import SELECT
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.planning import plan_for
from secure_fl.secagg.protocol import Party, run_protocol
from secure_fl.secagg.transcript import Transcript

BYZANTINE, BITS = 2, 8
SIZES = ((10, 10_369), (10, 1_000_000))
REPEAT = 5
LIMITS: Mapping[tuple[int, int], tuple[float, float]] = {(10, 10_369): (0.3, 1.5e9), (10, 1_000_000): (30.0, 1.5e9)}
"""What each size must stay below: seconds for distances, bytes of memory at the peak."""
PEERS = (
    "BF-HE: 9 to 26 s an aggregation, as its paper has it; Lancelot (Nature Machine Intelligence, 2025): on a GPU",
)


@dataclass(frozen=True)
class Row:
    banks: int
    parameters: int
    bits: int
    byzantine: int
    encrypt_seconds: float
    """One bank's upload."""
    check_seconds: float
    """Loading and checking all uploads."""
    distances_seconds: float
    """Squares, totals and masks at the aggregator, opening and choosing at the key authority."""
    choose_seconds: float
    """The key authority's part of it."""
    sum_seconds: float
    """Adding the chosen banks' ciphertexts, opening and decoding them."""
    plaintext_seconds: float
    same_choice: bool
    upload_bytes: int
    totals_bytes: int
    peak_rss_bytes: int


def make_updates(banks: int, parameters: int) -> IntVector:
    """Around one direction, but for the last ones, which are flipped and scaled by 4; int64 [banks, parameters]."""
    rng = np.random.default_rng(0)
    direction = rng.normal(0, 12, parameters)
    updates = np.empty((banks, parameters), dtype=np.int64)
    for row in range(banks):
        sign = -4 if row >= banks - BYZANTINE else 1
        updates[row] = np.clip(np.rint(128 + sign * direction + rng.normal(0, 12, parameters)), 0, 255)
    return updates


def plaintext_choice(updates: IntVector) -> tuple[int, ...]:
    """What the rule chooses in plaintext."""
    return multi_krum(updates.astype(np.float64), BYZANTINE).chosen


class Timed:
    """A party, and when it was asked and had answered, in seconds."""

    def __init__(self, party: Party) -> None:
        self._party = party
        self.calls: list[tuple[float, float]] = []

    def respond(self, request: bytes) -> bytes:
        started = time.process_time()
        answer = self._party.respond(request)
        self.calls.append((started, time.process_time()))
        return answer


def measure_round(updates: IntVector, plan: KrumPlan, deployment: KrumDeployment, round_: int) -> Row:
    banks = tuple(f"bank-{row + 1}" for row in range(len(updates)))
    cohort = Cohort(plan, round_, banks, (KEY_AUTHORITY,))
    clients = {bank: Timed(deployment.client(cohort, bank, row)) for bank, row in zip(banks, updates, strict=True)}
    authority = Timed(deployment.authority(cohort))
    transcript = Transcript()
    started = time.process_time()
    outcome = run_protocol(
        cohort, deployment.server(cohort), {**clients, KEY_AUTHORITY: authority}, transcript, clock=time.process_time
    )
    ended = time.process_time()
    asked, chosen = authority.calls[0]
    uploads = [call for client in clients.values() for call in client.calls]
    encrypting = [stop - start for start, stop in uploads]
    last_upload = max(stop for _, stop in uploads)
    checks = (last_upload - started - sum(encrypting)) * len(banks) / (len(banks) - 1)  # the last one is checked later
    plain = time.process_time()
    chosen_in_plain = {banks[row] for row in plaintext_choice(updates)}
    plain = time.process_time() - plain
    assert (outcome.sum.total == updates[[banks.index(b) for b in outcome.sum.contributors]].sum(axis=0)).all()
    return Row(
        banks=len(banks),
        parameters=plan.parameters,
        bits=BITS,
        byzantine=BYZANTINE,
        encrypt_seconds=float(np.median(encrypting)),
        check_seconds=checks,
        distances_seconds=chosen - last_upload - checks / len(banks),
        choose_seconds=chosen - asked,
        sum_seconds=ended - chosen,
        plaintext_seconds=plain,
        same_choice=chosen_in_plain == outcome.sum.contributors,
        upload_bytes=max(transcript.uploads(round_)[bank] for bank in banks),
        totals_bytes=next(d.nbytes for d in transcript.deliveries if d.stage == SELECT),
        peak_rss_bytes=peak_rss_bytes(),
    )


def measure_here(banks: int, parameters: int, repeat: int) -> Row:
    """The median round, in this process."""
    select = partial(choose, byzantine=BYZANTINE)
    scheme = krum_scheme(select)
    plan = plan_for(scheme, banks, parameters, BITS)
    assert isinstance(plan, KrumPlan)
    deployment = KrumDeployment(plan, select)
    updates = make_updates(banks, parameters)
    rows = [measure_round(updates, plan, deployment, round_) for round_ in range(1, repeat + 1)]
    return sorted(rows, key=lambda row: row.distances_seconds)[len(rows) // 2]


def measure(banks: int, parameters: int, repeat: int) -> dict[str, Any]:
    """The row of a size, measured in a child process with one thread."""
    arguments = [sys.executable, "-m", "benchmarks.krum", "--here", str(banks), str(parameters), str(repeat)]
    one_thread = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, env=one_thread)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def shown(row: Mapping[str, Any]) -> str:
    seconds, memory = LIMITS.get((row["banks"], row["parameters"]), (float("inf"), float("inf")))
    kept = row["distances_seconds"] <= seconds and row["peak_rss_bytes"] <= memory and row["same_choice"]
    seconds_of = {name[: -len("_seconds")]: value for name, value in row.items() if name.endswith("_seconds")}
    return (
        f"{row['banks']} banks x {row['parameters']:,}: "
        + ", ".join(f"{name} {value:.4f} s" for name, value in seconds_of.items())
        + f"; up {row['upload_bytes']:,} B, totals {row['totals_bytes']:,} B; "
        + f"peak {row['peak_rss_bytes'] / 1e9:.2f} GB; "
        + ("kept" if kept else "NOT KEPT")
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="What Multi-Krum on ciphertexts costs.")
    parser.add_argument("--json", type=Path, help="where the rows go")
    parser.add_argument("--here", type=int, nargs=3, metavar=("BANKS", "PARAMETERS", "REPEAT"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.here:
        print(json.dumps(asdict(measure_here(*given.here))))
        return
    rows = [measure(*size, repeat=REPEAT if size[1] < 100_000 else 1) for size in SIZES]
    for row in rows:
        print(shown(row))
    if given.json:
        given.json.write_text(json.dumps({"rows": rows, "peers": PEERS}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
