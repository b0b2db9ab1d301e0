"""Split view: an aggregator that breaks the protocol to make a secure sum say what one bank's update is.

Three ways, each run against the real client halves and trustees; in each the sum that is opened is the victim's alone,
and `inversion` then runs on it.

- `two-models` (Pasquini, Francati, Ateniese, "Eluding Secure Aggregation in Federated Learning via Model
  Inconsistency", CCS 2022): the victim gets the real model, every other bank one whose neurons are all dead, so that
  it trains and sends an update of zeros. A bank refuses a model that is not its cohort's, so each lie is a whole
  cohort: the aggregator opens every message under the cohort that its sender was told of, and seals it anew for the
  cohort of its recipient.
- `made-up-banks`: the aggregator asks nobody but the victim and plays all other banks itself, with updates of zeros,
  by whatever it knows: public keys, but no bank's identity key.
- `single-upload` (where somebody opens sums of ciphertexts): the aggregator passes the victim's upload off as the sum.
- `withheld-shares` (against `masked` only, where banks hold shares of each other's masks): all banks are told of the
  same survivors, but the victim masked with none of them (see `withheld_shares`). With an even number of banks, or a
  higher threshold, the sum is over a few banks and not one.

Rules: the aggregator uses public knowledge only. Whether a scheme resists is found out, not stated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from secure_fl.attacks.inversion import invert
from secure_fl.attacks.judging import CLOSE, interval_of_shares, match
from secure_fl.attacks.lying_aggregator import can_lie_to_holders, passing_off, unchecked
from secure_fl.attacks.scene import Scene
from secure_fl.attacks.trial import Observatory
from secure_fl.attacks.victim import LocalStep
from secure_fl.attacks.withheld_shares import Withholding
from secure_fl.codec.quantization import Contribution
from secure_fl.errors import ConfigurationError, ProtocolError
from secure_fl.federation.bank import Bank
from secure_fl.federation.global_model import GlobalModel
from secure_fl.progress import Progress
from secure_fl.secagg.budget import MIN_BANKS, Plan
from secure_fl.secagg.identity import BanksWithIdentities
from secure_fl.secagg.messages import AGGREGATOR, Cohort, open_message, seal
from secure_fl.secagg.planning import plan_for
from secure_fl.secagg.protocol import Party, Values
from secure_fl.settings import Experiment
from secure_fl.training.model import flatten, restore

VARIANTS = ("two-models", "made-up-banks", "single-upload", "withheld-shares")

FloatVector = NDArray[np.float64]


class Translated:
    """A bank that was told of another cohort, as it looks from the cohort that the aggregator pretends to all others.

    Envelopes carry a public checksum, so that whoever relays messages can put them into others.
    """

    def __init__(self, party: Party, bank: str, told: Cohort[Plan], pretended: Cohort[Plan]) -> None:
        self._party, self._bank, self._told, self._pretended = party, bank, told, pretended

    def respond(self, request: bytes) -> bytes:
        asked = open_message(self._pretended, request, recipient=self._bank, sender=AGGREGATOR)
        answer = self._party.respond(seal(self._told, asked.stage, AGGREGATOR, self._bank, bytes(asked.payload)))
        said = open_message(self._told, answer, recipient=AGGREGATOR, sender=self._bank)
        return seal(self._pretended, said.stage, self._bank, AGGREGATOR, bytes(said.payload))


@dataclass(frozen=True)
class Outcome:
    """One trial."""

    errors: FloatVector
    guessing: FloatVector
    refusal: str | None
    """Who refused what; None where the sum was opened."""


def dead_model(model: GlobalModel) -> GlobalModel:
    """A model whose hidden neurons are off whatever comes in, so that nothing but its last bias can learn."""
    network = restore(model.weights)
    with torch.no_grad():
        *hidden, _ = [layer for layer in network.layers if isinstance(layer, torch.nn.Linear)]
        for layer in hidden:
            layer.weight.zero_()
            layer.bias.fill_(-1.0)
    return GlobalModel(flatten(network), model.clip, model.mean_examples)


def run_split_view(
    scene: Scene, local: LocalStep, batches: Sequence[int], trials: int, rng: np.random.Generator, progress: Progress
) -> list[dict[str, Any]]:
    """A row of figures for each way that there is to try, and batch size. Raises `ConfigurationError`."""
    if trials < 1:
        raise ConfigurationError(f"{trials} trials measure nothing; use 1 or more")
    results = []
    for variant in filter(lambda variant: applies(variant, scene.experiment), VARIANTS):
        for batch in batches:
            observatory = Observatory(scene.with_batch(batch), local)
            outcomes = []
            for number in range(trials):
                progress(f"{variant}, batch of {batch}", number, trials)
                outcomes.append(_trial(observatory, variant, batch, rng))
            progress(f"{variant}, batch of {batch}", trials, trials)
            results.append(_figures(variant, batch, outcomes, rng))
    return results


def applies(variant: str, experiment: Experiment) -> bool:
    """Whether there is anything to try: shares of masks travel under one scheme only, ciphertexts under some."""
    if variant == "single-upload":
        return can_lie_to_holders(plan_for(experiment.kind, MIN_BANKS, 1))
    return variant != "withheld-shares" or experiment.scheme == "masked"


def isolate(observatory: Observatory, variant: str, banks: Sequence[Bank], rng: np.random.Generator) -> FloatVector:
    """The first bank's update as the opened sum gives it away. Raises `ProtocolError` where some party refuses."""
    number, model = observatory.next_round(), observatory.model
    aggregation, codec = observatory.aggregation, observatory.codec
    cohort = aggregation.cohort(number, codec.length, context=model.digest)
    if variant == "withheld-shares":
        halves = [_client(observatory, bank, cohort, model, number, rng) for bank in banks]
        return observatory.open_sum(Withholding(cohort, halves).read())  # type: ignore[arg-type]
    clients: dict[str, Party] = {banks[0].name: _client(observatory, banks[0], cohort, model, number, rng)}
    if variant == "single-upload":
        alone = aggregation.attempt(cohort, clients, server=lambda cohort: passing_off(cohort, banks[0].name)).sum.total
        return observatory.open_sum(alone + (len(banks) - 1) * _zeros(observatory))
    for bank in banks[1:]:
        if variant == "two-models":
            lie = dead_model(model)
            told = aggregation.cohort(number, codec.length, context=lie.digest)
            clients[bank.name] = Translated(_client(observatory, bank, told, lie, number, rng), bank.name, told, cohort)
        else:
            clients[bank.name] = _made_up(observatory, bank.name, cohort)
    half = unchecked if cohort.plan.commits else None
    return observatory.open_sum(aggregation.attempt(cohort, clients, server=half).sum.total)


def _client(
    observatory: Observatory,
    bank: Bank,
    told: Cohort[Plan],
    model: GlobalModel,
    number: int,
    rng: np.random.Generator,
) -> Party:
    """The real bank, which checks that the model is its cohort's, trains, encodes and takes part."""
    bank.receive(told, model.to_bytes())
    contribution = observatory.contribution(bank, number, rng)
    return observatory.aggregation.client(told, bank.name, bank.encode(contribution, told.plan, number))


def _made_up(observatory: Observatory, name: str, cohort: Cohort[Plan]) -> Party:
    """What the aggregator can put in a bank's place: a client half from public keys, or with an identity of its own."""
    values = _zeros(observatory)
    deployed = observatory.aggregation.deployed
    known = deployed.of_strangers() if isinstance(deployed, BanksWithIdentities) else deployed
    return known.client(cohort, name, values)


def _zeros(observatory: Observatory) -> Values:
    """What a bank sends that learned nothing."""
    zeros = np.zeros(len(observatory.model.weights))
    batch = observatory.scene.experiment.batch_size
    values: Values = observatory.codec.encode(Contribution(zeros, batch), np.random.default_rng(0))
    return values


def _trial(observatory: Observatory, variant: str, batch: int, rng: np.random.Generator) -> Outcome:
    population = observatory.scene.population
    banks = observatory.scene.draw_banks(rng)
    rows = banks[0].examples.features
    guessing = match(population[rng.choice(len(population), size=batch)], rows)[1]
    try:
        update = isolate(observatory, variant, banks, rng)
    except ProtocolError as refusal:
        return Outcome(match(rows[:0], rows)[1], guessing, str(refusal))
    return Outcome(match(invert(observatory, update, batch, rng), rows)[1], guessing, None)


def _figures(variant: str, batch: int, outcomes: Sequence[Outcome], rng: np.random.Generator) -> dict[str, Any]:
    close = [float((outcome.errors < CLOSE).mean()) for outcome in outcomes]
    guessed = [float((outcome.guessing < CLOSE).mean()) for outcome in outcomes]
    refusals = Counter(outcome.refusal for outcome in outcomes if outcome.refusal is not None)
    return {
        "variant": variant,
        "batch": batch,
        "trials": len(outcomes),
        "success_rate": float(np.mean(close)),
        "interval": list(interval_of_shares(close)),
        "guessing": float(np.mean(guessed)),
        "guessing_interval": list(interval_of_shares(guessed)),
        "opened": sum(outcome.refusal is None for outcome in outcomes),
        "refusal": refusals.most_common(1)[0][0] if refusals else None,
    }
