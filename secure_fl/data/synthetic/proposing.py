"""From the `synthesize` command to the store of patterns: nothing gets there without being validated.

The file of proposals keeps everything that was obtained, with its origin; the store keeps what validation said of it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from secure_fl.data.synthetic.command import Spending, Synthesis, synthesize
from secure_fl.data.synthetic.leakage import RealRows
from secure_fl.data.synthetic.proposals import DEFAULT_FILE, read_proposals
from secure_fl.data.synthetic.review import submit
from secure_fl.data.synthetic.store import PatternStore
from secure_fl.data.synthetic.validation import Verdict, objection
from secure_fl.errors import SyntheticError


def synthesize_into(
    count: int,
    built_in: bool,
    out: Path | None,
    folder: Path | None,
    *,
    spending: Spending,
    progress: Callable[[str, int, int], None],
    batch: int | None = None,
    temperature: float | None = None,
    timeout: float | None = None,
) -> list[str]:
    """Obtain patterns, validate them against simulated rows, and take them into the store; what to print.

    `folder`: of the store, None for the user's. Raises as `synthesize` does; what there is, is stored.
    """
    store = PatternStore.of_user(folder)
    store.read()  # a store that was tampered with is found before anything costs
    try:
        done = synthesize(
            count,
            built_in,
            out,
            spending=spending,
            batch=batch,
            timeout=timeout,
            temperature=temperature,
            progress=progress,
            check=objection,
        )
    except SyntheticError:
        path = out or DEFAULT_FILE
        if path.exists():
            _submit(store, path)
        raise
    return _summary(done, _submit(store, done.path))


def _submit(store: PatternStore, path: Path) -> tuple[Verdict, ...]:
    return submit(store, read_proposals(path).proposals, RealRows.simulated(), np.random.default_rng(1))


def _summary(done: Synthesis, verdicts: tuple[Verdict, ...]) -> list[str]:
    accepted = sum(verdict.accepted for verdict in verdicts)
    lines = [f"{done.path}: {len(done.proposals)} patterns of the {done.source}"]
    if done.requests or done.cached:
        cost = f", cost {done.cost:.4f}" if done.cost else ""
        lines.append(f"{done.requests} requests, {done.cached} answers from the cache, {done.tokens} tokens{cost}")
    lines += [f"asked again {times} x: {reason}" for reason, times in done.rejected.items()]
    lines.append(
        f"new in the store: {accepted} valid, waiting for secure-fl review; {len(verdicts) - accepted} rejected"
    )
    lines += [f"rejected {v.digest[:12]}: {v.reason}" for v in verdicts if not v.accepted]
    return lines
