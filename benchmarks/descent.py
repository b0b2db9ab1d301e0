"""What training on encrypted rows costs, ours and TenSEAL's tutorial: one process, processor seconds of one core.

    .venv/bin/python -m benchmarks.descent --json FILE

Rows are random and standardized, with labels that follow them. Ours: each row and epoch is charged with its share of
the trainer's and of the owner's work, encrypting the rows apart. The peer does the same for a handful of rows, each of
which costs as much as any other. Errors are those of the largest weight against the same descent in float64; each
design's own, since sigmoid and decay differ.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from secure_fl.bench.machine import describe_machine
from secure_fl.bench.peers.tenseal_training import TUTORIAL, WORKING, TutorialParameters, train
from secure_fl.scoring.descent import DescentPlan, RowOwner, Trainer, descend, plan_descent

FEATURES, ROWS, EPOCHS, CLIP, RATE, PEER_ROWS = 32, 4096, 3, 4.0, 1.0, 8
OURS = "ours"
Value = TypeVar("Value")


@dataclass(frozen=True)
class Row:
    design: str
    rows: int
    features: int
    epochs: int
    degree: int
    coeff_mod_bit_sizes: tuple[int, ...]
    trainer_seconds: float
    """A row and epoch."""
    owner_seconds: float
    """A row and epoch: weights encrypted and gradients decrypted; 0 for the peer, where it is not counted."""
    encrypt_seconds: float
    """A row, once."""
    plain_seconds: float | None
    """A row and epoch of the same descent in float64."""
    upload_bytes_per_row: float
    weights_bytes: int
    """Up, an epoch; 0 for the peer."""
    gradient_bytes: int
    """Down, an epoch."""
    key_bytes: int
    max_abs_error: float
    error_bound: float | None


def random_examples(rows: int, features: int = FEATURES) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(1)
    values = np.clip(rng.normal(size=(rows, features)), -CLIP, CLIP)
    return values, (values @ rng.normal(size=features) + rng.normal(size=rows) > 0).astype(np.float64)


class Watch:
    """Processor seconds by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, name: str, work: Callable[..., Value], *arguments: Any) -> Value:
        started = time.process_time()
        value = work(*arguments)
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - started
        return value


def measure_ours(plan: DescentPlan, rows: NDArray[np.float64], labels: NDArray[np.float64]) -> Row:
    watch, task = Watch(), plan.task
    owner = RowOwner(plan, rows, labels)
    keys = owner.keys()
    trainer = Trainer(plan, keys)
    sent = watch("encrypt", lambda: list(owner.training_rows()))
    for batch in sent:
        watch("trainer", trainer.accept, batch)
    while owner.epochs_left:
        request = watch("owner", owner.request)
        reply = watch("trainer", trainer.gradient, request)
        watch("owner", owner.update, reply)
    wanted = watch("plain", descend, task, rows, labels)
    share = task.rows * task.epochs
    return Row(
        design=OURS,
        rows=task.rows,
        features=task.features,
        epochs=task.epochs,
        degree=plan.parameters.degree,
        coeff_mod_bit_sizes=plan.parameters.coeff_mod_bit_sizes,
        trainer_seconds=watch.seconds["trainer"] / share,
        owner_seconds=watch.seconds["owner"] / share,
        encrypt_seconds=watch.seconds["encrypt"] / task.rows,
        plain_seconds=watch.seconds["plain"] / share,
        upload_bytes_per_row=sum(map(len, sent)) / task.rows,
        weights_bytes=len(request),
        gradient_bytes=len(reply),
        key_bytes=len(keys),
        max_abs_error=float(np.abs(np.append(owner.bias, owner.weights) - wanted).max()),
        error_bound=plan.error_bound,
    )


def measure_peer(
    parameters: TutorialParameters, rows: NDArray[np.float64], labels: NDArray[np.float64], epochs: int
) -> Row:
    found = train(parameters, rows, labels, epochs, time.process_time)
    return Row(
        design=parameters.name,
        rows=len(rows),
        features=rows.shape[1],
        epochs=epochs,
        degree=parameters.degree,
        coeff_mod_bit_sizes=parameters.coeff_mod_bit_sizes,
        trainer_seconds=found.train_seconds / (len(rows) * epochs),
        owner_seconds=0.0,
        encrypt_seconds=found.encrypt_seconds / len(rows),
        plain_seconds=None,
        upload_bytes_per_row=found.upload_bytes / len(rows),
        weights_bytes=0,
        gradient_bytes=0,
        key_bytes=found.key_bytes,
        max_abs_error=found.max_abs_error,
        error_bound=None,
    )


def measured() -> Iterator[Row]:
    """Ours, and each setting of the peer."""
    plan = plan_descent(FEATURES, ROWS, clip=CLIP, rate=RATE, epochs=EPOCHS)
    yield measure_ours(plan, *random_examples(ROWS))
    for parameters in (TUTORIAL, WORKING):
        yield measure_peer(parameters, *random_examples(PEER_ROWS), EPOCHS)


def shown(row: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    each = row["trainer_seconds"] + row["owner_seconds"]
    ratio = each / (ours["trainer_seconds"] + ours["owner_seconds"])
    bound = "" if row["error_bound"] is None else f" (bound {row['error_bound']:.1e})"
    plain = "" if row["plain_seconds"] is None else f", in the clear {row['plain_seconds'] * 1e3:.6f}"
    return (
        f"{row['design']}, {row['degree']} {list(row['coeff_mod_bit_sizes'])}, {row['rows']:,} rows: "
        f"{each * 1e3:.4f} ms a row and epoch (trainer {row['trainer_seconds'] * 1e3:.4f}, owner "
        f"{row['owner_seconds'] * 1e3:.4f}{plain}), {ratio:,.1f} x ours; encrypting "
        f"{row['encrypt_seconds'] * 1e3:.4f} ms and {row['upload_bytes_per_row']:,.0f} B a row; keys "
        f"{row['key_bytes'] / 1e6:,.1f} MB; an epoch {row['weights_bytes'] / 1e6:.1f} MB up, "
        f"{row['gradient_bytes'] / 1e6:.1f} MB down; largest error of a weight {row['max_abs_error']:.1e}{bound}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="What training on encrypted rows costs.")
    parser.add_argument("--json", type=Path, help="where the rows go")
    given = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    for row in measured():
        rows.append(asdict(row))
        print(shown(rows[-1], rows[0]), flush=True)
    if given.json:
        document = {"machine": describe_machine(), "rows": rows}
        given.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
