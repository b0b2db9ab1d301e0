"""What scoring encrypted rows costs, and how far it is off: real transactions, one process, one core.

    .venv/bin/python -m benchmarks.scoring --json docs/figures/scoring.json

Models are trained here on the ULB transactions before the cut in time, and all rows after it are scored, every message
serialized. Seconds are those of the processor, of one thread; a row's are those of all batches divided by all rows
(`seconds_per_row`), and of the fastest full batch (`least_seconds_per_row`), which a busy machine disturbs less.
`auprc_plain` is the same network in float64, `auprc_model` the model as it was trained, with its ReLU. Single rows:
the median of `SINGLE_ROWS`, the largest error; the random network of 128-64-32-1 has inputs of deviation 0.5 and a
clip range of +-2.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from torch import nn

from secure_fl.data.datasets import open_dataset
from secure_fl.data.features import Examples, FeatureSchema, encode
from secure_fl.data.standardization import CLIP, Standardization
from secure_fl.scoring import (
    CompiledModel,
    DataOwner,
    Layer,
    Linear,
    ModelOwner,
    PlannedModel,
    Quadratic,
    compile_model,
    plain_logits,
    plan_batched,
    plan_single,
)
from secure_fl.settings import Experiment
from secure_fl.training.layers import layers_of
from secure_fl.training.model import Square

LOGISTIC, SQUARES, RELU, RANDOM = "logistic regression", "square 16-8", "ReLU 64-32", "random 128-64-32-1"
SEED, EPOCHS, BATCH = 1, 10, 512
SINGLE_ROWS = 20
RANDOM_CLIP = 2.0
LIMITS: Mapping[tuple[str, str], Mapping[str, float]] = {
    ("batched", LOGISTIC): {"seconds_per_row": 2e-5, "upload_bytes_per_row": 500, "key_bytes": 1e6, "auprc": 5e-4},
    ("batched", SQUARES): {"seconds_per_row": 1.5e-4, "upload_bytes_per_row": 1500, "key_bytes": 1e6, "auprc": 5e-4},
    ("batched", RELU): {"seconds_per_row": 5e-4, "upload_bytes_per_row": 1500, "key_bytes": 1e6, "auprc": 5e-4},
    ("single", RANDOM): {"seconds_per_row": 0.1, "max_abs_error": 0.01},
}
"""What each design must stay below; `auprc`: the difference between encrypted and plain."""


@dataclass(frozen=True)
class Row:
    design: str
    model: str
    rows: int
    degree: int
    coeff_mod_bit_sizes: tuple[int, ...]
    seconds_per_row: float
    """Encrypting, scoring and opening."""
    least_seconds_per_row: float
    encrypt_seconds_per_row: float
    score_seconds_per_row: float
    open_seconds_per_row: float
    plan_seconds: float
    upload_bytes_per_row: float
    download_bytes_per_row: float
    key_bytes: int
    max_abs_error: float
    error_bound: float
    usual_error_bound: float
    largest_logit: float
    auprc_encrypted: float | None
    auprc_plain: float | None
    auprc_model: float | None


def ulb_examples() -> tuple[Examples, Examples]:
    """Training and test rows of all banks, pooled, as models get them."""
    dataset = open_dataset(Experiment(dataset="ulb", seed=SEED))
    parts = [bank.train for bank in dataset.banks]
    numeric = np.concatenate([part.numeric for part in parts])
    scale = Standardization(tuple(numeric.mean(axis=0).tolist()), tuple(numeric.std(axis=0).tolist()))
    schema = FeatureSchema.create(parts[0].schema, scale, dataset.key)
    train, test = ([encode(part, schema) for part in side] for side in (parts, dataset.tests))
    return Examples.pooled(train), Examples.pooled(test)


def trained(name: str, train: Examples) -> tuple[Layer, ...]:
    """The layers of one of the models on real rows."""
    width = train.features.shape[1]
    torch.manual_seed(SEED)
    module, decay = {
        LOGISTIC: lambda: (nn.Sequential(nn.Linear(width, 1)), 0.0),
        SQUARES: lambda: (
            nn.Sequential(nn.Linear(width, 16), Square(16), nn.Linear(16, 8), Square(8), nn.Linear(8, 1)),
            1e-2,
        ),
        RELU: lambda: (
            nn.Sequential(
                nn.Linear(width, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.3),
                nn.Linear(32, 1),
            ),
            0.0,
        ),
    }[name]()  # fmt: skip
    rows, right = torch.tensor(train.features), torch.tensor(train.fraud, dtype=torch.float32)
    draws = torch.Generator().manual_seed(SEED)
    optimizer = torch.optim.AdamW(module.parameters(), lr=2e-3, eps=1e-3, weight_decay=decay)
    loss_of = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(10.0))
    for _ in range(EPOCHS):
        for chosen in torch.split(torch.randperm(len(rows), generator=draws), BATCH):
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(module(rows[chosen]).squeeze(-1), right[chosen])
            loss.backward()
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()
    return layers_of(module.eval())


def random_network() -> tuple[tuple[Layer, ...], NDArray[np.float64]]:
    """128-64-32-1 with squares, and rows for it."""
    rng = np.random.default_rng(SEED)
    layers: list[Layer] = []
    for inputs, outputs in ((128, 64), (64, 32), (32, 1)):
        if layers:
            layers.append(Quadratic(np.ones(inputs), np.zeros(inputs), np.zeros(inputs)))
        layers.append(Linear(rng.normal(0, inputs**-0.5, (outputs, inputs)), rng.normal(0, 0.1, outputs)))
    return tuple(layers), np.clip(rng.normal(0, 0.5, (2000, 128)), -RANDOM_CLIP, RANDOM_CLIP)


class Stopwatch:
    """Seconds of the processor by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {"encrypt": [], "score": [], "open": []}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        started = time.process_time()
        yield
        self.seconds[name].append(time.process_time() - started)


def measure(
    design: str,
    name: str,
    compiled: CompiledModel,
    rows: NDArray[np.float64],
    fraud: NDArray[np.bool_] | None = None,
    layers: Sequence[Layer] = (),
) -> Row:
    """Scores the rows as encrypted; `fraud` and `layers`: to compare precision and recall with the model's own."""
    started = time.process_time()
    model = plan_batched(compiled) if design == "batched" else plan_single(compiled)
    planned = time.process_time() - started
    owner, watch = DataOwner(model.plan), Stopwatch()
    keys = owner.keys()
    scorer = ModelOwner(model, keys)
    logits, sent, answered = [], 0, 0
    requests = owner.encrypt(rows)
    for _ in range(0, len(rows), model.plan.rows_per_batch):
        with watch("encrypt"):
            request = next(requests)
        with watch("score"):
            reply = scorer.score(request)
        with watch("open"):
            logits.append(owner.open(reply))
        sent, answered = sent + len(request), answered + len(reply)
    encrypted = np.concatenate(logits)
    return _row(design, name, model, rows, encrypted, watch, fraud, layers, planned, (len(keys), sent, answered))


def _row(
    design: str,
    name: str,
    model: PlannedModel,
    rows: NDArray[np.float64],
    encrypted: NDArray[np.float64],
    watch: Stopwatch,
    fraud: NDArray[np.bool_] | None,
    layers: Sequence[Layer],
    planned: float,
    sizes: tuple[int, int, int],
) -> Row:
    plan = model.plan
    plain = model.network.logits(rows[:, list(plan.positions)])
    each = np.array([watch.seconds[part] for part in ("encrypt", "score", "open")])
    average = np.sum if design == "batched" else np.median
    share = len(rows) if design == "batched" else 1
    encrypt, score, opened = (float(average(part)) / share for part in each)

    def auprc(scores: NDArray[np.float64]) -> float | None:
        return None if fraud is None else float(average_precision_score(fraud, scores))

    full = max(len(rows) // plan.rows_per_batch, 1)
    return Row(
        design=design,
        model=name,
        rows=len(rows),
        degree=plan.parameters.degree,
        coeff_mod_bit_sizes=plan.parameters.coeff_mod_bit_sizes,
        seconds_per_row=encrypt + score + opened,
        least_seconds_per_row=float(each.sum(axis=0)[:full].min()) / min(plan.rows_per_batch, len(rows)),
        encrypt_seconds_per_row=encrypt,
        score_seconds_per_row=score,
        open_seconds_per_row=opened,
        plan_seconds=planned,
        upload_bytes_per_row=sizes[1] / len(rows),
        download_bytes_per_row=sizes[2] / len(rows),
        key_bytes=sizes[0],
        max_abs_error=float(np.abs(encrypted - plain).max()),
        error_bound=plan.error_bound,
        usual_error_bound=plan.usual_error_bound,
        largest_logit=plan.largest_logit,
        auprc_encrypted=auprc(encrypted),
        auprc_plain=auprc(plain),
        auprc_model=auprc(plain_logits(layers, rows)) if layers else None,
    )


def kept(row: Mapping[str, Any]) -> bool:
    """Whether a row keeps the limits of its design and model, and its own bound."""
    limits = LIMITS.get((row["design"], row["model"]), {})
    gap = 0.0 if row["auprc_plain"] is None else abs(row["auprc_encrypted"] - row["auprc_plain"])
    values = {**row, "auprc": gap}
    return all(values[name] <= limit for name, limit in limits.items()) and row["max_abs_error"] <= row["error_bound"]


def shown(row: Mapping[str, Any]) -> str:
    scores = "" if row["auprc_plain"] is None else (
        f"AUPRC {row['auprc_encrypted']:.5f}, plain {row['auprc_plain']:.5f}, model {row['auprc_model']:.5f}; "
    )  # fmt: skip
    return (
        f"{row['design']}, {row['model']}, {row['rows']:,} rows: {row['seconds_per_row'] * 1e3:.4f} ms a row (fastest "
        f"{row['least_seconds_per_row'] * 1e3:.4f}), of which encrypting {row['encrypt_seconds_per_row'] * 1e3:.4f}; "
        f"up {row['upload_bytes_per_row']:,.0f} B, down {row['download_bytes_per_row']:,.0f} B a row, keys "
        f"{row['key_bytes']:,} B; {scores}error {row['max_abs_error']:.2g}, bound {row['error_bound']:.2g} (usual rows "
        f"{row['usual_error_bound']:.2g}); " + ("kept" if kept(row) else "NOT KEPT")
    )


def measured() -> Iterator[Row]:
    """All rows, one after the other."""
    train, test = ulb_examples()
    training, rows = train.features.astype(np.float64), test.features.astype(np.float64)
    for name in (LOGISTIC, SQUARES, RELU):
        layers = trained(name, train)
        compiled = compile_model(layers, training, CLIP)
        yield measure("batched", name, compiled, rows, test.fraud, layers)
        yield measure("single", name, compiled, rows[:SINGLE_ROWS])
    random, made_up = random_network()
    yield measure("single", RANDOM, compile_model(random, made_up, RANDOM_CLIP), made_up[:SINGLE_ROWS])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="What scoring encrypted rows costs.")
    parser.add_argument("--json", type=Path, help="where the rows go")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows = []
    for row in measured():
        rows.append(asdict(row))
        print(shown(rows[-1]), flush=True)
    if given.json:
        given.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
