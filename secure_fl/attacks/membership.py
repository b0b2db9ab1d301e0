"""Membership inference: was this transaction among those that the final model was trained on?

The attacker has the final model of a federation and a pool of records, of which a random half is in the training sets
of the banks. To leak, a model must have learned its rows by heart: so each bank has few rows (`rows`) and passes over
them many times. Frauds are rare, and rare rows leak most, so the pool holds more of them than the data, and figures
are also given for frauds alone. Every model comes from the real rounds, with banks, scheme and, where asked for,
DP-SGD.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.attacks.judging import bootstrap
from secure_fl.attacks.lira import Measured, Population, advantage_bound, measure_lira, measure_loss
from secure_fl.attacks.scene import Scene, changed
from secure_fl.bank import Bank
from secure_fl.datasets import BankData
from secure_fl.errors import ConfigurationError
from secure_fl.federation import run_round
from secure_fl.global_model import GlobalModel
from secure_fl.privacy import RowPrivacy, training_settings
from secure_fl.quantization import next_clip
from secure_fl.training import initial_weights, predict
from secure_fl.training.model import FlatWeights

Progress = Callable[[str, int, int], None]
Places = tuple[NDArray[np.int64], ...]
"""For each bank, places in its training rows."""


@dataclass(frozen=True)
class Budget:
    """(epsilon, delta) of record-level differential privacy over the whole training."""

    epsilon: float
    delta: float


TrainTarget = Callable[[Scene, Places, Budget | None], FlatWeights]
"""Trains a federation on the rows at these places, seed from the scene's experiment; the final weights."""

FALSE_POSITIVE_RATES = (0.001, 0.01)
FRAUD_SHARE = 0.2
"""Of the pool, as far as the banks have so many."""
FEWEST_MODELS = 8
PRIVATE = {"local_epochs": 2, "learning_rate": 0.01, "dropout": 0.0, "positive_weight": 1.0}
"""How a bank trains with DP-SGD here: fewer steps, on a third of its rows each."""


@dataclass(frozen=True)
class Pool:
    """Twice as many records of each bank as a model is trained on."""

    places: Places

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.bool_], ...]:
        """For each bank a random half."""
        halves = [np.arange(len(places)) < len(places) // 2 for places in self.places]
        return tuple(rng.permutation(half) for half in halves)


def draw_pool(scene: Scene, rows: int, rng: np.random.Generator) -> Pool:
    """Raises `ConfigurationError` where `rows` are too few to learn from or more than half of a bank's."""
    most = min(len(bank.train) for bank in scene.dataset.banks) // 2
    if not 50 <= rows <= most:
        raise ConfigurationError(f"--rows {rows} is refused; use 50 to {most}, half of the smallest bank's rows")
    places = []
    for bank in scene.dataset.banks:
        frauds, honest = np.flatnonzero(bank.train.fraud), np.flatnonzero(~bank.train.fraud)
        taken = rng.choice(frauds, size=min(len(frauds), round(2 * rows * FRAUD_SHARE)), replace=False)
        places.append(np.concatenate([taken, rng.choice(honest, size=2 * rows - len(taken), replace=False)]))
    return Pool(tuple(places))


def run_membership(
    scene: Scene,
    budgets: Sequence[Budget | None],
    rows: int,
    models: int,
    rng: np.random.Generator,
    progress: Progress,
    train_target: TrainTarget | None = None,
) -> list[dict[str, Any]]:
    """A row of figures for each budget; None: without differential privacy. Raises `ConfigurationError`."""
    if models < FEWEST_MODELS:
        raise ConfigurationError(f"{models} models are too few to attack each with the others; use {FEWEST_MODELS}")
    pool = draw_pool(scene, rows, rng)
    results = []
    for budget in budgets:
        population = train_population(scene, pool, models, budget, rng, progress, train_target or train_federation)
        results.append(_figures(scene, budget, population, rows, rng))
    return results


def train_population(
    scene: Scene,
    pool: Pool,
    models: int,
    budget: Budget | None,
    rng: np.random.Generator,
    progress: Progress,
    train_target: TrainTarget,
) -> Population:
    """`models` federations, each on a random half of the pool, and what each says about every record."""
    whole = [_bank(scene, number, places).examples for number, places in enumerate(pool.places)]
    features = np.concatenate([examples.features for examples in whole])
    fraud = np.concatenate([examples.fraud for examples in whole])
    confidence, member = [], []
    name = "models, no DP" if budget is None else f"models, epsilon {budget.epsilon:g}"
    for number in range(models):
        progress(name, number, models)
        halves = pool.draw(rng)
        seeded = _changed(scene, seed=int(rng.integers(2**31)))
        chosen = tuple(places[half] for places, half in zip(pool.places, halves, strict=True))
        confidence.append(_confidence(train_target(seeded, chosen, budget), features, fraud))
        member.append(np.concatenate(halves))
    progress(name, models, models)
    return Population(np.array(confidence), np.array(member), fraud)


def train_federation(scene: Scene, places: Places, budget: Budget | None) -> FlatWeights:
    """The rounds of `run_federation` with the real banks, without baselines and without a test after each."""
    if budget is not None:
        batch = max(1, len(places[0]) // 3)
        scene = _changed(scene, epsilon=budget.epsilon, delta=budget.delta, batch_size=batch, **PRIVATE)
    banks = tuple(_bank(scene, number, rows) for number, rows in enumerate(places))
    experiment, aggregation = scene.experiment, scene.aggregation()
    examples = float(np.mean([len(bank.examples) for bank in banks]))
    steps = np.ceil(examples / experiment.batch_size) * experiment.local_epochs
    model = GlobalModel(initial_weights(experiment.seed), float(2 * experiment.learning_rate * steps), examples)
    for number in range(1, experiment.rounds + 1):
        done = run_round(aggregation, banks, model, model.to_bytes(), number)
        assert done.clipped_fraction is not None, "there is no distributed noise here"
        model = model.updated(done.mean, next_clip(done.mean.update, model.clip, done.clipped_fraction))
    return model.weights


def _bank(scene: Scene, number: int, places: NDArray[np.int64]) -> Bank:
    data, experiment, rows = scene.dataset.banks[number], scene.experiment, None
    if experiment.private_rows:
        settings = training_settings(experiment)
        rows = RowPrivacy.of_bank(experiment, settings, data.name, len(places), folder=None, resume=False)
    bank = Bank(BankData(data.name, data.train.take(places), data.test), number + 1, experiment, rows)
    bank.adopt(scene.schema)
    return bank


def _changed(scene: Scene, **settings: Any) -> Scene:
    return replace(scene, experiment=changed(scene.experiment, **settings))


def _confidence(weights: FlatWeights, features: NDArray[np.float32], fraud: NDArray[np.bool_]) -> NDArray[np.float64]:
    """log(p / (1 - p)) with p the probability of the true label, [n]."""
    p = np.clip(predict(weights, features), 1e-12, 1 - 1e-12)
    logit: NDArray[np.float64] = np.log(p / (1 - p))
    return np.where(fraud, logit, -logit)


def _figures(
    scene: Scene, budget: Budget | None, population: Population, rows: int, rng: np.random.Generator
) -> dict[str, Any]:
    everything = np.ones(len(population.fraud), dtype=bool)
    lira = measure_lira(population, everything, FALSE_POSITIVE_RATES)
    return {
        "batch": scene.experiment.batch_size,
        "epsilon": None if budget is None else budget.epsilon,
        "delta": None if budget is None else budget.delta,
        "rows": rows,
        "trials": len(population.member),
        "success_rate": float(lira.advantage.mean()),
        "interval": list(bootstrap(lira.advantage, rng)),
        "guessing": 0.0,
        "bound": None if budget is None else advantage_bound(budget.epsilon, budget.delta),
        "lira": _attack_figures(lira, rng),
        "lira_on_frauds": _attack_figures(measure_lira(population, population.fraud, FALSE_POSITIVE_RATES), rng),
        "loss": _attack_figures(measure_loss(population, everything, FALSE_POSITIVE_RATES), rng),
        "frauds_in_pool": int(population.fraud.sum()),
        "records_in_pool": len(population.fraud),
    }


def _attack_figures(measured: Measured, rng: np.random.Generator) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "advantage": float(measured.advantage.mean()),
        "interval": list(bootstrap(measured.advantage, rng)),
    }
    for rate, values in measured.tpr_at.items():
        name = f"tpr_at_fpr_{rate:g}"
        figures[name] = float(values.mean())
        figures[f"{name}_interval"] = list(bootstrap(values, rng))
    return figures
