"""Membership inference: was this transaction among those that the final model was trained on?

The attacker has the final model of a federation and a pool of records, each of which a coin of its own put into the
training set of its bank or left out. So the stated bound, which is for one row added, holds for each record; were
exact halves drawn, one record's membership would tell of the others'. Figures are means over several pools, with
Student's interval over pools: models of one pool share their records and each other's shadow models, so they are no
independent trials.

To leak, a model must have learned its rows by heart: so each bank has few rows (`rows`) and passes over them many
times. Frauds are rare, and rare rows leak most, so the pool holds more of them than the data, and figures are also
given for frauds alone. Every model comes from the real rounds, with banks, scheme and, where asked for, DP-SGD.

Left out: round 0's statistics, which are public here, and the number of rows of a bank, which a private run takes to
be public too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.attacks.judging import interval_of_mean
from secure_fl.attacks.lira import Mask, Measured, Population, advantage_bound, measure_lira, measure_loss
from secure_fl.attacks.scene import Scene, changed
from secure_fl.data.datasets import BankData
from secure_fl.errors import ConfigurationError
from secure_fl.federation.bank import Bank
from secure_fl.federation.global_model import GlobalModel
from secure_fl.federation.rounds import run_round
from secure_fl.privacy.rows import RowPrivacy
from secure_fl.progress import Progress
from secure_fl.settings import Steps
from secure_fl.training import initial_weights, predict
from secure_fl.training.model import FlatWeights

Places = tuple[NDArray[np.int64], ...]
"""For each bank, places in its training rows."""


@dataclass(frozen=True)
class Budget:
    """(epsilon, delta) of record-level differential privacy over the whole training."""

    epsilon: float
    delta: float


TrainTarget = Callable[[Scene, Places], FlatWeights]
"""Trains a federation on the rows at these places, as the scene's experiment says; the final weights."""

Measure = Callable[[Population, Mask, tuple[float, ...]], Measured]

FALSE_POSITIVE_RATES = (0.001, 0.01)
FRAUD_SHARE = 0.2
"""Of the pool, as far as the banks have so many."""
FEWEST_MODELS = 8
"""Of one pool."""
FEWEST_POOLS = 3
PRIVATE = {"local_epochs": 2, "learning_rate": 0.01, "dropout": 0.0, "positive_weight": 1.0}
"""How a bank trains with DP-SGD here: fewer steps, on a third of its rows each."""


@dataclass(frozen=True)
class Pool:
    """Twice as many records of each bank as a model is trained on, in the mean."""

    places: Places

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.bool_], ...]:
        """For each bank who is in: a fair coin for each record."""
        return tuple(rng.random(len(places)) < 0.5 for places in self.places)


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
    pools: int,
    rng: np.random.Generator,
    progress: Progress,
    train_target: TrainTarget | None = None,
) -> list[dict[str, Any]]:
    """A row of figures for each budget; None: without differential privacy. Raises `ConfigurationError`.

    `rows`: training rows of a bank, in the mean; `models`: federations trained on each of the `pools`.
    """
    if models < FEWEST_MODELS:
        raise ConfigurationError(f"{models} models are too few to attack each with the others; use {FEWEST_MODELS}")
    if pools < FEWEST_POOLS:
        raise ConfigurationError(f"{pools} pools are too few for an interval over pools; use {FEWEST_POOLS}")
    drawn = [draw_pool(scene, rows, rng) for _ in range(pools)]
    results = []
    for budget in budgets:
        trained_as, populations = _protected(scene, budget, rows), []
        for number, pool in enumerate(drawn, start=1):
            name = f"pool {number} of {pools}, {'no DP' if budget is None else f'epsilon {budget.epsilon:g}'}"
            train = train_target or train_federation
            populations.append(train_population(trained_as, pool, models, rng, partial(progress, name), train))
        results.append(_figures(trained_as, budget, populations, rows))
    return results


def train_population(
    scene: Scene,
    pool: Pool,
    models: int,
    rng: np.random.Generator,
    progress: Callable[[int, int], None],
    train_target: TrainTarget,
) -> Population:
    """`models` federations, each on some of the pool, and what each says about every record."""
    whole = [_bank(scene, number, places).examples for number, places in enumerate(pool.places)]
    features = np.concatenate([examples.features for examples in whole])
    fraud = np.concatenate([examples.fraud for examples in whole])
    confidence, member = [], []
    for number in range(models):
        progress(number, models)
        drawn = pool.draw(rng)
        seeded = _changed(scene, seed=int(rng.integers(2**31)))
        chosen = tuple(places[inside] for places, inside in zip(pool.places, drawn, strict=True))
        confidence.append(_confidence(train_target(seeded, chosen), features, fraud))
        member.append(np.concatenate(drawn))
    progress(models, models)
    return Population(np.array(confidence), np.array(member), fraud)


def train_federation(scene: Scene, places: Places) -> FlatWeights:
    """The rounds of `run_federation` with the real banks, without baselines and without a test after each."""
    banks = tuple(_bank(scene, number, rows) for number, rows in enumerate(places))
    experiment, aggregation = scene.experiment, scene.aggregation()
    examples = float(np.mean([len(bank.examples) for bank in banks]))
    steps = np.ceil(examples / experiment.batch_size) * experiment.local_epochs
    model = GlobalModel(initial_weights(experiment.seed), float(2 * experiment.learning_rate * steps), examples)
    for number in range(1, experiment.rounds + 1):
        done = run_round(aggregation, banks, model, model.to_bytes(), number)
        model = model.after(done.mean)
    return model.weights


def _protected(scene: Scene, budget: Budget | None, rows: int) -> Scene:
    """The same federation within a budget; the size of its batches does not depend on who is in."""
    if budget is None:
        return scene
    return _changed(scene, epsilon=budget.epsilon, delta=budget.delta, batch_size=rows // 3, **PRIVATE)


def _bank(scene: Scene, number: int, places: NDArray[np.int64]) -> Bank:
    data, experiment, rows = scene.dataset.banks[number], scene.experiment, None
    if experiment.private_rows:
        rows = RowPrivacy.of_bank(experiment, experiment.only(Steps), data.name, len(places), folder=None, resume=False)
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


def _figures(scene: Scene, budget: Budget | None, populations: Sequence[Population], rows: int) -> dict[str, Any]:
    lira = _attack_figures(measure_lira, populations, _all_records)
    return {
        "batch": scene.experiment.batch_size,
        "epsilon": None if budget is None else budget.epsilon,
        "delta": None if budget is None else budget.delta,
        "rows": rows,
        "pools": len(populations),
        "trials": sum(len(population.member) for population in populations),
        "success_rate": lira["advantage"],
        "interval": lira["interval"],
        "guessing": 0.0,
        "bound": None if budget is None else advantage_bound(budget.epsilon, budget.delta),
        "lira": lira,
        "lira_on_frauds": _attack_figures(measure_lira, populations, lambda population: population.fraud),
        "loss": _attack_figures(measure_loss, populations, _all_records),
        "frauds_in_pool": int(populations[0].fraud.sum()),
        "records_in_pool": len(populations[0].fraud),
    }


def _attack_figures(
    attack: Measure, populations: Sequence[Population], among: Callable[[Population], Mask]
) -> dict[str, Any]:
    """Means over pools, each with its interval."""
    measured = [attack(population, among(population), FALSE_POSITIVE_RATES) for population in populations]
    advantages = [float(pool.advantage.mean()) for pool in measured]
    figures: dict[str, Any] = {
        "advantage": float(np.mean(advantages)),
        "interval": list(interval_of_mean(advantages)),
        "by_pool": advantages,
    }
    for rate in FALSE_POSITIVE_RATES:
        rates = [float(pool.tpr_at[rate].mean()) for pool in measured]
        figures[f"tpr_at_fpr_{rate:g}"] = float(np.mean(rates))
        figures[f"tpr_at_fpr_{rate:g}_interval"] = list(interval_of_mean(rates))
    return figures


def _all_records(population: Population) -> Mask:
    return np.ones(len(population.fraud), dtype=bool)
